"""All that an engine holds of one attempt. Every function blocks; they run in threads of the engine's.

`names` are those of its containers, in order of their steps, where they are known: all that were begun, or none. What is not
found by them is looked for by its labels.
"""

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, NotFound

from agents.runtimes.docker.archive import result_in
from agents.runtimes.docker.container import (
    ATTEMPT_LABEL,
    EDGE_LABEL,
    INDEX_LABEL,
    SITE_LABEL,
    UID_LABEL,
    attempt_in,
    ended_badly,
    observed,
    on_a_full_disk,
    volume_name,
)
from agents.runtimes.docker.disk import is_full
from agents.runtimes.protocol import Observed
from agents.runtimes.shared import RESULT_FILE, SHARED

_TAIL_LINES = 10


def attempts_of(client: docker.APIClient, site: str, edges: Collection[str]) -> set[str]:
    """The attempts of these edges of which anything exists."""
    filters = {"label": f"{SITE_LABEL}={site}"}
    labelled = [one["Labels"] for one in client.containers(all=True, filters=filters)]
    labelled += [one["Labels"] for one in client.volumes(filters=filters)["Volumes"] or ()]
    return {attempt for labels in labelled if (attempt := attempt_in(labels, edges)) is not None}


def find_attempt(client: docker.APIClient, attempt: str, names: Sequence[str], disk: Path | None) -> Observed | None:
    """The attempt as its containers tell, and the engine's `disk` where it is this host's; one that has only its volume has
    started no step."""
    found = observed(attempt, list(_inspected(client, names)))
    if found is None:
        found = observed(attempt, list(_inspected(client, [one["Id"] for one in _containers(client, attempt)])))
    if found is not None:
        return on_a_full_disk(found) if disk is not None and is_full(disk) else found
    try:
        labels: Mapping[str, str] = client.inspect_volume(volume_name(attempt))["Labels"] or {}
    except NotFound:
        return None
    site, edge, uid = (labels.get(label, "") for label in (SITE_LABEL, EDGE_LABEL, UID_LABEL))
    return Observed(site, edge, attempt, (), uid=uid)


def signal_attempt(client: docker.APIClient, attempt: str, signal: str) -> None:
    for one in _containers(client, attempt, {"status": "running"}):
        try:
            client.kill(one["Id"], signal)
        except APIError as error:
            if error.status_code not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:  # gone, or ended
                raise


def read_result(client: docker.APIClient, attempt: str, names: Sequence[str]) -> bytes | None:
    """What the steps left as their result. Raises `Invalid` where it is too large."""
    containers = names or [one["Id"] for one in _containers(client, attempt)]
    if not containers:
        return None
    try:
        chunks, _ = client.get_archive(containers[0], f"{SHARED}/{RESULT_FILE}")
    except NotFound:
        return None
    return result_in(chunks)


def a_container_of(client: docker.APIClient, attempt: str) -> str | None:
    """The id of a container that has the attempt's volume; None where there is none."""
    containers = _containers(client, attempt)
    return containers[0]["Id"] if containers else None


def remove_attempt(client: docker.APIClient, attempt: str) -> None:
    for one in _containers(client, attempt):
        try:
            client.remove_container(one["Id"], force=True, v=True)
        except APIError as error:
            if error.status_code not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:  # gone, or going
                raise
    with contextlib.suppress(NotFound):
        client.remove_volume(volume_name(attempt), force=True)


def _inspected(client: docker.APIClient, containers: Iterable[str]) -> Iterator[tuple[Mapping[str, Any], str]]:
    for one in containers:
        with contextlib.suppress(NotFound):  # not made, or removed
            container: Mapping[str, Any] = client.inspect_container(one)
            stderr = client.logs(one, stdout=False, tail=_TAIL_LINES) if ended_badly(container) else b""
            yield container, stderr.decode(errors="replace")


def _containers(client: docker.APIClient, attempt: str, filters: Mapping[str, str] | None = None) -> list[Any]:
    found: list[Any] = client.containers(
        all=True, filters={"label": [f"{ATTEMPT_LABEL}={attempt}", INDEX_LABEL], **(filters or {})}
    )
    return found
