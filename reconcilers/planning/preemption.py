"""Making room for a job by stopping what matters less."""

import heapq
from collections.abc import Sequence
from typing import NamedTuple

from datamodel.kinds import Amounts
from reconcilers.planning.backlog import PendingJob, Signature
from reconcilers.planning.fleet import Fleet, Hold
from reconcilers.planning.places import Places
from reconcilers.planning.usage import Held, Usage

CHUNKS_AT_ONCE = 64
"""Of a job that room is made for, but for one whose chunks go together."""

_Victims = list[tuple[str, Held]]


class Clearing(NamedTuple):
    """Room that there is once these attempts have ended: it is kept for who is to have it."""

    hold: Hold
    victims: list[str]


def clearing(job: PendingJob, most: int | None, fleet: Fleet, usage: Usage, margin: int) -> Clearing | None:
    """What is to be stopped for `job`, so that as many of its chunks have room as may (`most`: what its quota leaves; None: any
    number): attempts of jobs whose priority is lower by `margin` at least, first the lowest and of those the youngest, and on
    an edge no more than it takes. None where that makes no room, or not for all of a gang.

    The edge comes first where the most urgent of those that are stopped matters least, and then where the fewest are.
    """
    count = min(job.waiting, job.waiting if job.is_gang else CHUNKS_AT_ONCE, job.waiting if most is None else most)
    places, yards, heap = Places(job, usage), {}, []
    for path, held in usage.below(job.priority - margin).items():
        if fleet.suits(path, job.wanted) and not fleet.is_held(path):
            yard = yards[path] = _Yard(fleet.free(path), held, job.signature)
            if yard.cost is not None:
                heap.append((yard.cost, path))
    heapq.heapify(heap)
    spots: dict[str, int] = {}
    victims: list[str] = []
    while heap and sum(spots.values()) < count:
        _, path = heapq.heappop(heap)
        if not places.take(path):
            continue
        yard = yards[path]
        victims += yard.clear()
        spots[path] = spots.get(path, 0) + 1
        if yard.cost is not None:
            heapq.heappush(heap, (yard.cost, path))
    if not spots or (job.is_gang and sum(spots.values()) < count):
        return None
    return Clearing(Hold(job.wanted, spots, is_cleared=True), victims)


class _Yard:
    """An edge on which some may be stopped: what has to end for one chunk more."""

    def __init__(self, free: Amounts, held: Sequence[tuple[str, Held]], asked: Signature) -> None:
        self._free = dict(free)
        self._asked = asked
        youngest_first = reversed(held)
        self._left: _Victims = sorted(youngest_first, key=lambda one: one[1].priority)
        self._next: _Victims = []
        self.cost: tuple[int, int] | None = None
        """Of the next chunk: the highest priority of those that it ends, and how many those are. None: it has no room then
        either."""
        self._look()

    def clear(self) -> list[str]:
        """Ends them, for one chunk; who they are."""
        for _, held in self._next:
            self._give(held, 1)
        for name, amount in self._asked:
            self._free[name] = self._free.get(name, 0) - amount
        ended = [attempt for attempt, _ in self._next]
        self._left = [one for one in self._left if one not in self._next]
        self._look()
        return ended

    def _look(self) -> None:
        ended: _Victims = []
        for one in self._left:
            if self._fits():
                break
            self._give(one[1], 1)
            ended.append(one)
        is_enough = self._fits()
        needed: _Victims = []
        for one in reversed(ended):  # the more urgent are spared where the rest is enough
            self._give(one[1], -1)
            if not self._fits():
                self._give(one[1], 1)
                needed.append(one)
        for _, held in needed:
            self._give(held, -1)
        self._next = needed
        self.cost = (max((held.priority for _, held in needed), default=0), len(needed)) if is_enough else None

    def _fits(self) -> bool:
        return all(amount <= self._free.get(name, 0) for name, amount in self._asked)

    def _give(self, held: Held, sign: int) -> None:
        for name, amount in held.signature:
            self._free[name] = self._free.get(name, 0) + amount * sign
