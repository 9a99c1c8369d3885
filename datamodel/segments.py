"""The log's segments, and the base: what the graph was where the kept log begins.

Whoever reads the past puts together the base and the events after it. So the base moves first, and then what is before it may
be forgotten, a segment at a time.
"""

from typing import Protocol

import msgspec

SEGMENT_POSITIONS = 1_000_000
FOLD_EVENTS = 1_000
"""Folded into the base at a time."""


class Segment(msgspec.Struct, frozen=True):
    """A part of the log by position, its `first` and `last` included. There may be nothing in it yet."""

    first: int
    last: int


class Segments(Protocol):
    """What a keeper of the log does. Each step is done or not, whatever happens meanwhile, and may be done again."""

    async def segments(self) -> list[Segment]:
        """Those that are there, in order."""
        ...

    async def extend(self, positions: int) -> None:
        """Makes segments of so many positions, until as many are free. Who appends makes one where there is none."""
        ...

    async def fold_base(self, through: int, limit: int) -> int:
        """Moves the base on towards a position, by at most so many events; the oldest position that can be read from now on.
        Raises `Conflict` while somebody else works on the base or rebuilds the projection."""
        ...

    async def drop_segment(self, segment: Segment) -> None:
        """Forgets the first segment, as if it had never been kept; one that is gone already stays so. Raises `Conflict` where
        it is not before the base, and `Transient` where readers of the log leave no gap."""
        ...
