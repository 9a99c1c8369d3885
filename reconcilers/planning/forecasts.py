"""With how much power placement counts where edges say what they expect."""

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta

from datamodel.kinds import Document
from datamodel.pool import Pool
from datamodel.scheduling.forecasts import Foresight, bounded


class Forecasts:
    """Of the edges that take work. Where nobody looks ahead (`horizon_s` is None), all of it is what pools say."""

    def __init__(self, horizon_s: float | None, clock: Callable[[], datetime]) -> None:
        self._horizon_s = horizon_s
        self._clock = clock
        self._least: dict[str, int] = {}
        """By edge, the least that it expects."""
        self._due: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, str]] = []
        """What is due, and what was and is not any more."""

    def put(self, path: str, spec: Document) -> None:
        """An edge as it describes itself."""
        self.drop(path)
        if self._horizon_s is None or not spec.get("forecast"):
            return
        now = self._clock()
        foresight = Foresight(self._horizon_s, now)
        least, again_s = foresight.least(spec), foresight.again_s(spec)
        if least is not None:
            self._least[path] = least
        if again_s is not None:
            due = self._due[path] = now + timedelta(seconds=again_s)
            heapq.heappush(self._heap, (due, path))

    def drop(self, path: str) -> None:
        """It takes no work, or describes itself in another way."""
        self._least.pop(path, None)
        self._due.pop(path, None)

    def counted_on(self, path: str, pool: Pool) -> Pool:
        """What may be reserved of an edge now."""
        return bounded(pool, self._least.get(path))

    def due(self) -> set[str]:
        """The edges to look at again, once each."""
        paths: set[str] = set()
        now = self._clock()
        while (first := self._first()) is not None and first <= now:
            _, path = heapq.heappop(self._heap)
            del self._due[path]
            paths.add(path)
        return paths

    def rest_s(self) -> float | None:
        """In how many seconds the next one is due."""
        first = self._first()
        return max(0.001, (first - self._clock()).total_seconds()) if first is not None else None

    def _first(self) -> datetime | None:
        while self._heap:
            at, path = self._heap[0]
            if self._due.get(path) == at:
                return at
            heapq.heappop(self._heap)
        return None
