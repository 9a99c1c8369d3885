"""Jobs as people send and see them: one flat document in, the node with its executions out."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from datamodel.command import Command, Outcome, Unit, raise_refused
from datamodel.errors import Aborted, Invalid, TendrilError
from datamodel.kinds import Document
from datamodel.model import Model
from datamodel.names import check_name
from datamodel.node import Node
from datamodel.prepare import prepare
from datamodel.scheduling.jobs import JobStatus
from datamodel.scheduling.splitting import chunks_of
from gateway.backend import ACTOR, Backend
from gateway.defaults import completed
from gateway.labels import checked_labels
from gateway.secrets import check_secrets

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


async def submit(backend: Backend, document: Any, *, key: str = "", digest: str = "", dry_run: bool = False) -> Node:
    """Creates the job that a flat document describes: `name` (one is made up where there is none), `group`, `labels`, and
    the fields of a `JobSpec`; with `dry_run`, only tells of it. Raises what refuses it, with pointers into the document."""
    with _pointing_into(""):
        command = _creation(document)
        await check_secrets(backend, command)
        (verdict,) = raise_refused(await backend.append((command,), key=key, digest=digest, dry_run=dry_run))
    return await backend.node_after(verdict)


async def submit_all(
    backend: Backend, documents: Sequence[Any], *, key: str = "", digest: str = "", dry_run: bool = False
) -> list[Node]:
    """Creates the jobs that flat documents describe, all or none; with `dry_run`, only tells of them. Raises
    what refuses one of them, with pointers that begin with its place: `/jobs/3/steps`."""
    commands = []
    for index, document in enumerate(documents):
        with _pointing_into(_place(index)):
            commands.append(_creation(document))
            await check_secrets(backend, commands[-1])
    try:
        verdicts = await backend.append(commands, key=key, digest=digest, dry_run=dry_run)
    except Invalid:
        _check_each(backend.model, commands)
        raise
    _raise_reason(verdicts)
    return [await backend.node_after(verdict) for verdict in raise_refused(verdicts)]


def _creation(document: Any) -> Command:
    if not isinstance(document, dict):
        raise Invalid("a job's document must be an object")
    spec: Document = dict(document)
    group, name = spec.pop("group", GROUP_DEFAULT), spec.pop("name", None)
    labels = checked_labels(spec.pop("labels"), "/metadata/labels") if "labels" in spec else None
    if not isinstance(group, str):
        raise Invalid("a group's name is a string", field="/metadata/parent")
    check_name(group, "/metadata/parent")
    if name is None:
        name = f"job-{secrets.token_hex(_NAME_BYTES)}"
    elif not isinstance(name, str):
        raise Invalid("a name is a string", field="/metadata/name")
    check_name(name)
    return Command("create", job_path(group, name), spec, labels)


def _check_each(model: Model, commands: Sequence[Command]) -> None:
    """Raises `Invalid` for the command that is: what refuses a whole unit does not say which one it was."""
    for index, command in enumerate(commands):
        with _pointing_into(_place(index)):
            prepare(model, Unit((command,), ACTOR))


def _raise_reason(verdicts: Outcome) -> None:
    """Raises the first refusal that has a reason of its own."""
    for index, verdict in enumerate(verdicts):
        if verdict.error is not None and not isinstance(verdict.error, Aborted):
            with _pointing_into(_place(index)):
                raise verdict.error


def _place(index: int) -> str:
    return f"/jobs/{index}"


@contextmanager
def _pointing_into(place: str) -> Iterator[None]:
    """Makes an error's pointers into a node lead into the flat document at `place`, a JSON pointer itself."""
    try:
        yield
    except TendrilError as error:
        error.field = _relocated(error.field, place)
        if isinstance(error, Invalid):
            error.details = tuple((_relocated(pointer, place), message) for pointer, message in error.details)
        raise


def _relocated(pointer: str, place: str) -> str:
    if not pointer:
        return place
    for prefix, flat in _RELOCATED:
        if pointer == prefix or pointer.startswith(prefix + "/"):
            return place + flat + pointer[len(prefix) :]
    return pointer


def job_status(job: Node) -> Document:
    """The status of a job, complete from the moment when it was accepted: then all its chunks are pending."""
    status = job.status if "chunks" in job.status else {"chunks": {"pending": chunks_of(job)}, **job.status}
    return completed(JobStatus, status)
