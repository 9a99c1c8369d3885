"""What placement knows of the present: kept from round to round, and made true again where something has changed."""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime

from datamodel.kinds import Document
from datamodel.ledger import Totals
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.scheduling.attempts import AGAIN, PLACED, RUN
from datamodel.scheduling.beginning import is_held
from datamodel.scheduling.edges import desired_path, inventory_path, place_of
from datamodel.scheduling.ending import is_ending
from datamodel.scheduling.fitting import Hindrance, hindrance
from datamodel.scheduling.groups import group_path
from datamodel.scheduling.jobs import FINISHED, PENDING, RUNNING
from datamodel.scheduling.placing import labels_of
from datamodel.scheduling.scheduler import AGEING_S, BEST_FIT, FAIR_SHARE, HOLD_AFTER_S, PRIORITY_DEFAULT, SCHEDULER
from datamodel.scheduling.service import config_paths
from reconcilers.failures import PAGE, Retries, failed_for_good
from reconcilers.planning.backlog import Backlog, Chunk, PendingJob, Ranking, signature_of
from reconcilers.planning.decisions import Decision
from reconcilers.planning.fleet import Fleet
from reconcilers.planning.forecasts import Forecasts
from reconcilers.planning.images import Images
from reconcilers.planning.turns import Terms
from reconcilers.planning.usage import Held, Usage
from reconcilers.planning.views import Edge

NODES_KEPT = 10_000
"""Jobs whose nodes are at hand when they are placed. Of more, nodes are read again then: there may be a million."""


class Snapshot:
    """The present, as of what it was told to read. Made by `read`."""

    def __init__(self, store: Store, retries: Retries, scheduler: Document, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._retries = retries
        self.paused: bool = scheduler.get("paused", False)
        self.hold_after_s: float = scheduler.get("holdAfterS", HOLD_AFTER_S)
        self.preemption: Document | None = scheduler.get("preemption")
        self.order: str = scheduler.get("order", FAIR_SHARE)
        self.margin: int | None = self.preemption["margin"] if self.preemption is not None else None
        self.ranking = Ranking(self.order, scheduler.get("ageingS", AGEING_S), self.margin)
        self.backlog = Backlog()
        self.fleet = Fleet(scheduler.get("policy", BEST_FIT))
        self.usage = Usage()
        self.terms: dict[str, Terms] = {}
        self.unfinished: set[str] = set()
        """Jobs of which there may be more to read than was read."""
        self.barred: dict[str, Hindrance] = {}
        """Edges that take nothing new, by the paths of their desired nodes, and why."""
        self._groups: dict[str, Document] = {}
        self._throttled: set[str] = set()
        self._nodes: dict[str, Node] = {}
        self._images = Images()
        self._forecasts = Forecasts(scheduler.get("forecastHorizonS"), clock)

    @classmethod
    async def read(cls, store: Store, retries: Retries, clock: Callable[[], datetime]) -> "Snapshot":
        """All of it, and jobs last: for them it matters what edges have, and what their groups may have."""
        scheduler = (await store.nodes([SCHEDULER])).get(SCHEDULER)
        found = cls(store, retries, scheduler.spec if scheduler is not None else {}, clock)
        after = ""
        while attempts := await store.list_nodes("Attempt", after=after, limit=PAGE, phases=("", PENDING, RUNNING)):
            found.hold(attempts)
            after = attempts[-1].path
        after = ""
        while edges := await store.list_nodes("DesiredEdge", after=after, limit=PAGE):
            await found.refresh_edges({edge.path for edge in edges})
            after = edges[-1].path
        after = ""
        while groups := await store.list_nodes("JobGroup", after=after, limit=PAGE):
            found._put_groups(groups)
            after = groups[-1].path
        after = ""
        while jobs := await store.list_nodes("Job", after=after, limit=PAGE, phases=("", PENDING, RUNNING)):
            # Once more, of these: a group may have been made, or told otherwise, since all were read, and a job in it then.
            found._put_groups((await store.nodes(sorted({group_path(job.path) for job in jobs}))).values())
            await found._put_jobs(jobs)
            after = jobs[-1].path
        return found

    async def refresh_jobs(self, changed: Mapping[str, Node | None]) -> None:
        """Those of which a node is given are new, and that is all there is of them."""
        for job in changed.values():
            if job is not None and is_wanted(job):
                self._put_job(job, 0, ())
        paths = [path for path, job in changed.items() if job is None]
        if not paths:
            return
        found = await self._store.nodes(paths)
        for path in paths:
            if path not in found:
                self.drop(path)
        await self._put_jobs(list(found.values()))

    async def refresh_groups(self, names: Collection[str]) -> None:
        """The groups' terms; where its jobs may go elsewhere than before, all that wait are read again."""
        paths = [f"/config/job-groups/{name}" for name in sorted(names)]
        found = await self._store.nodes(paths) if paths else {}
        for path in paths:
            name = path.rpartition("/")[2]
            before = self._groups.get(path, {}).get("sites")
            self._groups.pop(path, None)
            self.terms.pop(name, None)
            if path in found:
                self._put_groups([found[path]])
            if self._groups.get(path, {}).get("sites") != before:
                await self.refresh_jobs(dict.fromkeys(self.backlog.of_group(name)))

    async def refresh_edges(self, paths: Collection[str]) -> None:
        """What is asked of edges, what they say of themselves, and what is free there. `paths` are those of their desired
        nodes."""
        if not paths:
            return
        names = {path: place_of(path) for path in paths}
        described = {path: inventory_path(*names[path]) for path in paths}
        asked = {path: config_paths(*names[path]) for path in paths}
        nodes = await self._store.nodes(
            {*paths, *described.values(), *(path for both in asked.values() for path in both)}
        )
        pools = await self._store.pools(described.values())
        for path in sorted(paths):
            edge, desired, pool = nodes.get(described[path]), nodes.get(path), pools.get(described[path])
            self.barred.pop(path, None)
            stands = hindrance(edge, desired, pool)
            if edge is None or pool is None or stands is not None:
                self.fleet.drop(path)
                if edge is not None and stands is not None:
                    self.barred[path] = stands
                self._images.drop(path)
                self._forecasts.drop(path)
                continue
            labels = labels_of(edge, *(nodes.get(config) for config in asked[path]))
            carbon, images = edge.spec.get("carbonGPerKwh"), self._images.put(path, edge.spec.get("images", ()))
            self._forecasts.put(path, edge.spec)
            free = self._forecasts.counted_on(path, pool).free
            self.fleet.put(Edge(path, names[path][0], labels, pool.capacity, carbon, images), free)

    async def refresh_pools(self, paths: Collection[str]) -> None:
        """What is free of edges of which nothing else has changed."""
        known = {inventory_path(*place_of(path)): path for path in sorted(paths) if path in self.fleet.edges}
        if known:
            for described, pool in (await self._store.pools(known)).items():
                self.fleet.set_free(known[described], self._forecasts.counted_on(known[described], pool).free)

    def end(self, attempts: Iterable[str]) -> None:
        """They hold nothing any more that counts against anybody: they have ended, or nobody wants them. What they still
        reserve of their edges is the pools' matter."""
        for attempt in attempts:
            self.usage.remove(attempt)

    def hold(self, attempts: Iterable[Node]) -> None:
        """They hold what they ask for, where they are wanted."""
        for attempt in attempts:
            if attempt.spec["intent"] != RUN:
                continue
            place = desired_path(*place_of(attempt.path))
            priority = attempt.spec.get("priority", PRIORITY_DEFAULT)
            self.usage.add(attempt.path, Held(attempt.spec["job"], place, signature_of(attempt.spec), priority))

    def is_throttled(self, job: str) -> bool:
        """Whether the end of one of its attempts makes room for another of its chunks."""
        return job in self._throttled

    def foreseen(self) -> set[str]:
        """The edges with whose power something else may be counted on than when they were looked at."""
        return self._forecasts.due()

    def rest_s(self) -> float | None:
        """In how many seconds time alone may let something more be placed, or less."""
        rests = (self._retries.rest_s(), self._forecasts.rest_s())
        return min((rest for rest in rests if rest is not None), default=None)

    def edges_of(self, site: str) -> list[str]:
        """The edges of a site that take work."""
        return [path for path, edge in self.fleet.edges.items() if edge.site == site]

    async def nodes_of(self, decisions: Iterable[Decision]) -> dict[str, Node]:
        """The jobs that are placed, by path, but for those that are gone."""
        paths = {decision.job.path for decision in decisions}
        missing = [path for path in paths if path not in self._nodes]
        found = {path: self._nodes[path] for path in paths if path in self._nodes}
        return found | await self._store.nodes(missing) if missing else found

    def placed(self, decisions: Iterable[Decision]) -> None:
        """What was decided is so now. That the fleet has less room is another's to say."""
        by_job: dict[str, list[Chunk]] = {}
        for decision in decisions:
            job = decision.job
            by_job.setdefault(job.path, []).append(decision.chunk)
            self.usage.add(decision.attempt, Held(job.path, decision.edge, job.signature, job.priority))
            unsplit = self.backlog.get(job.path) if job.most is not None else None
            if unsplit is not None and unsplit.most is not None:
                self.backlog.put(job.settled())
        for path, chunks in by_job.items():
            pending = self.backlog.get(path)
            if pending is not None:
                self._put(pending.without(chunks))

    def renew(self, job: Node) -> None:
        """What is at hand of a job that waits, as it is now: nothing that placement goes by has changed of it."""
        if job.path in self._nodes:
            self._nodes[job.path] = job

    def drop(self, path: str) -> None:
        """Nothing more of the job is to be placed."""
        self.backlog.drop(path)
        self._retries.forget(path)
        self._nodes.pop(path, None)
        self._throttled.discard(path)

    async def _put_jobs(self, jobs: list[Node]) -> None:
        totals = await self._store.totals([job.uid for job in jobs])
        for job in jobs:
            total = totals.get(job.uid, Totals())
            if not is_wanted(job) or await failed_for_good(self._store, job, total):
                self.drop(job.path)
                continue
            retries: tuple[Chunk, ...] = ()
            if any(total.phases.get(phase) for phase in AGAIN):
                retries = await self._retries.of(job)
                if len(retries) == PAGE:
                    self.unfinished.add(job.path)
            in_flight = total.phases.get(PLACED, 0) + total.phases.get(RUNNING, 0)
            self._put_job(job, total.entries, retries, in_flight)

    def _put_job(self, job: Node, begun: int, retries: tuple[Chunk, ...], in_flight: int = 0) -> None:
        if "maxParallel" in job.spec:
            self._throttled.add(job.path)
        group, images = self._groups.get(group_path(job.path), {}), self._images.preferred(job.spec)
        pending = PendingJob.of(
            job, begun, retries, ranking=self.ranking, group=group, in_flight=in_flight, images=images
        )
        self._nodes[job.path] = job
        if len(self._nodes) > NODES_KEPT:
            del self._nodes[next(iter(self._nodes))]
        self._put(pending)

    def _put(self, pending: PendingJob) -> None:
        self.backlog.put(pending)
        if not pending.waiting:
            self._nodes.pop(pending.path, None)

    def _put_groups(self, groups: Iterable[Node]) -> None:
        for group in groups:
            self._groups[group.path] = group.spec
            terms = Terms.of(group.spec)
            if terms != Terms():
                self.terms[group.path.rpartition("/")[2]] = terms


def is_wanted(job: Node) -> bool:
    """Whether chunks of it may be placed, unless it has failed."""
    if is_held(job) or is_ending(job) or job.spec.get("intent", RUN) != RUN:
        return False
    return job.phase not in FINISHED and job.deletion_requested_at is None
