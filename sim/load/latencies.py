"""Latencies by their jobs' intended times: exact percentiles, over all of a phase and over windows of it.

Samples are kept, at 16 bytes each, rather than put into a histogram: a run knows beforehand how many jobs it has, and what
is exact needs no word about the width of buckets.
"""

import math
from array import array
from collections.abc import Sequence

RECENT = 1_000
"""The last samples, which the running line is about."""
POINTS = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}

Summary = dict[str, float]


class Latencies:
    """Samples of one kind."""

    def __init__(self) -> None:
        self._at_s = array("d")
        self._seconds = array("d")

    def add(self, at_s: float, seconds: float) -> None:
        """A job that was meant for `at_s` took so long."""
        self._at_s.append(at_s)
        self._seconds.append(seconds)

    def __len__(self) -> int:
        return len(self._seconds)

    def summary(self) -> Summary:
        return summary(self._seconds)

    def recent(self) -> Summary:
        return summary(self._seconds[-RECENT:])

    def windows(self, width_s: float) -> dict[int, Summary]:
        """The summaries of windows by their number since the start of the run; those without a sample are absent."""
        found: dict[int, array[float]] = {}
        for at_s, seconds in zip(self._at_s, self._seconds, strict=True):
            found.setdefault(int(at_s // width_s), array("d")).append(seconds)
        return {number: summary(samples) for number, samples in sorted(found.items())}


def summary(seconds: Sequence[float]) -> Summary:
    """Milliseconds at the usual points, each a sample itself (nearest rank: the least that so many samples do not exceed),
    and their count, which alone is there where there is no sample."""
    ordered = sorted(seconds)
    count = len(ordered)
    points = {} if not count else {name: _rank(ordered, q) for name, q in POINTS.items()}
    return {**points, "count": count}


def _rank(ordered: Sequence[float], q: float) -> float:
    return round(ordered[max(0, math.ceil(q * len(ordered)) - 1)] * 1000, 2)
