"""Whether a series grows: a robust slope over its second half.

The slope is the median of the slopes between all pairs of samples (Theil 1950, Sen 1968), which a quarter of wild samples does
not move, with Sen's confidence interval from the variance of Kendall's S. A cache that fills and is cleared rises most of the
time without growing, so what grows must also have its lows rise.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

HOUR_S = 3600.0
SAMPLES_LEAST = 20
"""Fewer in the second half, and nothing can be said."""
SAMPLES_MOST = 300
"""More are thinned to the medians of as many stretches: the pairs are half the square of their number."""
_Z = 1.96
"""Of the normal distribution at 95 %."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What still counts as flat: growth of no more than `per_hour` (in the series' unit), or of no more than the share
    `relative` of its level in an hour."""

    per_hour: float
    relative: float


@dataclass(frozen=True, slots=True)
class Trend:
    """The second half of a series: its slope an hour, the lower end of that slope's confidence interval, its median, and how
    much its lows rose an hour."""

    per_hour: float
    least_per_hour: float
    level: float
    lows_per_hour: float

    @property
    def relative(self) -> float:
        """The slope as a share of the level."""
        return self.per_hour / self.level if self.level > 0 else math.copysign(math.inf, self.per_hour)

    def grows(self, tolerance: Tolerance) -> bool:
        """Whether it surely grows by more than is tolerated."""
        surely = min(self.least_per_hour, 2 * self.lows_per_hour)
        return surely > tolerance.per_hour and surely > tolerance.relative * self.level


def trend(times_s: Sequence[float], values: Sequence[float]) -> Trend | None:
    """The trend of the second half (by time) of a series in order; None where that has too few samples."""
    if not times_s:
        return None
    middle_s = (times_s[0] + times_s[-1]) / 2
    half = [(at, value) for at, value in zip(times_s, values, strict=True) if at >= middle_s]
    if len(half) < SAMPLES_LEAST:
        return None
    points = _thinned(half)
    slopes = sorted((b - a) / (at_b - at_a) for (at_a, a), (at_b, b) in combinations(points, 2) if at_b > at_a)
    least = slopes[_rank_of_least(len(points), len(slopes))]
    return Trend(
        per_hour=statistics.median(slopes) * HOUR_S,
        least_per_hour=least * HOUR_S,
        level=statistics.median(value for _, value in points),
        lows_per_hour=_lows_per_hour(points),
    )


def _rank_of_least(points: int, slopes: int) -> int:
    """Which of the ordered slopes is the lower end of the median's confidence interval."""
    deviation = math.sqrt(points * (points - 1) * (2 * points + 5) / 18)
    return max(0, math.floor((slopes - _Z * deviation) / 2))


def _lows_per_hour(points: Sequence[tuple[float, float]]) -> float:
    """How much the low (the tenth part of the samples is below it) of the later half of the points is above the earlier's."""
    halves = (points[: len(points) // 2], points[len(points) // 2 :])
    earlier, later = (statistics.quantiles([value for _, value in half], n=10)[0] for half in halves)
    middles = [statistics.fmean(at for at, _ in half) for half in halves]
    return (later - earlier) / (middles[1] - middles[0]) * HOUR_S


def _thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    if len(points) <= SAMPLES_MOST:
        return points
    stretch = math.ceil(len(points) / SAMPLES_MOST)
    parts = (points[start : start + stretch] for start in range(0, len(points), stretch))
    return [(statistics.median(at for at, _ in part), statistics.median(v for _, v in part)) for part in parts]
