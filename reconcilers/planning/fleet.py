"""The edges that take work and what is free of each, kept so that to find one for a chunk costs little however many there
are."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple

import msgspec

from datamodel.kinds import Amounts
from datamodel.scheduling.placing import Rules
from datamodel.scheduling.resources import POWER
from datamodel.scheduling.scheduler import FIRST_FIT, POWER_AWARE
from reconcilers.planning.backlog import Asker, Signature, Wanted
from reconcilers.planning.shelves import Shelves
from reconcilers.planning.views import Edge, Level, Tier, View

VIEWS_LIMIT = 64
"""Sets of rules whose edges are kept in order; of more, those that were asked for longest ago are sorted anew."""
GROWTHS_KEPT = 1_024
BARREN_KEPT = 10_000
NOWHERE: Mapping[str, int] = {}


class Hold(NamedTuple):
    """Room that is kept for who waits for it: for so many such chunks on each of these edges. Some of it may still be in use.
    `is_cleared`: it was made by stopping others."""

    wanted: Wanted
    spots: Mapping[str, int]
    is_cleared: bool = False

    def left(self, placed: Iterable[str]) -> dict[str, int]:
        """What there is to be kept yet once chunks were placed on these edges: there, or elsewhere."""
        spots, elsewhere = dict(self.spots), 0
        for path in placed:
            if spots.get(path):
                spots[path] -= 1
            else:
                elsewhere += 1
        for path, times in spots.items():
            fewer = min(times, elsewhere)
            spots[path], elsewhere = times - fewer, elsewhere - fewer
        return {path: times for path, times in spots.items() if times}


class Draft:
    """What is taken for a while."""

    def __init__(self) -> None:
        self.is_kept = False

    def keep(self) -> None:
        """It is so."""
        self.is_kept = True


class Fleet:
    """What is free now. `policy`: in which order edges that suit a chunk are looked at."""

    def __init__(self, policy: str) -> None:
        self.policy = policy
        self.edges: dict[str, Edge] = {}
        self.capacity: Counter[str] = Counter()
        """Of all edges together."""
        self.holds: dict[Asker, Hold] = {}
        self._held: dict[str, Asker] = {}
        """By edge, for whom room is kept there: for one at a time."""
        self._free: dict[str, Amounts] = {}
        """What is free there, but for what is kept: below zero where that is still in use."""
        self._views: dict[Rules, View] = {}
        self._moved: set[str] = set()
        """Edges of which something else is free than the views know."""
        self._before: dict[str, Amounts] | None = None
        self._growths: deque[str] = deque(maxlen=GROWTHS_KEPT)
        self._grown = 0
        """How often an edge came, or had more room than before; the last of them are in `_growths`."""
        self._barren: dict[Wanted, int] = {}

    def put(self, edge: Edge, free: Amounts) -> None:
        """Adds an edge, or what is known of it now."""
        known = self.edges.get(edge.path)
        if known == edge:
            self.set_free(edge.path, free)
            return
        if known is not None:
            self.capacity.subtract(known.capacity)
        self.capacity.update(edge.capacity)
        if known is not None and msgspec.structs.replace(known, capacity=edge.capacity) == edge:
            self.edges[edge.path] = edge  # what it has varies, and it stays where it is in every view
            self.set_free(edge.path, free)
            return
        left = self._beside(edge.path, free, 1)
        self.edges[edge.path], self._free[edge.path] = edge, left
        for view in self._views.values():
            view.put(edge, left)
        self._grow(edge.path)

    def drop(self, path: str) -> None:
        """The edge is gone. Who had room kept there has it nowhere any more: it had found all of it together."""
        if path in self._held:
            self.release(self._held[path])
        edge = self.edges.pop(path, None)
        if edge is not None:
            self.capacity.subtract(edge.capacity)
            del self._free[path]
            self._moved.discard(path)
            for view in self._views.values():
                view.drop(path)

    def set_free(self, path: str, free: Amounts) -> None:
        """What is free of an edge that is known."""
        before, left = self._free[path], self._beside(path, free, 1)
        self._put_free(path, left)
        if any(amount > before.get(name, 0) for name, amount in left.items()):
            self._grow(path)

    def free(self, path: str) -> Amounts:
        """What is free there, for whomever."""
        return self._beside(path, self._free[path], -1)

    def fits(self, path: str, signature: Signature) -> bool:
        free = self._free[path]
        for name, amount in signature:  # noqa: SIM110 - a generator would cost as much again
            if free.get(name, 0) < amount:
                return False
        return True

    def times(self, path: str, signature: Signature) -> int:
        """How often this fits there."""
        free = self._free[path]
        return max(0, min(free.get(name, 0) // amount for name, amount in signature))

    def take(self, path: str, signature: Signature, times: int = 1) -> None:
        """Nothing that did not fit before fits then, but where something is given back: with `times` below zero."""
        free = dict(self._free[path])
        for name, amount in signature:
            free[name] = free.get(name, 0) - amount * times
        if self._before is not None and path not in self._before:
            self._before[path] = self._free[path]
        self._put_free(path, free)

    def hold(self, asker: Asker, hold: Hold) -> None:
        """Keeps room for somebody, on edges where none is kept. Only who asks for it has it then."""
        self.release(asker)
        assert self._before is None and self._held.keys().isdisjoint(hold.spots), "it is for one, and for good"  # noqa: PT018
        self.holds[asker] = hold
        for path, times in hold.spots.items():
            self._held[path] = asker
            self.take(path, hold.wanted.signature, times)

    def release(self, asker: Asker) -> None:
        """Keeps nothing for them any more: others may have it."""
        hold = self.holds.get(asker)
        if hold is not None:
            for path, times in hold.spots.items():
                self.take(path, hold.wanted.signature, -times)
            self.forget(asker)

    def forget(self, asker: Asker, left: Mapping[str, int] = NOWHERE) -> None:
        """What was kept for them was taken, or given to all, but for that which is `left`."""
        hold = self.holds.pop(asker)
        if left:
            self.holds[asker] = hold._replace(spots=left)
        for path in hold.spots:
            if path not in left:
                del self._held[path]
            self._grow(path)

    def is_held(self, path: str) -> bool:
        """Whether room is kept there for somebody."""
        return path in self._held

    def suits(self, path: str, wanted: Wanted) -> bool:
        """Whether it is one of the edges that such a chunk may go to, with or without room."""
        return path in self.edges and self._view(wanted.rules).level_of.get(path) is not None

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """What is taken within is there again after, unless it is kept."""
        outer, self._before = self._before, {}
        draft = Draft()
        try:
            yield draft
        finally:
            taken, self._before = self._before, outer
            for path, free in taken.items() if not draft.is_kept else ():
                self._put_free(path, free)

    def tiers(self, wanted: Wanted) -> list[Tier]:
        """The edges that suit, those first that are preferred."""
        self.settle()
        view, signature = self._view(wanted.rules), wanted.signature
        return [self._tier(level, key, signature) for key in sorted(view.levels) if (level := view.levels[key]).paths]

    def tier_of(self, path: str, wanted: Wanted) -> tuple[int, int] | None:
        """Which of them an edge is in; None where it does not suit."""
        return self._view(wanted.rules).level_of.get(path)

    def grown(self, wanted: Wanted) -> list[str] | None:
        """The edges that may have room for this: those that came or had more room since `know_barren` was told of it. None
        where all may."""
        since = self._barren.get(wanted)
        if since is None or self._grown - since > len(self._growths):
            return None
        found = islice(self._growths, len(self._growths) - (self._grown - since), None)
        return [path for path in dict.fromkeys(found) if path in self.edges]

    def know_barren(self, barren: Iterable[Wanted]) -> None:
        """No edge has room for these now."""
        for wanted in barren:
            self._barren.pop(wanted, None)
            self._barren[wanted] = self._grown
            if len(self._barren) > BARREN_KEPT:
                del self._barren[next(iter(self._barren))]

    def _tier(self, level: Level, key: tuple[int, int], signature: Signature) -> Tier:
        if self.policy == FIRST_FIT:
            return Tier(key, level.paths, None, 0)
        found = [(self._shelves(level, name), name, amount) for name, amount in signature]
        if self.policy == POWER_AWARE:
            shelves, resource, least = next((one for one in found if one[1] == POWER), found[0])
        else:
            shelves, resource, least = min(found, key=lambda one: (one[0].about(one[2]), one[1]))
        return Tier(key, level.paths, shelves, least, resource)

    def _shelves(self, level: Level, resource: str) -> Shelves:
        shelves = level.shelves.get(resource)
        if shelves is None:
            shelves = level.shelves[resource] = Shelves()
            for path in level.paths:
                shelves.put(path, self._free[path].get(resource, 0))
        return shelves

    def _view(self, rules: Rules) -> View:
        view = self._views.pop(rules, None)
        if view is None:
            if len(self._views) >= VIEWS_LIMIT:
                del self._views[next(iter(self._views))]
            view = View(rules, banded=self.policy == POWER_AWARE)
            for path, edge in self.edges.items():
                view.put(edge, self._free[path])
        self._views[rules] = view  # the last one is the newest
        return view

    def settle(self) -> None:
        """Puts every edge where it belongs by what is free of it. What is taken again and again meanwhile costs that once."""
        for path in self._moved:
            for view in self._views.values():
                view.update(path, self._free[path])
        self._moved.clear()

    def _beside(self, path: str, free: Amounts, sign: int) -> Amounts:
        """What is free, without what is kept there (with a `sign` of -1: with it again)."""
        asker = self._held.get(path)
        if asker is None:
            return free
        (wanted, spots, _), left = self.holds[asker], dict(free)
        for name, amount in wanted.signature:
            left[name] = left.get(name, 0) - amount * spots[path] * sign
        return left

    def _put_free(self, path: str, free: Amounts) -> None:
        self._free[path] = free
        self._moved.add(path)

    def _grow(self, path: str) -> None:
        self._growths.append(path)
        self._grown += 1
