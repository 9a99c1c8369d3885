"""Edges by how much is free of one resource: found from the tightest or from the roomiest, however many there are."""

from bisect import bisect_left, insort
from collections.abc import Iterator

STEPS = 3
"""Bits of an amount below its highest that tell shelves apart: amounts on one shelf differ by an eighth at most."""
OCTAVES = 64


def shelf_of(amount: int) -> int:
    """The shelf of an amount; not below that of any smaller one."""
    if amount <= 0:
        return 0
    above = amount.bit_length() - STEPS - 1
    return amount if above <= 0 else (above << STEPS) + (amount >> above)


class Shelves:
    """Names on shelves, in order on each: what is found depends on what is there, not on how it came there. To put one costs a
    search on its shelf, and nothing where it stays on the one it is on. Amounts are below 2**63."""

    __slots__ = ("_counts", "_filled", "_shelf_of", "_shelves")

    def __init__(self) -> None:
        self._shelves: dict[int, list[str]] = {}
        self._shelf_of: dict[str, int] = {}
        self._filled = 0
        """A bit for each shelf with something on it."""
        self._counts = [0] * OCTAVES
        """Of names, by eight shelves."""

    def put(self, name: str, amount: int) -> None:
        shelf = shelf_of(amount)
        before = self._shelf_of.get(name)
        if before == shelf:
            return
        if before is not None:
            self._remove(name, before)
        self._shelf_of[name] = shelf
        self._counts[shelf >> STEPS] += 1
        names = self._shelves.get(shelf)
        if names is None:
            self._shelves[shelf] = [name]
            self._filled |= 1 << shelf
        else:
            insort(names, name)

    def drop(self, name: str) -> None:
        shelf = self._shelf_of.pop(name, None)
        if shelf is not None:
            self._remove(name, shelf)

    def shelf(self, name: str) -> int:
        """The shelf of what is there."""
        return self._shelf_of[name]

    def about(self, least: int) -> int:
        """About how many have as much as this; none where none may."""
        return sum(self._counts[shelf_of(least) >> STEPS :])

    def tightest(self, least: int) -> Iterator[tuple[int, str]]:
        """All that may have as much as this, with their shelves, from the lowest one up. Only what is on the first may have
        less. What is put onto another one meanwhile may be left out, or come twice."""
        first = shelf_of(least)
        filled = self._filled >> first << first
        while filled:
            lowest = filled & -filled
            shelf = lowest.bit_length() - 1
            for name in tuple(self._shelves.get(shelf, ())):
                yield shelf, name
            filled ^= lowest

    def roomiest(self, least: int) -> Iterator[tuple[int, str]]:
        """The same, from the highest shelf down."""
        first = shelf_of(least)
        filled = self._filled >> first << first
        while filled:
            shelf = filled.bit_length() - 1
            for name in tuple(self._shelves.get(shelf, ())):
                yield shelf, name
            filled ^= 1 << shelf

    def _remove(self, name: str, shelf: int) -> None:
        self._counts[shelf >> STEPS] -= 1
        names = self._shelves[shelf]
        del names[bisect_left(names, name)]
        if not names:
            del self._shelves[shelf]
            self._filled ^= 1 << shelf
