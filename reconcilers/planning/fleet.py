"""The edges that take work and what is free of each, kept so that to find one for a chunk costs little however many there
are."""

from bisect import bisect_left, insort
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple

import msgspec

from datamodel.kinds import Amounts
from datamodel.scheduling.placing import ANYWHERE, Rules
from datamodel.scheduling.resources import POWER
from datamodel.scheduling.scheduler import FIRST_FIT, POWER_AWARE
from reconcilers.planning.backlog import Signature, Wanted
from reconcilers.planning.shelves import Shelves

VIEWS_LIMIT = 64
"""Sets of rules whose edges are kept in order; of more, those that were asked for longest ago are sorted anew."""
CARBON_BAND_G = 50.0
"""Edges whose power is about as clean are alike to a power-aware placement, in grams of CO2 for a kilowatt-hour."""
GROWTHS_KEPT = 1_024
BARREN_KEPT = 10_000


class Edge(msgspec.Struct, frozen=True):
    """An edge that takes work: the path of its desired node, its site, the labels that rules look at, what it has, how many
    grams of CO2 a kilowatt-hour costs there, where it says so, and the images that it has."""

    path: str
    site: str
    labels: Mapping[str, str]
    capacity: Amounts
    carbon: float | None = None
    images: frozenset[str] = frozenset()


class _Level:
    """Edges that are equally preferred: in order, and on shelves by each resource that was asked for."""

    __slots__ = ("paths", "shelves")

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.shelves: dict[str, Shelves] = {}


class Tier(NamedTuple):
    """Edges that are equally preferred, by `key`: in order of their paths, and on the shelves of the resource by which they are
    looked at (None: they are looked at in order), from so much on: that of which the fewest have enough, with the power-aware
    policy power."""

    key: tuple[int, int]
    paths: Sequence[str]
    shelves: Shelves | None
    least: int


class _View:
    """The edges that suit some rules, the preferred first."""

    __slots__ = ("_banded", "level_of", "levels", "rules")

    def __init__(self, rules: Rules, *, banded: bool) -> None:
        """`banded`: edges with cleaner power come first among those that are equally preferred, and in that those that have the
        images."""
        self.rules = rules
        self.levels: dict[tuple[int, int], _Level] = {}
        self.level_of: dict[str, tuple[int, int]] = {}
        self._banded = banded

    def put(self, edge: Edge, free: Amounts) -> None:
        self.drop(edge.path)
        if self.rules is not ANYWHERE and self.rules.bar(edge.labels) is not None:
            return
        band = int((edge.carbon if edge.carbon is not None else 1e6) // CARBON_BAND_G) if self._banded else 0
        lacks = not edge.images.issuperset(self.rules.images)
        key = self.level_of[edge.path] = (-self.rules.weight(edge.labels), 2 * band + lacks)
        insort(self.levels.setdefault(key, _Level()).paths, edge.path)
        self.update(edge.path, free)

    def drop(self, path: str) -> None:
        key = self.level_of.pop(path, None)
        if key is not None:
            level = self.levels[key]
            del level.paths[bisect_left(level.paths, path)]
            for shelves in level.shelves.values():
                shelves.drop(path)

    def update(self, path: str, free: Amounts) -> None:
        key = self.level_of.get(path)
        if key is not None:
            for resource, shelves in self.levels[key].shelves.items():
                shelves.put(path, free.get(resource, 0))


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
        self._free: dict[str, Amounts] = {}
        self._views: dict[Rules, _View] = {}
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
        self.edges[edge.path], self._free[edge.path] = edge, free
        for view in self._views.values():
            view.put(edge, free)
        self._grow(edge.path)

    def drop(self, path: str) -> None:
        edge = self.edges.pop(path, None)
        if edge is not None:
            self.capacity.subtract(edge.capacity)
            del self._free[path]
            self._moved.discard(path)
            for view in self._views.values():
                view.drop(path)

    def set_free(self, path: str, free: Amounts) -> None:
        """What is free of an edge that is known."""
        before = self._free[path]
        self._put_free(path, free)
        if any(amount > before.get(name, 0) for name, amount in free.items()):
            self._grow(path)

    def free(self, path: str) -> Amounts:
        return self._free[path]

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

    def _tier(self, level: _Level, key: tuple[int, int], signature: Signature) -> Tier:
        if self.policy == FIRST_FIT:
            return Tier(key, level.paths, None, 0)
        found = [(self._shelves(level, name), name, amount) for name, amount in signature]
        if self.policy == POWER_AWARE:
            shelves, _, least = next((one for one in found if one[1] == POWER), found[0])
        else:
            shelves, _, least = min(found, key=lambda one: (one[0].about(one[2]), one[1]))
        return Tier(key, level.paths, shelves, least)

    def _shelves(self, level: _Level, resource: str) -> Shelves:
        shelves = level.shelves.get(resource)
        if shelves is None:
            shelves = level.shelves[resource] = Shelves()
            for path in level.paths:
                shelves.put(path, self._free[path].get(resource, 0))
        return shelves

    def _view(self, rules: Rules) -> _View:
        view = self._views.pop(rules, None)
        if view is None:
            if len(self._views) >= VIEWS_LIMIT:
                del self._views[next(iter(self._views))]
            view = _View(rules, banded=self.policy == POWER_AWARE)
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

    def _put_free(self, path: str, free: Amounts) -> None:
        self._free[path] = free
        self._moved.add(path)

    def _grow(self, path: str) -> None:
        self._growths.append(path)
        self._grown += 1
