"""gates: jobs that wait for files or ends of others, or for a moment → since when they may begin, in their status; or why they
never will."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Fence, Unit
from datamodel.kinds import SYSTEM, Document
from datamodel.node import Node
from datamodel.ports import Change, Store
from datamodel.reads import Reads
from datamodel.scheduling.jobs import FINISHED, PENDING, SUCCEEDED
from reconcilers.planning.callbacks import noted
from reconcilers.planning.gates import Finding, Never, Waiting, find, named_by, sources_of, waits
from reconcilers.planning.inputs import Ready, files_of, judge
from reconcilers.planning.rollup import conditions
from reconcilers.runtime.controller import Wake, Watch

PAGE = 500
ACTOR = Actor("gates", SYSTEM)


class Gates:
    """Finds out when jobs may begin that wait for more than an edge; placement leaves them alone until then. The key is the
    job's path."""

    name = "gates"
    shards = 1
    resync_s = 300.0

    def __init__(self, store: Store, appender: Appender, reads: Reads, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._appender = appender
        self._reads = reads
        self._clock = clock
        self._waiting: dict[str, set[str]] = {}
        """By a job's path, those that wait for it, as far as is known here: what is missing the resync adds."""

    @property
    def watches(self) -> Mapping[str, Watch]:
        return {"Job": self._on_job}

    async def keys(self) -> list[str]:
        waiting: dict[str, set[str]] = {}
        keys: list[str] = []
        after = ""
        while jobs := await self._store.list_nodes("Job", after=after, limit=PAGE, phases=("", PENDING)):
            for job in filter(waits, jobs):
                keys.append(job.path)
                _note(waiting, job)
            after = jobs[-1].path
        self._waiting = waiting
        return keys

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        job = await self._reads.node(key)
        if job is None or not waits(job) or job.deletion_requested_at is not None:
            return None
        _note(self._waiting, job)
        sources = await self._store.nodes(sources_of(job))
        inputs, now = await self._inputs(job, sources), self._clock()
        found = find(job, sources, inputs, now)
        await self._tell(job, found, now, fence)
        if found.is_over:
            for path in named_by(job):
                self._waiting.get(path, set()).discard(key)
        return found.again_s

    async def _tell(self, job: Node, found: Finding, now: datetime, fence: Fence) -> None:
        status = {**found.patch, "conditions": conditions(job.status.get("conditions", ()), found.aspects, now)}
        if "phase" in status and (notices := noted(job, job.status | status, now)):
            status["callbacks"] = notices
        if any(job.status.get(name) != value for name, value in status.items()):
            command = Command("patchStatus", job.path, status, expected_version=job.version)
            await self._appender.write(Unit((command,), ACTOR, fence=fence))

    async def _inputs(self, job: Node, sources: Mapping[str, Node]) -> Waiting | Never | tuple[Document, ...] | None:
        """The files that it is given, or why it does not have them; None where that is no question."""
        if "inputs" not in job.spec or "inputs" in job.status:
            return None
        verdict = judge(job, sources)
        return await self._files(job, sources, verdict) if isinstance(verdict, Ready) else verdict

    async def _files(self, job: Node, sources: Mapping[str, Node], ready: Ready) -> tuple[Document, ...] | Never:
        attempts: dict[tuple[str, int], Node] = {}
        missing = {path: set(chunks) for path, chunks in ready.chunks.items() if "completion" in sources[path].spec}
        for path, chunks in ready.chunks.items():
            after, last = min(chunks) - 1, max(chunks)
            while after < last and (entries := await self._store.entries(sources[path].uid, after=after, limit=PAGE)):
                holders = {entry.holder: entry.index for entry in entries if entry.index in chunks}
                missing.get(path, set()).difference_update(e.index for e in entries if e.phase == SUCCEEDED)
                for holder, node in (await self._store.nodes(holders)).items():
                    attempts[path, holders[holder]] = node
                after = entries[-1].index
        return files_of(job, sources, attempts, missing)

    def _on_job(self, change: Change) -> Iterable[Wake]:
        job = change.node
        if job is not None and waits(job) and _is_asked(job, change):
            _note(self._waiting, job)
            yield Wake(job.path)
        if change.path in self._waiting and (
            job is None or job.phase in FINISHED or job.deletion_requested_at is not None
        ):
            for path in sorted(self._waiting.pop(change.path)):
                yield Wake(path)


def _is_asked(job: Node, change: Change) -> bool:
    """It is new, or goes on after it had failed."""
    return change.position == job.created_version or (job.phase == PENDING and job.generation > 1)


def _note(waiting: dict[str, set[str]], job: Node) -> None:
    for path in sources_of(job):
        waiting.setdefault(path, set()).add(job.path)
