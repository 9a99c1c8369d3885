"""retention: what is not wanted any more is stopped and removed: attempts of jobs that failed, or were suspended, aborted or
deleted, and what the store keeps beside the log."""

from collections.abc import Iterable, Mapping, Sequence

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Fence, Unit
from datamodel.errors import Conflict, NotFound
from datamodel.kinds import SYSTEM
from datamodel.node import Node
from datamodel.ports import Change, Store
from datamodel.reads import Reads
from datamodel.scheduling.attempts import ABANDON, RUN, STOP, STOPPED, VACANT
from datamodel.scheduling.edges import LOST, inventory_path, place_of
from datamodel.scheduling.ending import is_ending
from datamodel.scheduling.jobs import ABORT, FAILED, FINISHED, RUNNING, SUSPEND
from reconcilers.failures import failed_for_good
from reconcilers.runtime.controller import Wake, Watch

FINALIZER = "attempts"
SWEEP = "sweep"
"""The key of the store's own upkeep; all others are `UID PATH` of a job."""
SWEEP_EVERY_S = 30.0
SWEEP_ROWS = 5_000
AGAIN_S = 2.0
PAGE = 500
ACTOR = Actor("retention", SYSTEM)


class Retention:
    """Ends and removes what nobody wants."""

    name = "retention"
    shards = 4
    resync_s = 300.0

    def __init__(self, store: Store, appender: Appender, reads: Reads) -> None:
        self._store = store
        self._appender = appender
        self._reads = reads

    @property
    def watches(self) -> Mapping[str, Watch]:
        return {"Job": _resting_job, "Attempt": _unwanted_attempt}

    async def keys(self) -> list[str]:
        keys = [SWEEP]
        after = ""
        while jobs := await self._store.list_nodes("Job", after=after, limit=PAGE):
            keys.extend(
                _key(job.uid, job.path)
                for job in jobs
                if job.phase == RUNNING or _rests(job)  # one that runs may have failed, with stragglers
            )
            after = jobs[-1].path
        return [*keys, *await self._orphaned()]

    async def _orphaned(self) -> list[str]:
        """The jobs that are gone and have left attempts that ended since: on edges that were lost, and came back."""
        keys: set[str] = set()
        after = ""
        while attempts := await self._store.dangling("Attempt", "job", after=after, limit=PAGE):
            keys.update(_key(attempt.links["job"][0], attempt.spec["job"]) for attempt in attempts)
            after = attempts[-1].path
        return sorted(keys)

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        if key == SWEEP:
            swept = await self._store.sweep(SWEEP_ROWS)
            return AGAIN_S if swept >= SWEEP_ROWS else SWEEP_EVERY_S
        uid, _, path = key.partition(" ")
        job = await self._reads.node(path)
        if job is not None and job.uid == uid and job.deletion_requested_at is None:
            intent = await self._intent(job)
            return AGAIN_S if intent != RUN and await self._end_attempts(uid, intent, fence) else None
        if await self._end_attempts(uid, STOP, fence, remove=True):
            return AGAIN_S
        if job is not None and job.uid == uid:
            finalize = Command("finalize", path, {"finalizer": FINALIZER})
            await self._appender.write(Unit((finalize,), ACTOR, fence=fence))
        return None

    async def _intent(self, job: Node) -> str:
        """What should become of its attempts."""
        asked = job.spec.get("intent", RUN)
        if (
            asked == ABORT
            or is_ending(job)
            or await failed_for_good(self._store, job, await self._reads.totals(job.uid))
        ):
            return STOP
        return ABANDON if asked == SUSPEND else RUN

    async def _end_attempts(self, uid: str, intent: str, fence: Fence, *, remove: bool = False) -> int:
        """Stops what still runs of a job and, with `remove`, deletes what has ended; how many there are to wait for. A lost
        edge is not waited for: what it may still run ends when it is back."""
        waiting, after = 0, ""
        while attempts := await self._store.linked("Attempt", "job", uid, after=after, limit=PAGE):
            after = attempts[-1].path
            ended = [attempt for attempt in attempts if attempt.phase in VACANT]
            running = [attempt for attempt in attempts if attempt.phase not in VACANT]
            stop = [
                Command("patchSpec", attempt.path, {"intent": intent}, expected_version=attempt.version)
                for attempt in running
                if attempt.spec["intent"] == RUN
            ]
            delete = [Command("delete", attempt.path) for attempt in ended] if remove else []
            if stop or delete:
                await self._append((*stop, *delete), fence)
            waiting += await self._reachable(running)
        return waiting

    async def _append(self, commands: Sequence[Command], fence: Fence) -> None:
        outcome = await self._appender.append(Unit(tuple(commands), ACTOR, atomic=False, fence=fence))
        for verdict in outcome:
            if verdict.error is not None and not isinstance(verdict.error, Conflict | NotFound):
                raise verdict.error

    async def _reachable(self, attempts: Sequence[Node]) -> int:
        count = 0
        for attempt in attempts:
            edge = await self._reads.node(inventory_path(*place_of(attempt.path)))
            count += edge is not None and edge.phase != LOST
        return count


def _resting_job(change: Change) -> Iterable[Wake]:
    """With each change of one: its status tells of attempts that were placed at the same time as it was to rest; and once more
    when one has ended before its chunks have."""
    job = change.node
    return (Wake(_key(job.uid, job.path)),) if job is not None and (_rests(job) or is_ending(job)) else ()


def _unwanted_attempt(change: Change) -> Iterable[Wake]:
    """A final failure, an orphan, or the end of one that was told to stop."""
    attempt = change.node
    if attempt is None:
        return ()
    unwanted = attempt.phase in (FAILED, STOPPED) or attempt.status.get("settlement") == "orphaned"
    return (Wake(_key(attempt.links["job"][0], attempt.spec["job"])),) if unwanted else ()


def _rests(job: Node) -> bool:
    """Whether somebody wants nothing of it to run, though it has not ended."""
    if job.deletion_requested_at is not None:
        return True
    return job.phase not in FINISHED and (job.spec.get("intent", RUN) != RUN or is_ending(job))


def _key(uid: str, path: str) -> str:
    return f"{uid} {path}"
