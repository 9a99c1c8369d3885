"""placement: pending jobs + free capacity → attempts on edges.

One fenced shard does it. It keeps the waiting jobs and the edges' free capacity in memory and refreshes what changed from
the store before each round, so a round costs what changed. That it may be wrong is harmless: the rule book admits no
reservation above a capacity and no second attempt for a chunk.
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec
import structlog

from datamodel.appender import Appender
from datamodel.command import Actor, Fence, Outcome, Unit
from datamodel.errors import Conflict, NotFound
from datamodel.node import Node
from datamodel.ports import Message, Store
from datamodel.scheduling.attempts import ENDED, RETRY
from datamodel.scheduling.edges import ONLINE, desired_path, inventory_path, place_of
from datamodel.scheduling.jobs import FAILED, FINISHED, PENDING, RUNNING
from datamodel.scheduling.planes import SYSTEM
from reconcilers.planning.backlog import Backlog, Chunk, PendingJob, signature_of
from reconcilers.planning.placement import Decision, FreeEdge, plan

KEY = "scheduler"
ROUND = 400
"""Placements decided and written at once."""
PAGE = 1_000
ACTOR = Actor("placement", SYSTEM)
_log = structlog.get_logger("placement")


class _Phase(msgspec.Struct):
    phase: str = ""


class _Intent(msgspec.Struct):
    job: str
    intent: str = "run"


_phase = msgspec.json.Decoder(_Phase).decode
_intent = msgspec.json.Decoder(_Intent).decode


class Placement:
    """Decides in rounds. What changed since the last one is noted by the watches."""

    name = "placement"
    shards = 1
    resync_s = 60.0

    def __init__(self, store: Store, appender: Appender) -> None:
        self._store = store
        self._appender = appender
        self._token = 0
        self._backlog = Backlog()
        self._edges: dict[str, FreeEdge] = {}
        self._changed_jobs: set[str] = set()
        self._changed_edges: set[str] = set()

    @property
    def watches(self) -> Mapping[str, Callable[[Message], Iterable[str]]]:
        return {
            "Job": self._on_job,
            "Attempt": self._on_attempt,
            "Edge": self._on_edge,
            "DesiredEdge": self._on_edge,
        }

    async def keys(self) -> list[str]:
        self._token = 0  # the resync reads everything again
        return [KEY]

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        del key  # there is only one
        if self._token != fence.token:
            await self._read_everything(fence)
        jobs, self._changed_jobs = self._changed_jobs, set()
        edges, self._changed_edges = self._changed_edges, set()
        try:
            await self._refresh_jobs(jobs)
            await self._refresh_edges(edges)
            decisions = plan(self._backlog, [self._edges[path] for path in sorted(self._edges)], ROUND)
            if decisions:
                await self._carry_out(decisions, fence)
        except BaseException:
            self._changed_jobs |= jobs
            self._changed_edges |= edges
            raise
        return 0.0 if decisions else None

    async def _read_everything(self, fence: Fence) -> None:
        self._token = fence.token  # a resync that comes meanwhile sets it back
        try:
            await self._read_all()
        except BaseException:
            self._token = 0
            raise

    def _on_job(self, message: Message) -> Iterable[str]:
        known = self._backlog.get(message.path)
        goes_on = not message.deleted and message.deletion_requested_at is None
        if known is not None and goes_on and _phase(message.status).phase not in FINISHED:
            return ()  # its own progress: nothing about it that placement looks at
        self._changed_jobs.add(message.path)
        return (KEY,)

    def _on_attempt(self, message: Message) -> Iterable[str]:
        if message.version == message.created_version:
            return ()  # just placed, by this reconciler
        phase = "" if message.deleted else _phase(message.status).phase
        wanted = None if message.deleted else _intent(message.spec)
        if wanted is not None and (phase in ENDED or wanted.intent != "run") and phase != "succeeded":
            self._changed_jobs.add(wanted.job)
        elif phase not in ENDED and not message.deleted:
            return ()
        self._changed_edges.add(desired_path(*place_of(message.path)))
        return (KEY,)

    def _on_edge(self, message: Message) -> Iterable[str]:
        self._changed_edges.add(desired_path(*place_of(message.path)))
        return (KEY,)

    async def _read_all(self) -> None:
        self._backlog, self._edges = Backlog(), {}
        self._changed_jobs, self._changed_edges = set(), set()
        after = ""
        while jobs := await self._store.list_nodes("Job", after=after, limit=PAGE, phases=("", PENDING, RUNNING)):
            await self._put_jobs(jobs)
            after = jobs[-1].path
        after = ""
        while edges := await self._store.list_nodes("DesiredEdge", after=after, limit=PAGE):
            await self._refresh_edges({edge.path for edge in edges})
            after = edges[-1].path

    async def _refresh_jobs(self, paths: set[str]) -> None:
        if not paths:
            return
        found = await self._store.nodes(paths)
        for path in paths - found.keys():
            self._backlog.drop(path)
        await self._put_jobs(list(found.values()))

    async def _put_jobs(self, jobs: list[Node]) -> None:
        totals = await self._store.totals([job.uid for job in jobs])
        for job in jobs:
            total = totals.get(job.uid)
            phases = total.phases if total is not None else {}
            if job.phase in FINISHED or job.deletion_requested_at is not None or phases.get(FAILED):
                self._backlog.drop(job.path)
                continue
            retries: tuple[Chunk, ...] = ()
            if phases.get(RETRY):
                waiting = await self._store.entries(job.uid, phases=(RETRY,), limit=PAGE)
                retries = tuple(Chunk(entry.index, entry.epoch + 1) for entry in waiting)
                if len(waiting) == PAGE:
                    self._changed_jobs.add(job.path)
            begun = total.entries if total is not None else 0
            self._backlog.put(
                PendingJob(job.path, job.uid, job.created_version, job.spec, signature_of(job.spec), begun, retries)
            )

    async def _refresh_edges(self, paths: set[str]) -> None:
        if not paths:
            return
        inventory = {path: inventory_path(*place_of(path)) for path in paths}
        nodes = await self._store.nodes({*paths, *inventory.values()})
        pools = await self._store.pools(inventory.values())
        for path, described in inventory.items():
            edge, desired, pool = nodes.get(described), nodes.get(path), pools.get(described)
            takes = edge is not None and edge.phase == ONLINE and desired is not None and not desired.spec["cordoned"]
            if not takes or pool is None:
                self._edges.pop(path, None)
                continue
            free = {name: amount - pool.used.get(name, 0) for name, amount in pool.capacity.items()}
            self._edges[path] = FreeEdge(path, free)

    async def _carry_out(self, decisions: list[Decision], fence: Fence) -> None:
        """Writes the decisions and takes what the rule book made of them into the memory. A refused one makes its job and
        its edge be read again."""
        commands = tuple(decision.command() for decision in decisions)
        outcome = await self._appender.append(Unit(commands, ACTOR, atomic=False, cause="placement", fence=fence))
        self._remember(decisions, outcome)

    def _remember(self, decisions: list[Decision], outcome: Outcome) -> None:
        placed: dict[str, list[Chunk]] = {}
        for decision, verdict in zip(decisions, outcome, strict=True):
            if isinstance(verdict.error, Conflict | NotFound):
                self._changed_jobs.add(decision.job.path)
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
