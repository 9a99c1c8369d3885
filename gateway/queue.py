"""What is told of jobs that wait for an edge: why, what goes before them, what would have to change, when they may start."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from datamodel.kinds import Amounts, Document
from datamodel.ledger import Totals
from datamodel.node import Node
from datamodel.ports import Placement
from datamodel.scheduling.answers import EDGES_LIMIT, Asked, Described, EdgesThat, Tally, beside, described, tallied
from datamodel.scheduling.attempts import PLACED, RETRY
from datamodel.scheduling.changing import Change, changes, nearest_edge
from datamodel.scheduling.ending import is_ending
from datamodel.scheduling.fitting import hindrance
from datamodel.scheduling.forecasts import Foresight
from datamodel.scheduling.groups import group_path
from datamodel.scheduling.jobs import PENDING, RUN, RUNNING
from datamodel.scheduling.order import rank_of
from datamodel.scheduling.queueing import Ahead, Group, Queued, ahead_of
from datamodel.scheduling.resources import amounts, quota_of
from datamodel.scheduling.scheduler import AGEING_S, FAIR_SHARE, SCHEDULER
from datamodel.scheduling.splitting import chunks_of
from datamodel.scheduling.starting import Start, start_of
from datamodel.scheduling.waiting import JOBS_LIMIT, QUOTA, Reason, Standing, bars, told_of, waits, why
from gateway.seeing import Seen

QUEUE_LIMIT = 2_000
"""Jobs that are looked at for what goes before one. Of more, at least so much is told."""


@dataclass(frozen=True, slots=True)
class Waits:
    """What is told of a job that waits."""

    edges: list[EdgesThat]
    reason: Reason
    ahead: Ahead
    changes: list[Change]
    start: Start


@dataclass(slots=True)
class _Queue:
    """All that waits and holds something, as far as it was looked at."""

    scheduler: Document
    chunks_per_minute: float
    groups: dict[str, Node] = field(default_factory=dict)
    waiting: list[Queued] = field(default_factory=list)
    used: dict[str, dict[str, int]] = field(default_factory=dict)
    """By group, what its jobs hold."""
    jobs: dict[str, int] = field(default_factory=dict)
    """By group, how many of its jobs hold something."""
    is_whole: bool = True

    @property
    def order(self) -> str:
        order: str = self.scheduler.get("order", FAIR_SHARE)
        return order

    def add(self, job: Node, totals: Totals) -> None:
        group, chunks = _group(job), _in_flight(totals)
        if chunks and job.spec.get("intent", RUN) == RUN and not is_ending(job) and job.deletion_requested_at is None:
            used = self.used.setdefault(group, {})
            for name, amount in _asks(job):
                used[name] = used.get(name, 0) + amount * chunks
            self.jobs[group] = self.jobs.get(group, 0) + 1
        if waiting := waiting_of(job, totals):
            self.waiting.append(self.queued(job, waiting))

    def queued(self, job: Node, waiting: int) -> Queued:
        margin = (self.scheduler.get("preemption") or {}).get("margin")
        rank = rank_of(job, self.order, self.scheduler.get("ageingS", AGEING_S), margin)
        return Queued(job.path, _group(job), (rank, job.created_version), waiting, _asks(job))

    def standing(self, job: Node, totals: Totals, waiting: int) -> Standing:
        group, spec = _group(job), self._spec(_group(job))
        return Standing(
            waiting=waiting,
            is_gang=bool(job.spec.get("allOrNothing")) and not totals.entries,
            begun=_in_flight(totals) > 0,
            asks=_asks(job),
            group=group,
            group_paused=bool(spec.get("paused")),
            quota=quota_of(spec.get("quota") or {}),
            used=self.used.get(group, {}),
            jobs=self.jobs.get(group, 0),
            jobs_limit=spec.get("maxJobsInFlight"),
            scheduler_paused=bool(self.scheduler.get("paused")),
        )

    def ahead(self, job: Queued, capacity: Amounts) -> Ahead:
        groups = {name: self._terms(name) for name in {one.group for one in (job, *self.waiting)}}
        return ahead_of(job, self.waiting, groups, capacity, self.order, at_least=not self.is_whole)

    def _terms(self, name: str) -> Group:
        spec = self._spec(name)
        return Group(self.used.get(name, {}), spec.get("weight") or 1.0, bool(spec.get("paused")))

    def _spec(self, name: str) -> Document:
        group = self.groups.get(f"/config/job-groups/{name}")
        return group.spec if group is not None else {}


async def waits_of(
    seen: Seen, jobs: Sequence[tuple[Node, Totals]], placements: Mapping[str, Sequence[Placement]]
) -> dict[str, Waits]:
    """By uid, what is told of these jobs, by as many reads for many as for one. `placements` are where their chunks are. Each
    edge is read once, and asked once for all jobs that ask for the same."""
    if not jobs:
        return {}
    queue = await _queue(seen, [job for job, _ in jobs])
    fleet = _Fleet(await _edges(seen, Foresight(queue.scheduler.get("forecastHorizonS"), seen.at)))
    found: dict[str, Waits] = {}
    for job, totals in jobs:
        there = [one.place for one in placements.get(job.uid, ()) if one.phase in (PLACED, RUNNING)]
        asked = Asked.by(job, queue.groups.get(group_path(job.path)), there)
        found[job.uid] = _waits(job, totals, queue, fleet, asked, seen)
        await asyncio.sleep(0)  # others have their turn
    return found


class _Fleet:
    """All edges, and what they have been asked."""

    def __init__(self, edges: list[Described]) -> None:
        self._edges = edges
        self._tallies: dict[Asked, Tally] = {}
        self._nearest: dict[tuple[Asked, str], list[Change]] = {}
        self.capacity = _capacity(edges)

    def tally(self, asked: Asked) -> Tally:
        if asked not in self._tallies:
            self._tallies[asked] = tallied(self._edges, asked)
        return self._tallies[asked]

    def nearest(self, asked: Asked, group: str) -> list[Change]:
        if (asked, group) not in self._nearest:
            self._nearest[asked, group] = nearest_edge(self._edges, asked, group)
        return self._nearest[asked, group]


def _waits(job: Node, totals: Totals, queue: _Queue, fleet: _Fleet, asked: Asked, seen: Seen) -> Waits:
    waiting, tally = waiting_of(job, totals), fleet.tally(asked)
    standing, said, rooms = queue.standing(job, totals, waiting), tally.edges, tally.rooms
    reason = _reason(job, standing, said, rooms, is_whole=queue.is_whole)
    ahead = queue.ahead(queue.queued(job, waiting), fleet.capacity)
    wanted = changes(standing, rooms, [] if rooms else fleet.nearest(asked, standing.group))
    return Waits(said, reason, ahead, wanted, start_of(reason, said, rooms, ahead, queue.chunks_per_minute, seen.at))


def _reason(job: Node, standing: Standing, edges: Sequence[EdgesThat], rooms: int, *, is_whole: bool) -> Reason:
    """Where not all jobs were looked at, what the group holds may be more: then what placement told of that last holds."""
    told = None if is_whole else told_of(job.status.get("conditions", ()))
    if told is not None and told["reason"] in (QUOTA, JOBS_LIMIT) and not bars(standing):
        return Reason(told["reason"], told["message"])
    return why(standing, edges, rooms)


async def _queue(seen: Seen, asked: Sequence[Node]) -> _Queue:
    scheduler = (await seen.nodes([SCHEDULER])).get(SCHEDULER)
    spec, status = (scheduler.spec, scheduler.status) if scheduler is not None else ({}, {})
    queue = _Queue(spec, status.get("chunksPerMinute", 0.0))
    known: dict[str, Node] = {}
    async for jobs in seen.each("Job", ("", PENDING, RUNNING)):
        known |= {job.path: job for job in jobs}
        if len(known) >= QUEUE_LIMIT:
            queue.is_whole = False
            break
    known |= {job.path: job for job in asked}
    totals = await seen.about(list(known.values()))
    queue.groups = await seen.nodes({group_path(path) for path in known})
    for job in known.values():
        queue.add(job, totals.get(job.uid, Totals()))
    return queue


async def _edges(seen: Seen, foresight: Foresight) -> list[Described]:
    found: list[Described] = []
    async for edges in seen.each("Edge"):
        nodes = await seen.nodes(beside(edges))
        found += described(edges, nodes, await seen.pools(edges), foresight)
        if len(found) >= EDGES_LIMIT:
            break
    return found


def _capacity(edges: Iterable[Described]) -> dict[str, int]:
    """Of all edges together that take work."""
    capacity: dict[str, int] = {}
    for one in edges:
        if one.pool is not None and hindrance(one.edge, one.desired, one.pool) is None:
            for name, amount in one.pool.capacity.items():
                capacity[name] = capacity.get(name, 0) + amount
    return capacity


def waiting_of(job: Node, totals: Totals) -> int:
    """How many chunks may be placed now, were there room: 0 where something else keeps them from it."""
    in_flight = _in_flight(totals)
    waiting = max(0, chunks_of(job) - totals.entries + totals.phases.get(RETRY, 0))
    if not waits(job, job.phase, waiting, in_flight):
        return 0
    parallel: int | None = job.spec.get("maxParallel")
    return waiting if parallel is None else min(waiting, parallel - in_flight)


def _in_flight(totals: Totals) -> int:
    return totals.phases.get(PLACED, 0) + totals.phases.get(RUNNING, 0)


def _asks(job: Node) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(amounts(job.spec["requests"]).items()))


def _group(job: Node) -> str:
    return job.path.split("/", 4)[3]
