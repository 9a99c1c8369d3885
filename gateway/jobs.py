"""Jobs as people send and see them: one flat document in, the node with its executions out."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from datamodel.command import Command
from datamodel.errors import Invalid, TendrilError
from datamodel.kinds import Document
from datamodel.names import check_name
from datamodel.node import Node
from datamodel.scheduling.jobs import JobStatus
from gateway.backend import Backend
from gateway.defaults import completed
from gateway.labels import checked_labels

GROUP_DEFAULT = "default"
_NAME_BYTES = 8

_RELOCATED = (
    ("/metadata/parent", "/group"),
    ("/metadata/name", "/name"),
    ("/metadata/labels", "/labels"),
    ("/spec", ""),
)
"""Where the parts of a node stand in the flat document."""


def group_path(group: str) -> str:
    return f"/config/job-groups/{group}"


def job_path(group: str, name: str) -> str:
    return f"{group_path(group)}/jobs/{name}"


async def submit(backend: Backend, document: Document, *, cause: str, key: str = "", digest: str = "") -> Node:
    """Creates the job that a flat document describes: `name` (one is made up where there is none), `group`, `labels`, and
    the fields of a `JobSpec`. Raises what refuses it, with pointers into the document."""
    command = _creation(document)
    with _flat_pointers():
        verdict = await backend.carry_out(command, cause=cause, key=key, digest=digest)
    return await backend.node(verdict.path)


def _creation(document: Document) -> Command:
    spec = dict(document)
    group, name = spec.pop("group", GROUP_DEFAULT), spec.pop("name", None)
    labels = checked_labels(spec.pop("labels"), "/labels") if "labels" in spec else None
    if not isinstance(group, str):
        raise Invalid("a group's name is a string", field="/group")
    check_name(group, "/group")
    if name is None:
        name = f"job-{secrets.token_hex(_NAME_BYTES)}"
    elif not isinstance(name, str):
        raise Invalid("a name is a string", field="/name")
    check_name(name, "/name")
    return Command("create", job_path(group, name), spec, labels)


@contextmanager
def _flat_pointers() -> Iterator[None]:
    try:
        yield
    except TendrilError as error:
        error.field = _relocated(error.field)
        if isinstance(error, Invalid):
            error.details = tuple((_relocated(pointer), message) for pointer, message in error.details)
        raise


def _relocated(pointer: str) -> str:
    for prefix, flat in _RELOCATED:
        if pointer == prefix or pointer.startswith(prefix + "/"):
            return flat + pointer[len(prefix) :]
    return pointer


def job_status(job: Node) -> Document:
    """The status of a job, complete from the moment when it was accepted: then all its chunks are pending."""
    return completed(JobStatus, {"chunks": {"pending": job.spec["chunks"]}, **job.status})
