"""A line chart as a small SVG, to stand in a page."""

import math
from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 320, 64
POINTS_MOST = 320
_TOP, _BOTTOM = 4, 60


def chart(times_s: Sequence[float], values: Sequence[float], title: str) -> str:
    """The series from its least to its greatest value, with a mark where the judged half begins. Zero is on the axis where
    values come near it, so that a wobble of one in a hundred does not look like a mountain."""
    if not values:
        return ""
    low, high = min(values), max(values)
    low = 0.0 if low >= 0 and high - low > low / 2 else low - (high - low) / 4
    spread = max(high - low, abs(high) * 0.02, 1e-9)
    begin_s, length_s = times_s[0], max(times_s[-1] - times_s[0], 1e-9)
    points = " ".join(
        f"{(at_s - begin_s) / length_s * WIDTH:.1f},{_BOTTOM - (value - low) / spread * (_BOTTOM - _TOP):.1f}"
        for at_s, value in _thinned(times_s, values)
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{escape(title)}">'
        f'<line x1="{WIDTH / 2}" y1="0" x2="{WIDTH / 2}" y2="{HEIGHT}" class="half"/>'
        f'<polyline points="{points}"/></svg>'
    )


def _thinned(times_s: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    """Of long series, the least and the greatest of each stretch, so that no peak is lost."""
    pairs = list(zip(times_s, values, strict=True))
    if len(pairs) <= POINTS_MOST:
        return pairs
    stretch = math.ceil(2 * len(pairs) / POINTS_MOST)
    kept: list[tuple[float, float]] = []
    for start in range(0, len(pairs), stretch):
        part = pairs[start : start + stretch]
        kept += sorted({min(part, key=lambda pair: pair[1]), max(part, key=lambda pair: pair[1])})
    return kept
