"""All that an engine holds of one attempt. Every function blocks; they run in threads of the engine's."""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from http import HTTPStatus
from typing import Any

import docker
from docker.errors import APIError, NotFound

from agents.runtimes.docker.archive import result_in
from agents.runtimes.docker.container import (
    ATTEMPT_LABEL,
    EDGE_LABEL,
    INDEX_LABEL,
    SITE_LABEL,
    attempt_in,
    init_error_in,
    may_not_have_run,
    observed,
    volume_name,
)
from agents.runtimes.protocol import Observed
from agents.runtimes.shared import RESULT_FILE, SHARED


def attempts_of(client: docker.APIClient, site: str, edges: Collection[str]) -> set[str]:
    """The attempts of these edges of which anything exists."""
    filters = {"label": f"{SITE_LABEL}={site}"}
    labelled = [one["Labels"] for one in client.containers(all=True, filters=filters)]
    labelled += [one["Labels"] for one in client.volumes(filters=filters)["Volumes"] or ()]
    return {attempt for labels in labelled if (attempt := attempt_in(labels, edges)) is not None}


def find_attempt(client: docker.APIClient, attempt: str) -> Observed | None:
    """The attempt as its containers tell; one that has only its volume has started no step."""
    found = observed(attempt, list(_inspected(client, attempt)))
    if found is not None:
        return found
    try:
        labels: Mapping[str, str] = client.inspect_volume(volume_name(attempt))["Labels"] or {}
    except NotFound:
        return None
    return Observed(labels.get(SITE_LABEL, ""), labels.get(EDGE_LABEL, ""), attempt, ())


def signal_attempt(client: docker.APIClient, attempt: str, signal: str) -> None:
    for one in _containers(client, attempt, {"status": "running"}):
        try:
            client.kill(one["Id"], signal)
        except APIError as error:
            if error.status_code not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:  # gone, or ended
                raise


def read_result(client: docker.APIClient, attempt: str) -> bytes | None:
    """What the steps left as their result. Raises `Invalid` where it is too large."""
    containers = _containers(client, attempt)
    if not containers:
        return None
    try:
        chunks, _ = client.get_archive(containers[0]["Id"], f"{SHARED}/{RESULT_FILE}")
    except NotFound:
        return None
    return result_in(chunks)


def remove_attempt(client: docker.APIClient, attempt: str) -> None:
    for one in _containers(client, attempt):
        try:
            client.remove_container(one["Id"], force=True, v=True)
        except APIError as error:
            if error.status_code not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:  # gone, or going
                raise
    with contextlib.suppress(NotFound):
        client.remove_volume(volume_name(attempt), force=True)


def _inspected(client: docker.APIClient, attempt: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    for one in _containers(client, attempt):
        with contextlib.suppress(NotFound):  # removed since it was listed
            container: Mapping[str, Any] = client.inspect_container(one["Id"])
            stderr = client.logs(one["Id"], stdout=False, tail=1) if may_not_have_run(container) else b""
            yield container, init_error_in(stderr.decode(errors="replace"))


def _containers(client: docker.APIClient, attempt: str, filters: Mapping[str, str] | None = None) -> list[Any]:
    found: list[Any] = client.containers(
        all=True, filters={"label": [f"{ATTEMPT_LABEL}={attempt}", INDEX_LABEL], **(filters or {})}
    )
    return found
