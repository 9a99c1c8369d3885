"""Learning from the engine that a container has changed: one stream for all of them."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Collection
from typing import Any

import docker
import structlog
from docker.errors import DockerException

from agents.runtimes.docker.container import SITE_LABEL, attempt_in
from agents.runtimes.docker.engine import connect

_BACKOFF_FIRST_S = 0.1
_BACKOFF_LAST_S = 5.0
_ENDS = ["die", "oom", "destroy"]

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class EventStream:
    """Calls `changed(attempt)` in the event loop for what ends at the engine; one thread, which reconnects for ever.

    What happened while it was disconnected is not asked for: after each connection every attempt of these edges counts as
    changed, since the engine forgets its events when it restarts.
    """

    def __init__(self, site: str, edges: Collection[str], changed: Callable[[str], None]) -> None:
        self._site = f"{SITE_LABEL}={site}"
        self._edges = edges
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._stream: Any = None
        self._thread = threading.Thread(target=self._run, name="docker-events", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        self._closing.set()
        with self._lock:
            if self._stream is not None:
                _hang_up(self._stream)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        backoff_s = _BACKOFF_FIRST_S
        while not self._closing.is_set():
            try:
                with contextlib.closing(connect()) as client:
                    self._follow(client)
                backoff_s = _BACKOFF_FIRST_S
            except (DockerException, OSError) as error:
                _log.warning("the container engine does not answer", error=str(error), retry_s=backoff_s)
                backoff_s = min(2 * backoff_s, _BACKOFF_LAST_S)
            self._closing.wait(backoff_s)

    def _follow(self, client: docker.APIClient) -> None:
        """Returns when the stream ends."""
        filters = {"type": "container", "label": self._site, "event": _ENDS}
        with self._lock:
            if self._closing.is_set():
                return
            stream = self._stream = client.events(decode=True, filters=filters)
        try:
            for container in client.containers(all=True, filters={"label": self._site}):
                self._tell(container["Labels"])
            for event in stream:
                self._tell(event["Actor"]["Attributes"])
        finally:
            with self._lock:
                self._stream = None
            _hang_up(stream)

    def _tell(self, labels: dict[str, str]) -> None:
        attempt = attempt_in(labels, self._edges)
        if attempt is None:
            return  # another agent's: several may share an engine
        # The loop may have ended without us; then nobody is left to tell.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._changed, attempt)


def _hang_up(stream: Any) -> None:
    # The other end may have done so before.
    with contextlib.suppress(OSError):
        stream.close()
