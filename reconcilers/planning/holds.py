"""Keeping room for those who go first and find none: beside ever new small chunks, a large one would wait for ever.

Whatever fits beside what is kept is placed meanwhile, and delays nobody: of each resource that it takes, there is enough for
both of them. No end of anything is foreseen for that, since none can be told for sure: an image may take long to come.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Protocol

from datamodel.kinds import Amounts
from reconcilers.planning.backlog import Asker, Backlog, PendingJob, Signature
from reconcilers.planning.decisions import NO_ROOM, Blocked, Decision, Plan
from reconcilers.planning.fleet import Fleet, Hold
from reconcilers.planning.places import Places
from reconcilers.planning.turns import Terms
from reconcilers.planning.usage import Usage

HOLDS_LIMIT = 64
"""Askers for whom room is kept at a time."""
AT_ONCE = 2
"""Of them, how many get some in one round: to look for it costs a look at every edge."""


class Known(Protocol):
    """What a round was decided with."""

    @property
    def backlog(self) -> Backlog: ...
    @property
    def fleet(self) -> Fleet: ...
    @property
    def usage(self) -> Usage: ...
    @property
    def terms(self) -> Mapping[str, Terms]: ...
    @property
    def hold_after_s(self) -> float:
        """For so long somebody goes first and finds no room before any is kept: most room comes by itself."""


class Waiting:
    """Who has found no room, and since when, in seconds of any clock that does not go back."""

    def __init__(self) -> None:
        self._since_s: dict[Asker, float] = {}

    def see(self, blocked: Iterable[Blocked], backlog: Backlog, now_s: float) -> None:
        """Who has found none now. Who has not been told of stays until nobody asks for that any more."""
        self._since_s = {asker: since_s for asker, since_s in self._since_s.items() if is_asked(backlog, asker)}
        for one in blocked:
            if one.reason == NO_ROOM and len(self._since_s) < 2 * HOLDS_LIMIT:
                self._since_s.setdefault(one.job.asker, now_s)

    def begin_again(self, asker: Asker, now_s: float) -> None:
        self._since_s[asker] = now_s

    def placed(self, askers: Iterable[Asker]) -> None:
        """Something was placed of them."""
        for asker in askers:
            self._since_s.pop(asker, None)

    def for_s(self, asker: Asker, now_s: float) -> float:
        return now_s - self._since_s.get(asker, now_s)

    def __len__(self) -> int:
        return len(self._since_s)


def is_asked(backlog: Backlog, asker: Asker) -> bool:
    """Whether somebody still waits for that."""
    group, ask = asker
    line = backlog.lines.get(group)
    return line is not None and ask in line.asks


def review(fleet: Fleet, backlog: Backlog, terms: Mapping[str, Terms], blocked: Iterable[Blocked]) -> bool:
    """Keeps nothing any more for those who do not wait, who may have nothing more anyway, or where the edge does not suit them
    any more; whether there were such. `blocked`: who was refused something in the last round."""
    is_released = False
    refused = {one.job.asker for one in blocked if one.reason != NO_ROOM}
    for asker, hold in list(fleet.holds.items()):
        paused = asker[0] in terms and terms[asker[0]].paused
        if paused or asker in refused or not is_asked(backlog, asker) or not _suits(fleet, hold):
            fleet.release(asker)
            is_released = True
    return is_released


def first_of_each(blocked: Iterable[Blocked]) -> list[PendingJob]:
    """The first job of each group that found no room."""
    found: dict[str, PendingJob] = {}
    for one in blocked:
        if one.reason == NO_ROOM:
            found.setdefault(one.job.group, one.job)
    return list(found.values())


def unhelped(blocked: Iterable[Blocked], fleet: Fleet) -> list[PendingJob]:
    """Those that found no room and for whom nobody is being stopped, one for each asker."""
    found: dict[Asker, PendingJob] = {}
    for one in blocked:
        hold = fleet.holds.get(one.job.asker)
        if one.reason == NO_ROOM and (hold is None or not hold.is_cleared):
            found.setdefault(one.job.asker, one.job)
    return list(found.values())


def keep(known: Known, jobs: Sequence[PendingJob], waiting: Waiting, now_s: float) -> float | None:
    """Keeps room for those of these jobs that have waited long enough; in how many seconds the next one has."""
    fleet, rest_s, kept = known.fleet, inf, 0
    for job in jobs:
        if job.asker in fleet.holds or len(fleet.holds) >= HOLDS_LIMIT:
            continue
        left_s = known.hold_after_s - waiting.for_s(job.asker, now_s)
        if left_s <= 0 and kept < AT_ONCE:
            hold = room_for(job, fleet, known.usage)
            if hold is not None:
                fleet.hold(job.asker, hold)
            kept += 1
        else:
            rest_s = min(rest_s, max(left_s, 0.0))
    return rest_s if rest_s < inf else None


def keep_room(
    found: Plan,
    placed: Iterable[Decision],
    waiting: Waiting,
    known: Known,
    now_s: float,
) -> float | None:
    """What follows from a round, of which `placed` was carried out: who has room kept from now on, and who has none any more.
    In how many seconds there is more to do; at once where others have room now."""
    if not (found.blocked or waiting or known.fleet.holds):
        return None
    if waiting:
        waiting.placed({decision.job.asker for decision in placed})
    waiting.see(found.blocked, known.backlog, now_s)
    if review(known.fleet, known.backlog, known.terms, found.blocked):
        return 0.0
    return keep(known, first_of_each(found.blocked), waiting, now_s)


def room_for(job: PendingJob, fleet: Fleet, usage: Usage) -> Hold | None:
    """Where a chunk of it (of a gang: all) will have room soonest, as far as anybody can tell: where the least has to end. None
    where it has none even when everything has ended."""
    count, places = job.waiting if job.is_gang else 1, Places(job, usage)
    heap = []
    for path, edge in fleet.edges.items():
        if not fleet.is_held(path) and fleet.suits(path, job.wanted):
            lack = _lack(edge.capacity, fleet.free(path), job.signature, 1)
            if lack is not None:
                heap.append((lack, path))
    heapq.heapify(heap)
    spots: dict[str, int] = {}
    while heap and count:
        _, path = heapq.heappop(heap)
        if not places.take(path):
            continue
        times = spots[path] = spots.get(path, 0) + 1
        count -= 1
        lack = _lack(fleet.edges[path].capacity, fleet.free(path), job.signature, times + 1)
        if lack is not None:
            heapq.heappush(heap, (lack, path))
    return Hold(job.wanted, spots) if not count else None


def _lack(capacity: Amounts, free: Amounts, signature: Signature, times: int) -> float | None:
    """How large a part of an edge is to be freed for so many such chunks, by the resource of which that is the largest; None
    where it has not so much."""
    lack = 0.0
    for name, amount in signature:
        has, asked = capacity.get(name, 0), amount * times
        if asked > has:
            return None
        lack = max(lack, (asked - free.get(name, 0)) / has)
    return lack


def _suits(fleet: Fleet, hold: Hold) -> bool:
    return all(
        fleet.suits(path, hold.wanted)
        and all(amount * times <= fleet.edges[path].capacity.get(name, 0) for name, amount in hold.wanted.signature)
        for path, times in hold.spots.items()
    )
