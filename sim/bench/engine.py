"""The engine that container figures are measured at: its image, its events, and what it holds."""

import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import docker
import requests
from docker.errors import DockerException, ImageNotFound

from agents.runtimes.docker.container import ATTEMPT_LABEL, EDGE_LABEL
from agents.runtimes.docker.engine import connect
from datamodel.errors import Transient
from sim.bench.busybox import BUSYBOX, busybox_tar

IMAGE = "tendril-bench/busybox:1"
CONNECTIONS = 16
TIMEOUT_S = 120.0


class Watch:
    """When each attempt's container started, ended and was removed, as the engine's events tell it; a thread follows them."""

    def __init__(self, client: docker.APIClient) -> None:
        filters = {"type": "container", "label": ATTEMPT_LABEL, "event": ["start", "die", "destroy"]}
        self._events: Any = client.events(decode=True, filters=filters)
        self._lock = threading.Lock()
        self._ended = defaultdict[str, threading.Event](threading.Event)
        self._started_s: dict[str, float] = {}
        self._removed: set[str] = set()
        self._thread = threading.Thread(target=self._follow, name="bench-events", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._events.close()
        self._thread.join()

    def until_ended(self, attempt: str) -> None:
        """Blocks. Raises `Transient` where that takes too long."""
        with self._lock:
            ended = self._ended[attempt]
        if not ended.wait(TIMEOUT_S):
            raise Transient(f"waited {TIMEOUT_S:.0f} s in vain for the end of {attempt}")

    def removed(self, prefix: str) -> int:
        """How many attempts are gone of those whose names begin so."""
        with self._lock:
            return sum(name.startswith(f"{prefix}-") for name in self._removed)

    def started_s(self, prefix: str) -> float:
        """When the one attempt whose name begins so was started, in seconds since the epoch by the engine's clock, which is
        this machine's."""
        with self._lock:
            (at_s,) = (at_s for name, at_s in self._started_s.items() if name.startswith(f"{prefix}-"))
        return at_s

    def _follow(self) -> None:
        for event in self._events:
            attempt = event["Actor"]["Attributes"][ATTEMPT_LABEL]
            with self._lock:
                if event["Action"] == "start":
                    self._started_s[attempt] = event["timeNano"] / 1e9
                elif event["Action"] == "die":
                    self._ended[attempt].set()
                else:
                    self._removed.add(attempt)


@contextlib.contextmanager
def engine() -> Iterator[docker.APIClient]:
    """A client of this machine's engine, which has the image meanwhile. Raises `Transient` with the reason where there is
    none."""
    if not BUSYBOX.exists():
        raise Transient(f"there is no {BUSYBOX} to make an image of")
    try:
        client = connect(connections=CONNECTIONS)
    except (DockerException, requests.RequestException) as error:
        raise Transient(f"no container engine answers: {error}") from error
    repository, _, tag = IMAGE.partition(":")
    with contextlib.closing(client):
        client.import_image_from_data(busybox_tar(), repository=repository, tag=tag)
        yield client
        with contextlib.suppress(ImageNotFound):
            client.remove_image(IMAGE, force=True)


def holdings(client: docker.APIClient, edge: str) -> dict[str, int]:
    """How many containers and volumes there are of an edge, and how many networks at all: nobody's attempts make any."""
    mine = {"label": f"{EDGE_LABEL}={edge}"}
    return {
        "containers": len(client.containers(all=True, filters=mine)),
        "volumes": len(client.volumes(filters=mine)["Volumes"] or ()),
        "networks": len(client.networks()),
    }
