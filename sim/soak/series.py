"""What is sampled, what of it must be flat, and what is not judged, with the reason.

A series is named `MEASURE: SUBJECT`; the measure says what is expected of it, but for the few whose subject makes a difference.
"""

from array import array
from dataclasses import dataclass, field
from typing import Any, Literal

from sim.soak.slope import Tolerance, Trend, trend

MIB = 1024.0 * 1024.0
CACHED_ATTEMPTS = 16_384
"""A writer remembers some 50,000 rows, of which an attempt and its job are four (`datamodel/postgres/remembered.py`); other
caches are smaller. Until so many attempts have been made, memory grows towards a bound."""

Verdict = Literal["flat", "growing", "short", "not judged"]

_TOMBSTONES = "by design: the feed keeps a tombstone of each deleted node for 24 hours"
_LOG = "by design: the log is kept whole where nobody says for how long"


@dataclass(frozen=True, slots=True)
class Measure:
    """A kind of series. Without a tolerance it is not judged, and `why` says why."""

    unit: str
    tolerance: Tolerance | None = None
    why: str = ""
    scale: float = 1.0
    """By how much a value is divided to be shown in the unit."""


MEASURES = {
    "memory": Measure("MiB", Tolerance(8 * MIB, 0.04), scale=MIB),
    "memory RSS": Measure("MiB", why="counts pages that programs share once for each; `memory` is judged", scale=MIB),
    "memory PSS": Measure("MiB", why="Postgres fills its shared buffers; `memory` is judged", scale=MIB),
    "open files": Measure("", Tolerance(4, 0.03)),
    "threads": Measure("", Tolerance(2, 0.03)),
    "lag": Measure("events", Tolerance(100, 0.2)),
    "age": Measure("s", Tolerance(5, 0.2)),
    "queue": Measure("", Tolerance(50, 0.2)),
    "rows": Measure("", Tolerance(50, 0.2)),
    "size": Measure("MiB", why="judged per live node", scale=MIB),
    "projection per live node": Measure("bytes", Tolerance(500, 0.1)),
    "log": Measure("", why=_LOG),
    "feed": Measure("", Tolerance(200, 0.05)),
    "relations": Measure("", Tolerance(10, 0.03)),
    "WAL": Measure("MiB", why="Postgres recycles its files at checkpoints, within max_wal_size", scale=MIB),
    "latency p50": Measure("ms", Tolerance(50, 0.5)),
    "latency p99": Measure("ms", Tolerance(1000, 1.0)),
}
EXCEPTIONS = {
    "memory: nats-server": Measure("MiB", why=f"{_TOMBSTONES}, and the server an index of them", scale=MIB),
    "open files: postgres": Measure(
        "", why="each of its sessions keeps open what it has read, until a vacuum closes it; the relations are judged"
    ),
    "rows: idempotency": Measure("", why="by design: idempotency keys are kept for 24 hours"),
    "size: events": Measure("MiB", why=_LOG, scale=MIB),
    "size: idempotency": Measure("MiB", why="by design: idempotency keys are kept for 24 hours", scale=MIB),
    "log: bytes per event": Measure("bytes", why=_LOG),
    "log: WAL bytes per event": Measure("bytes", why=_LOG),
    "feed: messages": Measure("", why=_TOMBSTONES),
    "feed: bytes": Measure("MiB", why=_TOMBSTONES, scale=MIB),
    "feed: bytes per message": Measure("bytes", Tolerance(50, 0.1)),
}


@dataclass(slots=True)
class Series:
    """Samples of one thing, in order of time (seconds since the load began)."""

    name: str
    times_s: "array[float]" = field(default_factory=lambda: array("d"))
    values: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, at_s: float, value: float) -> None:
        self.times_s.append(at_s)
        self.values.append(value)

    @property
    def measure(self) -> Measure:
        return EXCEPTIONS.get(self.name) or MEASURES[self.name.partition(": ")[0]]

    @property
    def trend(self) -> Trend | None:
        return trend(self.times_s, self.values)

    @property
    def verdict(self) -> Verdict:
        measure, found = self.measure, self.trend
        if measure.tolerance is None:
            return "not judged"
        if found is None:
            return "short"
        return "growing" if found.grows(measure.tolerance) else "flat"

    def result(self) -> dict[str, Any]:
        """The series as a document, in its unit."""
        measure, found, scale = self.measure, self.trend, self.measure.scale
        tolerance = measure.tolerance
        return {
            "name": self.name,
            "unit": measure.unit,
            "verdict": self.verdict,
            "why": measure.why,
            "level": _round(found.level / scale) if found is not None else None,
            "slopePerHour": _round(found.per_hour / scale) if found is not None else None,
            "leastSlopePerHour": _round(found.least_per_hour / scale) if found is not None else None,
            "lowsPerHour": _round(found.lows_per_hour / scale) if found is not None else None,
            "toleratedPerHour": _round(tolerance.per_hour / scale) if tolerance is not None else None,
            "toleratedShare": tolerance.relative if tolerance is not None else None,
            "timesS": [round(at_s, 1) for at_s in self.times_s],
            "values": [_round(value / scale) for value in self.values],
        }


class Samples:
    """All series by name, in the order in which they first came."""

    def __init__(self) -> None:
        self.series: dict[str, Series] = {}

    def add(self, at_s: float, values: dict[str, float]) -> None:
        for name, value in values.items():
            self.series.setdefault(name, Series(name)).add(at_s, value)


def _round(value: float) -> float:
    return float(f"{value:.6g}")
