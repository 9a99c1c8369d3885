"""The database's clock, as a writer reads it without asking."""

import time
from datetime import datetime, timedelta

TRUSTED_S = 10.0
"""Two clocks drift apart: after that the database is asked again."""


class Clock:
    """The database's clock, carried forward by this machine's steady one. It never runs backwards."""

    def __init__(self, now: datetime, asked_s: float) -> None:
        """`now` is what the database said when it was asked at `asked_s` (monotonic): it is carried forward from before, so it
        is never behind."""
        self._then = self._last = now
        self._read_s = asked_s

    @property
    def trusted(self) -> bool:
        """Whether it was read lately."""
        return time.monotonic() - self._read_s < TRUSTED_S

    def now(self) -> datetime:
        self._last = max(self._last, self._then + timedelta(seconds=time.monotonic() - self._read_s))
        return self._last
