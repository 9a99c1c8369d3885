"""Sets of indices as people write them for an array of chunks: `0-31:2,40,50-59`, and after `%` how many run at a time.

The syntax is that of Slurm's `sbatch --array`, parsed strictly. A set is kept as its ranges, however many indices it has.
"""

import math
import re
from dataclasses import dataclass
from functools import lru_cache

SIZE_LIMIT = 1_000_000
INDEX_LIMIT = 999_999_999
TEXT_LIMIT = 1_024
RANGES_LIMIT = 100

_NUMBER = r"(0|[1-9][0-9]*)"
_PART = re.compile(rf"{_NUMBER}(?:-{_NUMBER}(?::{_NUMBER})?)?")
_WHOLE = re.compile(r"[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class Indices:
    """The indices in the order in which they were written: that of the ordinals, 0 to `size` - 1."""

    ranges: tuple[range, ...]

    @property
    def size(self) -> int:
        return sum(len(one) for one in self.ranges)

    def at(self, ordinal: int) -> int:
        """The index that an ordinal stands for. Raises `IndexError` beyond the last."""
        for one in self.ranges:
            if ordinal < len(one):
                return one[ordinal]
            ordinal -= len(one)
        raise IndexError("the set has not so many indices")


@dataclass(frozen=True, slots=True)
class Array:
    """What a text says: a set, and the text of it alone; how many of it run at a time, None where it does not say."""

    indices: Indices
    set: str
    at_a_time: int | None = None


@lru_cache(maxsize=1_024)
def parsed(text: str) -> Array:
    """Raises `ValueError` saying what is wrong, and where."""
    if len(text) > TEXT_LIMIT:
        raise ValueError(f"a set of indices is written in at most {TEXT_LIMIT} characters, and this has {len(text)}")
    told, percent, most = text.partition("%")
    parts = told.split(",")
    if len(parts) > RANGES_LIMIT:
        raise ValueError(f"a set has at most {RANGES_LIMIT} ranges and indices, and this has {len(parts)}")
    indices = Indices(tuple(_range(part) for part in parts))
    if indices.size > SIZE_LIMIT:
        raise ValueError(f"a set has at most {SIZE_LIMIT} indices, and this has {indices.size}")
    _check_distinct(indices.ranges)
    if not percent:
        return Array(indices, told)
    if _WHOLE.fullmatch(most) is None or len(most) > len(str(SIZE_LIMIT)) or int(most) > SIZE_LIMIT:
        raise ValueError(f"after % comes how many run at a time, 1 to {SIZE_LIMIT}, and not {most[:20]!r}")
    return Array(indices, told, int(most))


def _range(part: str) -> range:
    found = _PART.fullmatch(part)
    if found is None:
        raise ValueError(f"{part[:40]!r} is none of FIRST-LAST, FIRST-LAST:STEP and one index, in plain digits")
    first, last, step = (int(one[:12]) if one is not None else None for one in found.groups())
    assert first is not None, "it matches"
    if max(first, last or 0) > INDEX_LIMIT:
        raise ValueError(f"{part[:40]!r}: an index is at most {INDEX_LIMIT}")
    if last is not None and last < first:
        raise ValueError(f"{part!r} ends before it begins")
    if step == 0:
        raise ValueError(f"{part!r} goes on by steps of 0")
    return range(first, (first if last is None else last) + 1, 1 if step is None else step)


def _check_distinct(ranges: tuple[range, ...]) -> None:
    for number, one in enumerate(ranges):
        for other in ranges[:number]:
            twice = _common(one, other)
            if twice is not None:
                raise ValueError(f"the index {twice} is in it twice")


def _common(one: range, other: range) -> int | None:
    """The first number that is in both, None where there is none: by the Chinese remainder theorem, whatever their lengths."""
    least, most = max(one[0], other[0]), min(one[-1], other[-1])
    gap, apart = math.gcd(one.step, other.step), other[0] - one[0]
    if least > most or apart % gap:
        return None
    period = other.step // gap
    steps = apart // gap * pow(one.step // gap, -1, period) % period if period > 1 else 0
    found, every = one[0] + steps * one.step, one.step * period
    found += max(0, -(-(least - found) // every)) * every
    return found if found <= most else None
