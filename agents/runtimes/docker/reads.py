"""When the output of steps was read last, and whether the clock was set back since."""

import time
from collections.abc import Callable
from typing import NamedTuple

_SET_BACK_S = 0.5
"""By less, a clock is only made to go right."""


class Read(NamedTuple):
    """A moment: what the host's clock shows, and how far that is ahead of one that is never set."""

    at_s: float
    ahead_s: float


class Reads:
    """Of one agent, which does not remember those of the one before it."""

    def __init__(self, wall_s: Callable[[], float] = time.time, steady_s: Callable[[], float] = time.monotonic) -> None:
        self._wall_s, self._steady_s = wall_s, steady_s
        self._last: dict[str, dict[int, Read]] = {}

    def now(self) -> Read:
        """Of a read that begins."""
        wall_s = self._wall_s()
        return Read(wall_s, wall_s - self._steady_s())

    def last_s(self, attempt: str, step: int) -> float | None:
        """When a step's output was read to its end; None where it was not, or the clock was set back since."""
        last = self._last.get(attempt, {}).get(step)
        return last.at_s if last is not None and self.now().ahead_s > last.ahead_s - _SET_BACK_S else None

    def done(self, attempt: str, step: int, begun: Read) -> None:
        """A read has come to the end that was there when it began."""
        self._last.setdefault(attempt, {})[step] = begun

    def forget(self, attempt: str) -> None:
        self._last.pop(attempt, None)
