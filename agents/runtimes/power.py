"""The watt-second model: what power an edge that switches among levels has, and how fast its chunks drain with any.

Pure: times are arguments, in seconds of one monotonic clock.
"""

import heapq
import zlib
from dataclasses import dataclass, field

LEVELS_W = (5.0, 10.0, 22.0, 37.0)
PERIOD_S = 10.0


def available_w(seed: int, edge: str, at_s: float) -> float:
    """What the edge can grant at a time: one of `LEVELS_W`, drawn anew every `PERIOD_S` seconds."""
    return LEVELS_W[zlib.crc32(f"{seed}/{edge}/{_period(edge, at_s)}".encode()) % len(LEVELS_W)]


def next_draw_s(edge: str, at_s: float) -> float:
    """When `available_w` is drawn anew."""
    return (_period(edge, at_s) + 1) * PERIOD_S - _phase_s(edge)


def _period(edge: str, at_s: float) -> int:
    return int((at_s + _phase_s(edge)) // PERIOD_S)


def _phase_s(edge: str) -> float:
    """Edges do not all switch at once."""
    return zlib.crc32(edge.encode()) % 1000 / 1000 * PERIOD_S


@dataclass(slots=True)
class Drain:
    """Chunks that drain together, each at its weight's share of the power; O(log n) for a change, whatever n is.

    Weighted processor sharing by virtual time (Parekh and Gallager, 1993): `level` is how many watt-seconds each unit
    of weight has been granted so far, so a chunk that joins ends when the level has risen by its work over its weight,
    and nothing that happens to the others changes that mark.
    """

    power_w: float
    now_s: float
    level: float = 0.0
    _weight: float = 0.0
    _marks: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    _heap: list[tuple[float, str]] = field(default_factory=list)

    def join(self, name: str, work_ws: float, weight: float) -> None:
        """`weight` is above 0; `name` is not in yet."""
        mark = self.level + work_ws / weight
        self._marks[name] = (mark, work_ws, weight)
        self._weight += weight
        heapq.heappush(self._heap, (mark, name))

    def leave(self, name: str) -> None:
        _, _, weight = self._marks.pop(name)
        self._weight -= weight
        if not self._marks:  # sums of floats drift: an empty drain starts afresh
            self._weight = self.level = 0.0
            self._heap.clear()

    def advance(self, now_s: float) -> list[str]:
        """Grants power up to `now_s`; returns those that are drained by then, in order, and have left."""
        drained = []
        while (end_s := self.next_end_s()) is not None and end_s <= now_s:
            self.level, name = self._heap[0]
            self.now_s = end_s
            self.leave(name)
            drained.append(name)
        if self._marks:
            self.level += (now_s - self.now_s) * self.power_w / self._weight
        self.now_s = now_s
        return drained

    def next_end_s(self) -> float | None:
        """When the next one is drained if nothing changes until then; None where there is none, or no power."""
        mark = self._first_mark()
        if mark is None or self.power_w <= 0:
            return None
        return self.now_s + max(0.0, mark - self.level) * self._weight / self.power_w

    @property
    def empty(self) -> bool:
        return not self._marks

    def percent(self, name: str, now_s: float) -> float:
        mark, work_ws, weight = self._marks[name]
        level = self.level + (now_s - self.now_s) * self.power_w / self._weight
        return min(100.0, max(0.0, 100.0 * (1.0 - (mark - level) * weight / work_ws)))

    def _first_mark(self) -> float | None:
        while self._heap:
            mark, name = self._heap[0]
            if name in self._marks and self._marks[name][0] == mark:
                return mark
            heapq.heappop(self._heap)  # it left before its end
        return None
