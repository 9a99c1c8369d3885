"""The edges that suit some rules, in the order in which they are looked at."""

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from datamodel.kinds import Amounts
from datamodel.scheduling.placing import ANYWHERE, Rules
from reconcilers.planning.shelves import Shelves

CARBON_BAND_G = 50.0
"""Edges whose power is about as clean are alike to a power-aware placement, in grams of CO2 for a kilowatt-hour."""


class Edge(msgspec.Struct, frozen=True):
    """An edge that takes work: the path of its desired node, its site, the labels that rules look at, what it has, how many
    grams of CO2 a kilowatt-hour costs there, where it says so, and the images that it has."""

    path: str
    site: str
    labels: Mapping[str, str]
    capacity: Amounts
    carbon: float | None = None
    images: frozenset[str] = frozenset()


class Level:
    """Edges that are equally preferred: in order, and on shelves by each resource that was asked for."""

    __slots__ = ("paths", "shelves")

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.shelves: dict[str, Shelves] = {}


class Tier(NamedTuple):
    """Edges that are equally preferred, by `key`: in order of their paths, and on the shelves of the resource by which they are
    looked at (None: they are looked at in order), from so much on: `resource`, of which the fewest have enough, with the
    power-aware policy power."""

    key: tuple[int, int]
    paths: Sequence[str]
    shelves: Shelves | None
    least: int
    resource: str = ""


class View:
    """The edges that suit some rules, the preferred first."""

    __slots__ = ("_banded", "level_of", "levels", "rules")

    def __init__(self, rules: Rules, *, banded: bool) -> None:
        """`banded`: edges with cleaner power come first among those that are equally preferred, and in that those that have the
        images."""
        self.rules = rules
        self.levels: dict[tuple[int, int], Level] = {}
        self.level_of: dict[str, tuple[int, int]] = {}
        self._banded = banded

    def put(self, edge: Edge, free: Amounts) -> None:
        self.drop(edge.path)
        if self.rules is not ANYWHERE and self.rules.bar(edge.labels) is not None:
            return
        band = int((edge.carbon if edge.carbon is not None else 1e6) // CARBON_BAND_G) if self._banded else 0
        lacks = not edge.images.issuperset(self.rules.images)
        key = self.level_of[edge.path] = (-self.rules.weight(edge.labels), 2 * band + lacks)
        insort(self.levels.setdefault(key, Level()).paths, edge.path)
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
