"""Errands: something that is to be done for each of many attempts before they go on, tried until it is, or for too long."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from agents.runtimes.protocol import Refusal, Work
from datamodel.errors import TendrilError
from datamodel.keyqueue import KeyQueue

RETRY_S = (0.2, 10.0)
HOLD_S = 6 * 3600.0
"""How long an attempt waits at most."""
WORKERS = 2
"""How many attempts are served at a time: their files share one line with reports and heartbeats."""

T = TypeVar("T")
_log = structlog.get_logger("artifacts")


@dataclass(slots=True)
class _Errand(Generic[T]):
    work: Work
    since_s: float
    failures: int = 0
    failure: str = "it takes too long"
    task: "asyncio.Task[T | Refusal] | None" = None
    outcome: T | Refusal | None = None


class Errands(Generic[T]):
    """Of one kind. `do(work)` may raise `Transient` as often as it likes, and is called again; what it has done before, it
    finds out. `late` is the reason of what has not been done in time. `over(attempt)` is called when one is done or refused."""

    def __init__(
        self, do: Callable[[Work], Awaitable[T | Refusal]], *, late: str, hold_s: float, workers: int = WORKERS
    ) -> None:
        self._do = do
        self._late, self._hold_s, self._workers = late, hold_s, workers
        self._queue = KeyQueue()
        self._errands: dict[str, _Errand[T]] = {}
        self.over: Callable[[str], None] = lambda _: None

    async def run(self) -> None:
        """Serves until it is cancelled."""
        await self._queue.serve(self._serve, self._workers, "artifacts")

    def outcome(self, work: Work) -> T | Refusal | None:
        """What came of it for an attempt; None while it is under way, as it is from now on."""
        errand = self._errands.get(work.attempt)
        if errand is None:
            errand = self._errands[work.attempt] = _Errand(work, asyncio.get_running_loop().time())
            self._queue.add(work.attempt)
        return errand.outcome

    def forget(self, attempt: str) -> None:
        """Nobody waits for it any more."""
        errand = self._errands.pop(attempt, None)
        if errand is not None and errand.task is not None:
            errand.task.cancel()

    async def _serve(self, attempt: str) -> None:
        errand = self._errands.get(attempt)
        if errand is None or errand.outcome is not None:
            return
        loop = asyncio.get_running_loop()
        left_s = errand.since_s + self._hold_s - loop.time()
        task = errand.task = asyncio.ensure_future(self._do(errand.work))
        try:
            await asyncio.wait([task], timeout=max(0.0, left_s))
        finally:
            errand.task = None
            task.cancel()
        if self._errands.get(attempt) is not errand:
            return
        if task.done() and not task.cancelled():
            error = task.exception()
            if error is None:
                self._end(errand, task.result())
                return
            if not isinstance(error, TendrilError):  # a bug, which must not stop the others
                _log.error("files are not carried", attempt=attempt, exc_info=error)
            errand.failure = str(error)
        left_s = errand.since_s + self._hold_s - loop.time()
        if left_s <= 0:
            self._end(errand, Refusal(self._late, f"not within {self._hold_s:g} s: {errand.failure}"))
            return
        delay_s = min(RETRY_S[0] * float(1 << min(errand.failures, 10)), RETRY_S[1], left_s)
        errand.failures += 1
        _log.info("files are to wait", attempt=attempt, error=errand.failure)
        self._queue.add_after(attempt, delay_s)

    def _end(self, errand: _Errand[T], outcome: T | Refusal) -> None:
        errand.outcome = outcome
        self.over(errand.work.attempt)
