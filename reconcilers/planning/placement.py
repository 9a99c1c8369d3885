"""Placement: which waiting chunk goes to which edge now, and who waits for what."""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from datamodel.scheduling.order import band_of, share
from datamodel.scheduling.scheduler import FAIR_SHARE
from reconcilers.planning.backlog import Asker, Backlog, Chunk, PendingJob, Wanted
from reconcilers.planning.decisions import JOBS_LIMIT, NO_ROOM, QUOTA, Blocked, Decision, Plan
from reconcilers.planning.fleet import Fleet, Hold
from reconcilers.planning.search import Search
from reconcilers.planning.splitting import split
from reconcilers.planning.spots import Spot, arranged_spots, plain_spots
from reconcilers.planning.turns import Terms, Turn
from reconcilers.planning.usage import Usage

LOOKS = 1_000
"""Asks that find no room before a round ends: who comes after them is looked at when something has changed."""
BLOCKED_TOLD = 32

_NO_TERMS = Terms()


def plan(
    backlog: Backlog,
    fleet: Fleet,
    usage: Usage,
    groups: Mapping[str, Terms],
    *,
    order: str,
    limit: int,
    margin: int | None = None,
) -> Plan:
    """At most `limit` decisions, but for a job whose chunks are placed together or not at all. What they take is taken from the
    fleet: who does not carry them out has it in a draft.

    The group goes next that has the smallest dominant share for its weight (with the order `fairShare`; else the one whose
    first job goes before the others'), and in it the first job that finds room: who asks for something that is nowhere does not
    keep others waiting that ask for something else. With a `margin` of priority for which some are stopped, who might be goes
    after all for whom. Where room is kept for somebody, only who asks for that has it.
    """
    return _Round(backlog, fleet, usage, groups, order, order == FAIR_SHARE, limit, margin).run()


@dataclass(slots=True)
class _Group:
    """A job group in a round: what it holds, with what was decided for it, and whose turn it is."""

    name: str
    terms: Terms
    used: dict[str, int]
    jobs: int
    """With something in flight."""
    turn: Turn
    share: float
    served: "_Served | None" = None
    seen: set[str] = field(default_factory=set)
    """The jobs of which something was placed."""
    is_told: bool = False
    """Whether somebody of it is among those that are told to be blocked."""


@dataclass(slots=True)
class _Served:
    """The job whose turn it is: what is left of it to place, where, and what is kept for it. `turn`: as it waits, before it is
    split."""

    turn: PendingJob
    job: PendingJob
    chunks: Iterator[Chunk]
    left: int
    found: tuple[Search, Iterator[Spot]]
    """The edges that have room for such a chunk, however the job's lie to each other."""
    spots: Iterator[Spot]
    hold: Hold | None


@dataclass(slots=True)
class _Round:
    """One run of the plan."""

    backlog: Backlog
    fleet: Fleet
    usage: Usage
    terms: Mapping[str, Terms]
    order: str
    fair: bool
    limit: int
    margin: int | None
    decisions: list[Decision] = field(default_factory=list)
    blocked: list[Blocked] = field(default_factory=list)
    searches: dict[Wanted, tuple[Search, Iterator[Spot]]] = field(default_factory=dict)
    served: dict[Asker, Mapping[str, int]] = field(default_factory=dict)
    looks: int = 0
    is_full: bool = False

    def run(self) -> Plan:
        self.fair = self.fair and len(self.backlog.lines) > 1
        heap = [self._entry(group) for name in self.backlog.lines if (group := self._group(name)) is not None]
        heapq.heapify(heap)
        while heap and not self.is_full and self.looks < LOOKS:
            group = heap[0][-1]
            others = min((entry[1] for entry in heap[1:3] if entry[0] == heap[0][0]), default=None)
            self._serve(group, others)
            if group.turn.job is None:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, self._entry(group))
        barren = [wanted for wanted, (search, _) in self.searches.items() if search.is_barren]
        return Plan(self.decisions, self.blocked, barren, self.served, has_more=self.is_full)

    def _group(self, name: str) -> _Group | None:
        terms = self.terms.get(name, _NO_TERMS)
        if terms.paused:
            return None
        used = dict(self.usage.of_group(name))
        share_now = share(used, self.fleet.capacity, terms.weight) if self.fair else 0.0
        return _Group(name, terms, used, self.usage.jobs_in_flight(name), Turn(self.backlog.lines[name]), share_now)

    def _entry(self, group: _Group) -> tuple[int, float, tuple[float, int], str, _Group]:
        job = group.turn.job
        assert job is not None, "it has a turn"
        return (band_of(job.priority, self.margin), group.share, job.place, group.name, group)

    def _serve(self, group: _Group, others: float | None) -> None:
        """Places what is due to the group's next job. `others`: the share of the group that comes after it."""
        job = group.turn.job
        assert job is not None, "it has a turn"
        served = group.served
        if served is None or served.turn is not job:
            if not self._may_begin(group, job):
                return
            served = group.served = self._serving(group, job)
        elif served.hold is None and served.found is not self.searches.get(job.wanted):
            served.found = self._found(job, None)
            served.spots = self._spots(served)  # a gang has given something back, and there is more room than was found
        quota = group.terms.left(group.used, job.signature)
        if quota is not None and quota < (served.left if job.is_gang else 1):
            self._block(group, QUOTA)
            return
        wanted = served.left if quota is None else min(quota, served.left)
        if job.is_gang:
            self._place_kept(group, served, None)
            return
        if self.fair and others is not None:
            wanted = min(wanted, self._until(group, others))
        asked = min(wanted, self.limit - len(self.decisions))
        placed = self._place_kept(group, served, asked)
        self._count(group, job, placed)
        self.is_full = len(self.decisions) >= self.limit
        if not served.left:
            group.turn.go_on()
        elif placed < asked:
            self._block(group, NO_ROOM)

    def _may_begin(self, group: _Group, job: PendingJob) -> bool:
        """Whether a job more of the group may have something in flight. If not, only those go on that have."""
        if group.terms.jobs is None or group.jobs < group.terms.jobs or self.usage.holds(job.path):
            return True
        self._block(group, JOBS_LIMIT)
        begun = (self.backlog.get(path) for path in self.usage.begun_in(group.name) if path not in group.seen)
        group.turn = Turn.of([job for job in begun if job is not None])
        return False

    def _until(self, group: _Group, others: float) -> int:
        """How many chunks of its next job bring the group's share at most one above the others'."""
        job = group.turn.job
        assert job is not None, "it has a turn"
        each = max(
            (amount / self.fleet.capacity[name] for name, amount in job.signature if self.fleet.capacity[name]),
            default=1.0,
        )
        return int((others - group.share) * group.terms.weight / each) + 1

    def _place(self, group: _Group, served: _Served, wanted: int) -> int:
        """Places so many chunks of a job, or as many as there is room for; how many."""
        job, how, share_now, found = served.job, served.found[0].told, group.share if self.fair else None, 0
        while found < wanted:
            spot = next(served.spots, None)
            if spot is None:
                break
            edge, stays = spot
            times = min(self.fleet.times(edge, job.signature), wanted - found) if stays and wanted - found > 1 else 1
            self.fleet.take(edge, job.signature, times)
            self.decisions += [Decision(job, chunk, edge, how, share_now) for chunk in islice(served.chunks, times)]
            found += times
        served.left -= found
        return found

    def _place_kept(self, group: _Group, served: _Served, asked: int | None) -> int:
        """The same (with None: all chunks of a job or none), where what is kept for who asks for this is free. So much less is
        kept for them then."""
        hold, before = served.hold, len(self.decisions)
        if hold is None:
            return self._place_all(group, served, asked)
        self._keep(hold, hold.spots, -1)
        placed = self._place_all(group, served, asked)
        left = hold.left(decision.edge for decision in self.decisions[before:])
        if placed:
            self.served[served.job.asker] = left
            served.hold = None
        self._keep(hold, left, 1)
        return placed

    def _place_all(self, group: _Group, served: _Served, asked: int | None) -> int:
        return self._place_gang(group, served) if asked is None else self._place(group, served, asked)

    def _keep(self, hold: Hold, spots: Mapping[str, int], sign: int) -> None:
        for path, times in spots.items():
            self.fleet.take(path, hold.wanted.signature, times * sign)

    def _place_gang(self, group: _Group, served: _Served) -> int:
        """Places all chunks of a job or none; how many. One that is larger than a round has a round for itself."""
        before, wanted = len(self.decisions), served.left
        if before and before + wanted > self.limit:
            self.is_full = True
            return 0
        placed = self._place(group, served, wanted)
        if placed == wanted:
            self._count(group, served.job, placed)
            group.turn.go_on()
            self.is_full = len(self.decisions) >= self.limit
            return placed
        for decision in self.decisions[before:]:
            self.fleet.take(decision.edge, served.job.signature, -1)
        del self.decisions[before:]
        self.searches.clear()  # there is more room again than they found
        self._block(group, NO_ROOM)
        return 0

    def _serving(self, group: _Group, turn: PendingJob) -> _Served:
        hold = self.fleet.holds.get(turn.asker) if self.fleet.holds and turn.asker not in self.served else None
        found, job = self._found(turn, hold), turn
        if turn.most is not None:
            job = split(turn, self.fleet, found[0], group.terms.left(group.used, turn.signature))
        served = _Served(turn, job, job.chunks(), job.waiting, found, found[1], hold)
        if turn.arrangement is not None:
            served.spots = self._spots(served)
        return served

    def _spots(self, served: _Served) -> Iterator[Spot]:
        """Where what is left of a job goes."""
        (search, plain), job = served.found, served.job
        if job.arrangement is None:
            return plain
        held = Counter(self.usage.of_job(job.path))
        held.update(decision.edge for decision in self.decisions if decision.job.path == job.path)
        return arranged_spots(self.fleet, search, job.arrangement, held)

    def _found(self, job: PendingJob, hold: Hold | None) -> tuple[Search, Iterator[Spot]]:
        """The edges for what the job asks for, which all have in common who ask for the same."""
        found = self.searches.get(job.wanted)
        if hold is None and found is not None:
            return found
        search = Search(self.fleet, job.wanted, hold.spots if hold is not None else ())
        search.told["order"] = self.order
        made = search, plain_spots(self.fleet, search)
        if hold is None:
            self.searches[job.wanted] = made
        else:  # it finds what others do not
            search.told["kept"] = True
        return made

    def _count(self, group: _Group, job: PendingJob, placed: int) -> None:
        if placed and job.path not in group.seen:
            group.seen.add(job.path)
            group.jobs += not self.usage.holds(job.path)
        for name, amount in job.signature:
            group.used[name] = group.used.get(name, 0) + amount * placed
        if self.fair:
            group.share = share(group.used, self.fleet.capacity, group.terms.weight)

    def _block(self, group: _Group, reason: str) -> None:
        job = group.turn.job
        assert job is not None, "it has a turn"
        self.looks += 1
        if len(self.blocked) < BLOCKED_TOLD or not group.is_told:
            group.is_told = True
            self.blocked.append(Blocked(job, reason))
        group.turn.give_up()
