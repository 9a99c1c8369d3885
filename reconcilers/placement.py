"""placement: pending jobs + free capacity → attempts on edges.

One fenced shard does it. It keeps the waiting jobs and the edges' free capacity in memory and makes them true again where
something has changed before each round, so a round costs what changed. That it may be wrong is harmless: the rule book admits
no reservation above a capacity and no second attempt for a chunk.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

import structlog

from datamodel.appender import Appender
from datamodel.command import Actor, Fence, Unit, Verdict
from datamodel.errors import Conflict, NotFound, Transient
from datamodel.kinds import SYSTEM
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.ports import Change, Store
from datamodel.scheduling.attempts import ENDED, RUN
from datamodel.scheduling.beginning import may_be_held
from datamodel.scheduling.edges import desired_path, place_of
from datamodel.scheduling.ending import is_ending
from datamodel.scheduling.jobs import FINISHED, RUNNING, SUCCEEDED
from reconcilers.failures import Retries
from reconcilers.planning.decisions import Decision
from reconcilers.planning.placement import plan
from reconcilers.planning.splitting import splitting
from reconcilers.reasons import Reasons
from reconcilers.rooms import Rooms
from reconcilers.runtime.controller import Wake, Watch
from reconcilers.snapshot import Snapshot

KEY = "scheduler"
ROUND = 400
"""Placements decided and written at once."""
ACTOR = Actor("placement", SYSTEM)
_log = structlog.get_logger("placement")


class _Changed:
    """What has changed since the last round."""

    def __init__(self) -> None:
        self.jobs: dict[str, Node | None] = {}
        self.groups: set[str] = set()
        self.sites: set[str] = set()
        self.edges: set[str] = set()
        self.pools: set[str] = set()
        self.ended: set[str] = set()
        """Attempts: those that nobody wants any more, too."""
        self.held: dict[str, Node] = {}
        """Attempts that are wanted again."""
        self.unsure: set[str] = set()
        """Attempts of which nobody knows whether they were written."""

    def wants(self, attempt: Node) -> None:
        self.ended.discard(attempt.path)
        self.held[attempt.path] = attempt

    def wants_no_more(self, attempt: str) -> None:
        self.held.pop(attempt, None)
        self.ended.add(attempt)

    def add(self, before: "_Changed") -> None:
        """What had changed before, and still has to be looked at."""
        self.jobs = dict.fromkeys(before.jobs) | self.jobs
        self.groups |= before.groups
        self.sites |= before.sites
        self.edges |= before.edges
        self.pools |= before.pools
        self.ended |= before.ended.difference(self.held)
        self.unsure |= before.unsure
        self.held = {path: node for path, node in before.held.items() if path not in self.ended} | self.held


class Placement:
    """Decides in rounds. What changed since the last one is noted by the watches, unless everything is to be read anyway: a
    replica without the lease would note for ever."""

    name = "placement"
    shards = 1
    resync_s = 300.0

    def __init__(self, store: Store, appender: Appender, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._appender = appender
        self._clock = clock
        self._retries = Retries(store, clock)
        self._reasons = Reasons(store, appender, self._retries, clock)
        self._token = 0
        self._snapshot: Snapshot | None = None
        self._rooms = Rooms(store, appender, ACTOR)
        self._scheduler = 0
        """The generation of its node that is worked with."""
        self._changed = _Changed()

    @property
    def watches(self) -> Mapping[str, Watch]:
        return {
            "Job": self._on_job,
            "JobGroup": self._on_group,
            "Scheduler": self._on_scheduler,
            "Attempt": self._on_attempt,
            "Edge": self._on_edge,
            "DesiredEdge": self._on_edge,
            "SiteConfig": self._on_site,
            "EdgeConfig": self._on_edge,
        }

    async def keys(self) -> list[str]:
        self._forget()  # the resync reads everything again, so there is nothing to note until then
        return [KEY]

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        del key  # there is only one
        snapshot = self._snapshot
        if self._token != fence.token or snapshot is None:
            snapshot = await self._read(fence)
        changed, self._changed = self._changed, _Changed()
        changed.jobs |= dict.fromkeys(self._retries.due())
        changed.edges |= snapshot.foreseen()
        try:
            await self._refresh(snapshot, changed)
            is_open = not snapshot.paused and bool(snapshot.backlog)
            rest_s = await self._round(snapshot, fence) if is_open else None
        except BaseException:
            self._changed.add(changed)
            raise
        told_s = await self._reasons.tell(snapshot, fence)
        return min((one for one in (rest_s, told_s, snapshot.rest_s()) if one is not None), default=None)

    async def _round(self, snapshot: Snapshot, fence: Fence) -> float | None:
        """Decides and carries out; in how many seconds there may be more to decide, whatever changes."""
        with snapshot.fleet.draft() as draft:
            found = plan(
                snapshot.backlog,
                snapshot.fleet,
                snapshot.usage,
                snapshot.terms,
                order=snapshot.order,
                limit=ROUND,
                margin=snapshot.margin,
            )
            placed = await self._carry_out(snapshot, found.decisions, fence)
            if len(placed) == len(found.decisions):
                draft.keep()
                snapshot.fleet.know_barren(found.barren)
                for asker, left in found.served.items():
                    snapshot.fleet.forget(asker, left)
        if not draft.is_kept:
            for decision in placed:
                snapshot.fleet.take(decision.edge, decision.job.signature)
        rest_s = await self._rooms.make(snapshot, found, placed, fence)
        return 0.0 if found.decisions else rest_s

    def _forget(self) -> None:
        if self._snapshot is not None:
            self._rooms.leave(self._snapshot.fleet)
        self._token, self._snapshot, self._changed = 0, None, _Changed()

    async def _read(self, fence: Fence) -> Snapshot:
        self._forget()
        self._token = fence.token  # from now on changes are noted; a resync that comes meanwhile sets it back
        try:
            snapshot = await Snapshot.read(self._store, self._retries, self._clock)
        except BaseException:
            self._forget()
            raise
        self._rooms.enter(snapshot.fleet)
        self._snapshot = snapshot if self._token else None
        return snapshot

    async def _refresh(self, snapshot: Snapshot, changed: _Changed) -> None:
        snapshot.end(changed.ended)
        snapshot.hold(changed.held.values())
        await self._make_sure(snapshot, changed)
        await snapshot.refresh_groups(changed.groups)
        await snapshot.refresh_jobs(changed.jobs)
        edges = changed.edges | {edge for site in changed.sites for edge in snapshot.edges_of(site)}
        await snapshot.refresh_edges(edges)
        if snapshot.backlog:
            await snapshot.refresh_pools(changed.pools)
        else:
            self._changed.pools |= changed.pools  # nobody asks what is free
        self._changed.jobs |= dict.fromkeys(snapshot.unfinished)
        snapshot.unfinished.clear()

    async def _make_sure(self, snapshot: Snapshot, changed: _Changed) -> None:
        """Takes what was written, and its answer lost, into the memory."""
        found = await self._store.nodes(changed.unsure) if changed.unsure else {}
        snapshot.hold(attempt for attempt in found.values() if attempt.phase not in ENDED)
        changed.jobs |= {attempt.spec["job"]: None for attempt in found.values()}
        changed.edges |= {desired_path(*place_of(path)) for path in found}

    def _on_job(self, change: Change) -> Iterable[Wake]:
        """Of a new job all is known from the start; of others it matters only what placement looks at."""
        snapshot = self._snapshot
        job, known = change.node, snapshot.backlog.get(change.path) if snapshot is not None else None
        new = job is not None and job.version == job.created_version
        created = job is not None and change.position == job.created_version
        if job is not None and not created and not is_ending(job) and job.deletion_requested_at is None:
            if known is None and job.generation == 1 and (not may_be_held(job.spec) or job.phase == RUNNING):
                return ()  # it has all its chunks placed, and goes on; or is held back, until it is not
            if known is not None and job.generation == known.generation and job.phase not in FINISHED:
                if snapshot is not None:
                    snapshot.renew(job)  # its attempts have its labels
                return ()
        if self._token:
            self._changed.jobs[change.path] = job if new else None
        return (Wake(KEY),)

    def _on_attempt(self, change: Change) -> Iterable[Wake]:
        attempt = change.node
        if attempt is not None and attempt.version == attempt.created_version:
            return ()  # just placed, by this reconciler
        if not self._token:
            return (Wake(KEY),)
        ended = attempt is None or attempt.phase in ENDED
        if attempt is not None and (ended or attempt.spec["intent"] != RUN):
            throttled = self._snapshot is None or self._snapshot.is_throttled(attempt.spec["job"])
            if (
                throttled or attempt.phase != SUCCEEDED or attempt.spec["intent"] != RUN
            ):  # it may have waited for another
                self._changed.jobs[attempt.spec["job"]] = None
        elif not ended:
            if attempt is not None and not self._is_held(change.path):
                self._changed.wants(attempt)  # it had been given up with its edge, which is back
            return ()
        self._changed.wants_no_more(change.path)
        self._changed.pools.add(desired_path(*place_of(change.path)))
        return (Wake(KEY),)

    def _is_held(self, attempt: str) -> bool:
        snapshot = self._snapshot
        is_known = snapshot is not None and attempt in snapshot.usage
        return is_known and attempt not in self._changed.ended

    def _on_edge(self, change: Change) -> Iterable[Wake]:
        if self._token:
            self._changed.edges.add(desired_path(*place_of(change.path)))
        return (Wake(KEY),)

    def _on_site(self, change: Change) -> Iterable[Wake]:
        if self._token:
            self._changed.sites.add(last_name(change.path))
        return (Wake(KEY),)

    def _on_group(self, change: Change) -> Iterable[Wake]:
        if self._token:
            self._changed.groups.add(last_name(change.path))
        return (Wake(KEY),)

    def _on_scheduler(self, change: Change) -> Iterable[Wake]:
        """Its status is written every few seconds; how jobs go before each other is another matter, and everything's."""
        generation = change.node.generation if change.node is not None else 0
        if generation == self._scheduler:
            return ()
        self._scheduler = generation
        self._forget()
        return (Wake(KEY),)

    async def _carry_out(self, snapshot: Snapshot, decisions: Sequence[Decision], fence: Fence) -> list[Decision]:
        """Writes the decisions and takes what the rule book made of them into the memory; those that were admitted. A refused
        one makes its job and its edge be read again."""
        if not decisions:
            return []
        jobs = await snapshot.nodes_of(decisions)
        for decision in decisions:
            if decision.job.path not in jobs:
                snapshot.drop(decision.job.path)
        units: dict[str, list[Decision]] = {}
        for decision in decisions:
            if decision.job.path in jobs:
                units.setdefault(decision.job.path if decision.job.is_at_once else "", []).append(decision)
        placed: list[Decision] = []
        for at_once, together in units.items():
            first = splitting(jobs[at_once], together[0].job) if at_once else ()
            commands = tuple(decision.command(jobs[decision.job.path]) for decision in together)
            unit = Unit((*first, *commands), ACTOR, atomic=bool(at_once), fence=fence)
            try:
                verdicts = await self._appender.append(unit)
            except Transient:
                self._changed.unsure |= {decision.attempt for decision in together}
                self._changed.edges |= {decision.edge for decision in placed}
                raise
            placed += self._remember(snapshot, together, verdicts[len(first) :])
        return placed

    def _remember(
        self, snapshot: Snapshot, decisions: Sequence[Decision], verdicts: Sequence[Verdict]
    ) -> list[Decision]:
        """Those that were admitted."""
        placed = []
        for decision, verdict in zip(decisions, verdicts, strict=True):
            if verdict.error is None:
                placed.append(decision)
            elif isinstance(verdict.error, Conflict | NotFound):
                self._changed.jobs[decision.job.path] = None
                self._changed.edges.add(decision.edge)
            else:  # no present would admit it: it must not keep the others waiting
                _log.error("a job cannot be placed", job=decision.job.path, error=str(verdict.error))
                snapshot.drop(decision.job.path)
        snapshot.placed(placed)
        return placed
