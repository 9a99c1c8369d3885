"""What people ask of jobs that they have: to abort, suspend or resume one, or to try its failed chunks again. Each is a change
of the job's spec, which the reconcilers follow."""

from collections.abc import Awaitable, Callable, Mapping

from datamodel.command import Command
from datamodel.errors import Conflict
from datamodel.kinds import Document
from datamodel.node import Node
from datamodel.scheduling.jobs import ABORT, FAILED, FINISHED, RUN, SUSPEND
from gateway.backend import ASKING, Backend
from gateway.once import Once

PAGE = 1_000
_TRIES = 5
"""At a job that others write at the same time."""


async def act(
    backend: Backend, path: str, verb: str, *, expected_version: int | None = None, key: str = "", digest: str = ""
) -> tuple[Node, bool]:
    """Does what a verb says to a job; the job then, and whether it was another before. With an idempotency key it is done once,
    and what it changed before is no change. Raises `NotFound`, and `Conflict` where that cannot be, or the job is not of the
    version that is expected."""
    once = Once(backend, key, digest, actor=ASKING)
    if (replayed := await once.replayed()) is not None:
        return await backend.node_after(replayed), False
    for left in reversed(range(_TRIES)):
        job = await backend.node(path)
        if expected_version not in (None, job.version):
            raise Conflict(f"{path} is at version {job.version}, not {expected_version}", field="/metadata/version")
        change = await VERBS[verb](backend, job)
        if not change and not key:
            return job, False
        try:
            verdict = await once.write(Command("patchSpec", path, change, expected_version=job.version))
        except Conflict as error:
            if not left or error.field != "/metadata/version":
                raise
        else:
            return await backend.node_after(verdict), verdict.outcome == "changed"
    raise AssertionError("the last try returns or raises")


async def _abort(backend: Backend, job: Node) -> Document:
    del backend
    if job.spec.get("intent") == ABORT and job.phase != FAILED:
        return {}
    _must_go_on(job)
    return {"intent": ABORT}


async def _suspend(backend: Backend, job: Node) -> Document:
    del backend
    _must_go_on(job)
    return _unless_aborted(job, SUSPEND)


async def _resume(backend: Backend, job: Node) -> Document:
    del backend
    _must_go_on(job)
    return _unless_aborted(job, RUN)


async def _retry(backend: Backend, job: Node) -> Document:
    """As many retries as let each chunk that has failed be tried once more, at least."""
    if job.phase != FAILED:
        raise Conflict(f"{job.path} is {job.phase or 'pending'}: only what has failed is tried again")
    intent = _unless_aborted(job, RUN)
    retries, after = job.spec["retries"] + 1, -1
    is_refused = bool(job.spec.get("retryPolicy", {}).get("exitCodes"))
    while entries := await backend.store.entries(job.uid, phases=(FAILED,), after=after, limit=PAGE):
        retries = max(retries, *(entry.failures for entry in entries))
        if is_refused:  # by an exit code: more than the attempt was told are wanted then
            attempts = await backend.store.nodes([entry.holder for entry in entries])
            retries = max(retries, *(1 + attempt.spec["retries"] for attempt in attempts.values()), 0)
        after = entries[-1].index
    return {"retries": retries, **intent}


VERBS: Mapping[str, Callable[[Backend, Node], Awaitable[Document]]] = {
    "abort": _abort,
    "suspend": _suspend,
    "resume": _resume,
    "retry": _retry,
}
"""By name, what of a job's spec is another then: nothing where all is as it should be. They raise `Conflict`."""

SUMMARIES = {
    "abort": "End what is left of a job, for good",
    "suspend": "Stop what runs of a job, and begin nothing, until it is resumed",
    "resume": "Let a suspended job go on",
    "retry": "Try the chunks of a failed job again that have not succeeded",
}


def _must_go_on(job: Node) -> None:
    if job.phase in FINISHED:
        raise Conflict(f"{job.path} has ended: it is {job.phase}")


def _unless_aborted(job: Node, intent: str) -> Document:
    now = job.spec.get("intent", RUN)
    if now == ABORT:
        raise Conflict(f"{job.path} is aborted, for good")
    return {} if now == intent else {"intent": intent}
