"""progress: ledger → the job's status, at once when its phase changes, else at most every 500 ms a job."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

import msgspec

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Fence, Unit
from datamodel.errors import Conflict
from datamodel.kinds import SYSTEM, Document
from datamodel.ledger import Totals
from datamodel.node import Node
from datamodel.ports import Change, Store
from datamodel.reads import Reads
from datamodel.scheduling.ending import is_ending
from datamodel.scheduling.jobs import FAILED, FINISHED, PENDING, RUNNING, SUCCEEDED
from reconcilers.failures import failures_of
from reconcilers.planning.ends import is_over
from reconcilers.planning.failing import Failures, has_failed
from reconcilers.planning.rollup import Reduction, ending_of, phase_of, rollup
from reconcilers.runtime.controller import Wake, Watch

EVERY_S = 0.5
WAITING_S = 2.0
"""How long a new job may go without a status: one that is placed soon has no use for one that says that it waits."""
PAGE = 1_000
UNFINISHED = ("", PENDING, RUNNING, FAILED)
ACTOR = Actor("progress", SYSTEM)


_outputs = msgspec.json.Decoder(dict[str, object]).decode


class Progress:
    """Writes jobs' statuses. The key is the job's path."""

    name = "progress"
    shards = 4
    resync_s = 60.0

    def __init__(self, store: Store, appender: Appender, reads: Reads, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._appender = appender
        self._reads = reads
        self._clock = clock
        self._written_s: dict[str, float] = {}

    @property
    def watches(self) -> Mapping[str, Watch]:
        return {"Attempt": _job_of_attempt, "Job": _asked_job}

    async def keys(self) -> list[str]:
        keys: list[str] = []
        after = ""
        while jobs := await self._store.list_nodes("Job", after=after, limit=PAGE, phases=UNFINISHED):
            keys.extend(job.path for job in jobs if not is_over(job))
            after = jobs[-1].path
        # Of jobs that were deleted before they began, or are another replica's now, nobody comes to say so.
        self._written_s = {key: self._written_s[key] for key in keys if key in self._written_s}
        return keys

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        job = await self._reads.recent_node(key)
        if job is None or is_over(job):
            self._written_s.pop(key, None)
            return None
        totals = await self._reads.recent_totals(job.uid)
        failures = await failures_of(self._store, job, totals)
        failed = has_failed(job, failures)
        phase = phase_of(job, totals, has_failed=failed, allowed=0 if failed else failures.for_good)
        now_s = asyncio.get_running_loop().time()
        if phase == (job.phase or PENDING) and job.status and ending_of(job, totals) == job.status.get("ending"):
            rest = self._written_s.setdefault(key, now_s) + EVERY_S - now_s
            if rest > 0:
                return rest
        await self._write(job, totals, phase, failures, fence)
        if phase in FINISHED:
            self._written_s.pop(key, None)
        else:
            self._written_s[key] = now_s
        return None

    async def _write(self, job: Node, totals: Totals, phase: str, failures: Failures, fence: Fence) -> None:
        reduction = await self._reduction(job, totals) if phase == SUCCEEDED and job.spec["outputs"] else None
        status = rollup(job, totals, phase, reduction, self._clock(), failures)
        if phase == SUCCEEDED and job.spec.get("artifacts"):
            status["artifacts"] = await self._artifacts(job, totals)
        patch = {**dict.fromkeys(job.status), **status}  # null removes what the new status does not have
        patch["chunks"] = {**dict.fromkeys(job.status.get("chunks", ())), **status["chunks"]}
        command = Command("patchStatus", job.path, patch, expected_version=job.version)
        await self._appender.write(Unit((command,), ACTOR, fence=fence))

    async def _artifacts(self, job: Node, totals: Totals) -> Document:
        """How many there are of all chunks that have succeeded, and how large they are together. Raises `Conflict` where a
        chunk more has succeeded since the totals were read."""
        count, size_bytes, after, succeeded = 0, 0, -1, 0
        while entries := await self._store.entries(job.uid, phases=(SUCCEEDED,), after=after, limit=PAGE):
            for attempt in (await self._store.nodes([entry.holder for entry in entries])).values():
                sizes = [artifact["bytes"] for artifact in attempt.status.get("artifacts", ())]
                count, size_bytes = count + len(sizes), size_bytes + sum(sizes)
            after, succeeded = entries[-1].index, succeeded + len(entries)
        _check_as_told(job, succeeded, totals)
        return {"count": count, "bytes": size_bytes}

    async def _reduction(self, job: Node, totals: Totals) -> Reduction:
        """Of the chunks that have succeeded. Raises `Conflict` as above."""
        reduction = Reduction(job.spec["outputs"])
        after, succeeded = -1, 0
        while entries := await self._store.entries(job.uid, after=after, limit=PAGE):
            for entry in entries:
                if entry.phase == SUCCEEDED:
                    succeeded += 1
                    reduction.add(entry.index, {} if entry.outputs is None else _outputs(entry.outputs))
            after = entries[-1].index
        _check_as_told(job, succeeded, totals)
        return reduction


def _check_as_told(job: Node, succeeded: int, totals: Totals) -> None:
    """What a status says of chunks and what it says of their outputs are of one moment."""
    if succeeded != totals.phases.get(SUCCEEDED, 0):
        raise Conflict(f"a chunk of {job.path} succeeded while they were read")


def _job_of_attempt(change: Change) -> Iterable[Wake]:
    attempt = change.node
    if attempt is None:
        return ()
    just_placed = attempt.version == attempt.created_version  # moves no phase, so it need not be told at once
    return (Wake(attempt.spec["job"], WAITING_S if just_placed else 0.0),)


def _asked_job(change: Change) -> Iterable[Wake]:
    job = change.node
    if job is None:
        return ()
    if change.position == job.created_version:
        return (Wake(job.path, WAITING_S),)
    is_decided = is_ending(job) and job.phase not in FINISHED
    asked = job.generation != job.status.get("observedGeneration", 1)
    return (Wake(job.path),) if asked or is_decided else ()
