"""deadlines: jobs that may take so long and no longer → how they end, in their status; what follows is others'."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Fence, Unit
from datamodel.kinds import SYSTEM, Document
from datamodel.node import Node
from datamodel.ports import Change, Store
from datamodel.reads import Reads
from datamodel.scheduling.answers import EDGES_LIMIT, Asked, Described, EdgesThat, answers, beside, described
from datamodel.scheduling.ending import QUEUE_DEADLINE_EXCEEDED
from datamodel.scheduling.forecasts import Foresight
from datamodel.scheduling.groups import group_path
from datamodel.scheduling.jobs import PENDING, RUNNING
from datamodel.scheduling.scheduler import SCHEDULER
from reconcilers.planning.deadlines import ending, is_timed, judge
from reconcilers.planning.rollup import conditions
from reconcilers.runtime.controller import Wake, Watch

PAGE = 1_000
ACTOR = Actor("deadlines", SYSTEM)


class Deadlines:
    """Decides how jobs end that take too long. The decision stays, whatever a clock says later; placement, retention and
    progress go by it. The key is the job's path."""

    name = "deadlines"
    shards = 4
    resync_s = 60.0

    def __init__(self, store: Store, appender: Appender, reads: Reads, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._appender = appender
        self._reads = reads
        self._clock = clock

    @property
    def watches(self) -> Mapping[str, Watch]:
        return {"Job": _timed_job}

    async def keys(self) -> list[str]:
        keys: list[str] = []
        after = ""
        while jobs := await self._store.list_nodes("Job", after=after, limit=PAGE, phases=("", PENDING, RUNNING)):
            keys.extend(job.path for job in jobs if is_timed(job))
            after = jobs[-1].path
        return keys

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        job = await self._reads.node(key)
        if job is None or not is_timed(job):
            return None
        now = self._clock()
        found = judge(job, await self._reads.totals(job.uid), now)
        if found.passed:
            edges = await self._edges(job) if found.passed == QUEUE_DEADLINE_EXCEEDED else ()
            decided = ending(job, found.passed, edges)
            aspects = [("Complete", "False", found.passed, decided["message"])]
            told = conditions(job.status.get("conditions", ()), aspects, now)
            await self._write(job, {"ending": decided, "conditions": told}, fence)
        elif found.queued is not None:
            await self._write(job, {"queued": found.queued}, fence)
        return found.recheck_s

    async def _write(self, job: Node, patch: Document, fence: Fence) -> None:
        command = Command("patchStatus", job.path, patch, expected_version=job.version, correlation=job.correlation)
        await self._appender.write(Unit((command,), ACTOR, fence=fence))

    async def _edges(self, job: Node) -> list[EdgesThat]:
        """What all edges say to a chunk of it."""
        group = group_path(job.path)
        above = await self._store.nodes([group, SCHEDULER])
        foresight = Foresight.of(above.get(SCHEDULER), self._clock())
        edges: list[Described] = []
        after = ""
        while len(edges) < EDGES_LIMIT and (found := await self._store.list_nodes("Edge", after=after, limit=PAGE)):
            nodes = await self._store.nodes(beside(found))
            edges += described(found, nodes, await self._store.pools([edge.path for edge in found]), foresight)
            after = found[-1].path
        return answers(edges, Asked.by(job, above.get(group)))


def _timed_job(change: Change) -> Iterable[Wake]:
    """With each change of one: whoever suspends, resumes or retries it moves its deadline."""
    job = change.node
    return (Wake(job.path),) if job is not None and is_timed(job) else ()
