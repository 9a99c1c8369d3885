"""placement: pending jobs + free capacity → attempts on edges.

One fenced shard does it. It keeps the waiting jobs and the edges' free capacity in memory and refreshes what changed from
the store before each round, so a round costs what changed. That it may be wrong is harmless: the rule book admits no
reservation above a capacity and no second attempt for a chunk.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

import structlog

from datamodel.appender import Appender
from datamodel.command import Actor, Fence, Outcome, Unit
from datamodel.errors import Conflict, NotFound
from datamodel.kinds import SYSTEM
from datamodel.ledger import Totals
from datamodel.node import Node
from datamodel.ports import Change, Store
from datamodel.scheduling.attempts import AGAIN, ENDED, RUN
from datamodel.scheduling.edges import desired_path, inventory_path, place_of
from datamodel.scheduling.ending import is_ending
from datamodel.scheduling.fitting import hindrance
from datamodel.scheduling.jobs import FINISHED, PENDING, RUNNING, SUCCEEDED
from reconcilers.failures import Retries, failed_for_good
from reconcilers.planning.backlog import Backlog, Chunk, PendingJob
from reconcilers.planning.inputs import is_unresolved
from reconcilers.planning.placement import Decision, FreeEdge, plan
from reconcilers.runtime.controller import Wake, Watch

KEY = "scheduler"
ROUND = 400
"""Placements decided and written at once."""
PAGE = 1_000
ACTOR = Actor("placement", SYSTEM)
_log = structlog.get_logger("placement")


class Placement:
    """Decides in rounds. What changed since the last one is noted by the watches, unless everything is to be read anyway: a
    replica without the lease would note for ever."""

    name = "placement"
    shards = 1
    resync_s = 60.0

    def __init__(self, store: Store, appender: Appender, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._appender = appender
        self._retries = Retries(store, clock)
        self._token = 0
        self._backlog = Backlog()
        self._edges: dict[str, FreeEdge] = {}
        self._changed_jobs: dict[str, Node | None] = {}
        self._changed_edges: set[str] = set()
        self._changed_pools: set[str] = set()

    @property
    def watches(self) -> Mapping[str, Watch]:
        return {
            "Job": self._on_job,
            "Attempt": self._on_attempt,
            "Edge": self._on_edge,
            "DesiredEdge": self._on_edge,
        }

    async def keys(self) -> list[str]:
        self._token = 0  # the resync reads everything again, so there is nothing to note until then
        self._changed_jobs, self._changed_edges, self._changed_pools = {}, set(), set()
        return [KEY]

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        del key  # there is only one
        if self._token != fence.token:
            await self._read_everything(fence)
        jobs, self._changed_jobs = self._changed_jobs | dict.fromkeys(self._retries.due()), {}
        edges, self._changed_edges = self._changed_edges, set()
        pools, self._changed_pools = self._changed_pools, set()
        try:
            await self._refresh_jobs(jobs)
            await self._refresh_edges(edges)
            if self._backlog:
                await self._refresh_pools(pools)
            else:
                self._changed_pools |= pools  # nobody asks what is free
            decisions = plan(self._backlog, [self._edges[path] for path in sorted(self._edges)], ROUND)
            if decisions:
                await self._carry_out(decisions, fence)
        except BaseException:
            self._changed_jobs = dict.fromkeys(jobs) | self._changed_jobs
            self._changed_edges |= edges
            self._changed_pools |= pools
            raise
        return 0.0 if decisions else self._retries.rest_s()

    async def _read_everything(self, fence: Fence) -> None:
        self._token = fence.token  # a resync that comes meanwhile sets it back
        try:
            await self._read_all()
        except BaseException:
            self._token = 0
            raise

    def _on_job(self, change: Change) -> Iterable[Wake]:
        """Of a new job all is known from the start; of others it matters only what placement looks at."""
        job, known = change.node, self._backlog.get(change.path)
        new = job is not None and job.version == job.created_version
        created = job is not None and change.position == job.created_version
        if job is not None and not created and job.deletion_requested_at is None:
            if known is None and job.generation == 1 and ("inputs" not in job.spec or job.phase == RUNNING):
                return ()  # it has all its chunks placed, and goes on; or waits for inputs, until they are there
            same = known is not None and job.generation == known.generation
            if same and job.phase not in FINISHED and not is_ending(job):
                return ()
        if self._token:
            self._changed_jobs[change.path] = job if new else None
        return (Wake(KEY),)

    def _on_attempt(self, change: Change) -> Iterable[Wake]:
        attempt = change.node
        if attempt is not None and attempt.version == attempt.created_version:
            return ()  # just placed, by this reconciler
        if not self._token:
            return (Wake(KEY),)
        ended = attempt is None or attempt.phase in ENDED
        if attempt is not None and (ended or attempt.spec["intent"] != RUN) and attempt.phase != SUCCEEDED:
            self._changed_jobs[attempt.spec["job"]] = None
        elif not ended:
            return ()
        self._changed_pools.add(desired_path(*place_of(change.path)))
        return (Wake(KEY),)

    def _on_edge(self, change: Change) -> Iterable[Wake]:
        if self._token:
            self._changed_edges.add(desired_path(*place_of(change.path)))
        return (Wake(KEY),)

    async def _read_all(self) -> None:
        self._backlog, self._edges = Backlog(), {}
        self._changed_jobs, self._changed_edges, self._changed_pools = {}, set(), set()
        after = ""
        while jobs := await self._store.list_nodes("Job", after=after, limit=PAGE, phases=("", PENDING, RUNNING)):
            await self._put_jobs(jobs)
            after = jobs[-1].path
        after = ""
        while edges := await self._store.list_nodes("DesiredEdge", after=after, limit=PAGE):
            await self._refresh_edges({edge.path for edge in edges})
            after = edges[-1].path

    async def _refresh_jobs(self, changed: Mapping[str, Node | None]) -> None:
        for job in changed.values():
            if job is not None and _is_wanted(job):
                self._backlog.put(PendingJob.of(job, 0, ()))
        paths = [path for path, job in changed.items() if job is None]
        if not paths:
            return
        found = await self._store.nodes(paths)
        for path in paths:
            if path not in found:
                self._backlog.drop(path)
                self._retries.forget(path)
        await self._put_jobs(list(found.values()))

    async def _put_jobs(self, jobs: list[Node]) -> None:
        totals = await self._store.totals([job.uid for job in jobs])
        for job in jobs:
            total = totals.get(job.uid, Totals())
            if not _is_wanted(job) or await failed_for_good(self._store, job, total):
                self._backlog.drop(job.path)
                self._retries.forget(job.path)
                continue
            retries: tuple[Chunk, ...] = ()
            if any(total.phases.get(phase) for phase in AGAIN):
                retries = await self._retries.of(job)
                if len(retries) == PAGE:
                    self._changed_jobs[job.path] = None
            self._backlog.put(PendingJob.of(job, total.entries, retries))

    async def _refresh_edges(self, paths: set[str]) -> None:
        if not paths:
            return
        inventory = {path: inventory_path(*place_of(path)) for path in paths}
        nodes = await self._store.nodes({*paths, *inventory.values()})
        pools = await self._store.pools(inventory.values())
        for path, described in inventory.items():
            edge, desired, pool = nodes.get(described), nodes.get(path), pools.get(described)
            if pool is None or hindrance(edge, desired, pool) is not None:
                self._edges.pop(path, None)
            else:
                self._edges[path] = FreeEdge(path, pool.free)

    async def _refresh_pools(self, paths: set[str]) -> None:
        """Of edges of which nothing else has changed."""
        known = {inventory_path(*place_of(path)): path for path in paths & self._edges.keys()}
        if known:
            for described, pool in (await self._store.pools(known)).items():
                self._edges[known[described]] = FreeEdge(known[described], pool.free)

    async def _carry_out(self, decisions: list[Decision], fence: Fence) -> None:
        """Writes the decisions and takes what the rule book made of them into the memory. A refused one makes its job and
        its edge be read again."""
        commands = tuple(decision.command() for decision in decisions)
        outcome = await self._appender.append(Unit(commands, ACTOR, atomic=False, fence=fence))
        self._remember(decisions, outcome)

    def _remember(self, decisions: list[Decision], outcome: Outcome) -> None:
        placed: dict[str, list[Chunk]] = {}
        for decision, verdict in zip(decisions, outcome, strict=True):
            if isinstance(verdict.error, Conflict | NotFound):
                self._changed_jobs[decision.job.path] = None
                self._changed_edges.add(decision.edge)
                continue
            if verdict.error is not None:  # no present would admit it: it must not keep the others waiting
                _log.error("a job cannot be placed", job=decision.job.path, error=str(verdict.error))
                self._backlog.drop(decision.job.path)
                continue
            placed.setdefault(decision.job.path, []).append(decision.chunk)
            edge = self._edges.get(decision.edge)
            if edge is not None:
                free = {name: edge.free[name] - amount for name, amount in decision.job.signature}
                self._edges[decision.edge] = FreeEdge(decision.edge, free)
        for path, chunks in placed.items():
            job = self._backlog.get(path)
            if job is not None:
                self._backlog.put(job.without(chunks))


def _is_wanted(job: Node) -> bool:
    """Whether chunks of it may be placed, unless it has failed."""
    if is_unresolved(job) or is_ending(job) or job.spec.get("intent", RUN) != RUN:
        return False
    return job.phase not in FINISHED and job.deletion_requested_at is None
