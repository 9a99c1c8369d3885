"""A power supply that follows a file: `seconds,watts`, and again from the beginning."""

import csv
import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from datamodel.errors import Invalid
from datamodel.scheduling.resources import POWER_LIMIT_W

FIELDS = ("seconds", "watts")
LINES_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class Trace:
    """From `starts_s[k]` on there are `watts[k]`; after `period_s` seconds it begins anew. The same for every edge."""

    starts_s: tuple[float, ...]
    watts: tuple[float, ...]
    period_s: float

    def available_w(self, edge: str, at_s: float) -> float:  # noqa: ARG002
        return self.watts[bisect_right(self.starts_s, at_s % self.period_s) - 1]

    def next_change_s(self, edge: str, at_s: float) -> float:  # noqa: ARG002
        within_s = at_s % self.period_s
        later = bisect_right(self.starts_s, within_s)
        return at_s - within_s + (self.starts_s[later] if later < len(self.starts_s) else self.period_s)


def read_trace(path: Path) -> Trace:
    """The trace of a file. Raises `Invalid` naming the file, the line and the field."""
    name = str(path).encode(errors="backslashreplace").decode()  # whatever bytes it has
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return trace_of(file, name)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Invalid(f"{name}: {error}") from error


def trace_of(lines: Iterable[str], name: str) -> Trace:
    """The trace of a CSV file's lines, the first of which is `seconds,watts`.

    Seconds begin at 0 and rise. Watts hold until the next line's seconds; those of the last line for as long as those of the
    line before, and those of a single line for ever. Raises `Invalid` as `read_trace` does.
    """
    rows = csv.reader(lines, strict=True)
    if tuple(next(rows, ())) != FIELDS:
        raise Invalid(f"{name}: line 1: the fields are {','.join(FIELDS)}")
    starts_s: list[float] = []
    watts: list[float] = []
    for row in rows:
        where = f"{name}: line {rows.line_num}"
        if len(row) != len(FIELDS):
            raise Invalid(f"{where}: {len(row)} fields instead of {','.join(FIELDS)}")
        if len(starts_s) == LINES_LIMIT:
            raise Invalid(f"{where}: a trace has at most {LINES_LIMIT} lines")
        seconds = _number(row[0], f"{where}, field seconds")
        if (seconds <= starts_s[-1]) if starts_s else (seconds != 0):
            raise Invalid(f"{where}, field seconds: {row[0]} is not {'after the line before' if starts_s else '0'}")
        starts_s.append(seconds)
        watts.append(_number(row[1], f"{where}, field watts"))
        if not 0 <= watts[-1] <= POWER_LIMIT_W:
            raise Invalid(f"{where}, field watts: {row[1]} is not from 0 to {POWER_LIMIT_W:g}")
    if not any(watts):
        raise Invalid(f"{name}: line {rows.line_num}, field watts: there is no power at any time")
    period_s = 2 * starts_s[-1] - starts_s[-2] if len(starts_s) > 1 else math.inf
    return Trace(tuple(starts_s), tuple(watts), period_s)


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise Invalid(f"{where}: {text!r:.40} is no number") from error
    if not math.isfinite(number):
        raise Invalid(f"{where}: {text} is not finite")
    return number
