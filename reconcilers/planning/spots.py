"""Where the chunks of one job go, one edge after the other."""

from collections import Counter
from collections.abc import Iterator, Mapping

from datamodel.scheduling.placing import APART, EDGES, PACK
from datamodel.scheduling.scheduler import POWER_AWARE, SPREAD
from reconcilers.planning.backlog import Arranged
from reconcilers.planning.fleet import Fleet
from reconcilers.planning.search import Search

Spot = tuple[str, bool]
"""An edge, and whether as many chunks may go there as have room before another one is looked for, or just one."""


def plain_spots(fleet: Fleet, search: Search) -> Iterator[Spot]:
    """The edges for chunks that have nothing to do with each other, as the policy says, for all jobs that search alike. Where
    the fullest edge goes first, it stays the fullest as it gets fuller."""
    stays = fleet.policy not in (SPREAD, POWER_AWARE)
    while (path := search.next()) is not None:
        yield path, stays


def arranged_spots(fleet: Fleet, search: Search, arranged: Arranged, held: Mapping[str, int]) -> Iterator[Spot]:
    """The edges for the chunks of a job that says how they lie to each other. What is used of a spot is taken from the fleet
    before the next one is asked for. `held`: how many of the job's chunks are on each edge already."""
    lie = _Lie(arranged.over == EDGES, held)
    if arranged.chunks == PACK:
        return _packed(fleet, search, lie)
    return _spread(fleet, search, lie, apart=arranged.chunks == APART)


def room_apart(search: Search, arranged: Arranged, most: int) -> int:
    """For how many chunks of a job of which none is placed yet there is room apart from each other; so many are enough."""
    lie, places = _Lie(arranged.over == EDGES, {}), set[str]()
    for path in search.roomy():
        if len(places) >= most:
            break
        places.add(lie.where(path))
    return min(len(places), most)


class _Lie:
    """How many of a job's chunks there are by edge or by site."""

    def __init__(self, over_edges: bool, held: Mapping[str, int]) -> None:  # noqa: FBT001 - of this file alone
        self._over_edges = over_edges
        self.counts: Counter[str] = Counter()
        for path, count in held.items():
            self.counts[self.where(path)] += count

    def where(self, path: str) -> str:
        return path if self._over_edges else path.split("/", 4)[3]


def _packed(fleet: Fleet, search: Search, lie: _Lie) -> Iterator[Spot]:
    """First where most of them are."""
    while True:
        ordered = enumerate(search.all())
        best = min(((-lie.counts[lie.where(path)], rank, path) for rank, path in ordered), default=None)
        if best is None:
            return
        path = best[2]
        times = fleet.times(path, search.wanted.signature)
        yield path, True
        lie.counts[lie.where(path)] += times - fleet.times(path, search.wanted.signature)


def _spread(fleet: Fleet, search: Search, lie: _Lie, *, apart: bool) -> Iterator[Spot]:
    """In rounds, a chunk for each edge or site in one, those with the fewest first; with `apart`, none where there is one."""
    while candidates := search.all():
        fewest = min(lie.counts[lie.where(path)] for path in candidates)
        if apart and fewest:
            return
        for path in candidates:
            where = lie.where(path)
            if lie.counts[where] == fewest and fleet.fits(path, search.wanted.signature):
                yield path, False
                lie.counts[where] += 1
