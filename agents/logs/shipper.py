"""Brings what steps write to the hub, while they run and before their attempt is removed.

It keeps nothing: what the hub has not acknowledged is read again from the runtime, and how far an attempt's log has come its
last frame tells. A frame says which one it follows, so one that was sent twice is refused and never stands there twice. Few
frames are under way at a time, and so many bytes a second: reports and heartbeats share the line and never wait long.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from agents.logs.budget import Budget
from agents.logs.cutting import Limits, Tail, after, take
from agents.runtimes.protocol import Observed, Runtime
from datamodel.errors import Conflict, TendrilError
from datamodel.keyqueue import KeyQueue
from datamodel.scheduling.logs import (
    FRAME_BYTES,
    FRAME_VERSION,
    UNREADABLE,
    Dropped,
    Frame,
    Part,
    Position,
    Taken,
    decode,
    encode,
    key_of,
)
from datamodel.transcripts.ports import Growing

POLL_S = (1.0, 4.0)
"""How often the output of a running step is looked at: at most, and at least where it has been silent."""
RETRY_S = (0.2, 10.0)
HOLD_S = 6 * 3600.0
"""How long an ended attempt stays at its runtime for its log's sake."""
HELD_LIMIT = 100
"""How many ended attempts do; of more, the oldest goes."""
BYTES_PER_S = 1024.0 * 1024
WORKERS = 4
FRAMES_IN_FLIGHT = 2
TAIL_PAGE_BYTES = 256 * 1024

_log = structlog.get_logger("logs")


@dataclass(slots=True)
class _Log:
    """One attempt's. `known`: the hub has told how far it has come, and nobody else has gone on. `cut`: the steps of whose
    output the end may be missing."""

    key: str
    steps: int = 0
    running: bool = False
    cut: frozenset[int] = frozenset()
    known: bool = False
    sequence: int = 0
    position: Position = field(default_factory=Position)
    taken: Taken = field(default_factory=Taken)
    silent: int = 0
    failures: int = 0
    held_since_s: float | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def final(self) -> bool:
        """No step is started any more."""
        return self.held_since_s is not None


class Shipper:
    """Of one agent. `shipped(attempt)` is called when one that was held need not be held any longer."""

    def __init__(
        self,
        runtime: Runtime,
        transcripts: Growing,
        *,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        bytes_per_s: float = BYTES_PER_S,
        hold_s: float = HOLD_S,
    ) -> None:
        self._runtime = runtime
        self._transcripts = transcripts
        self._limits = limits
        self._hold_s = hold_s
        self._budget = Budget(bytes_per_s)
        self._in_flight = asyncio.Semaphore(FRAMES_IN_FLIGHT)
        self._queue = KeyQueue()
        self._logs: dict[str, _Log] = {}
        self._held: dict[str, None] = {}
        self.shipped: Callable[[str], None] = lambda _: None

    async def run(self) -> None:
        """Ships until it is cancelled."""
        await self._queue.serve(self._work, WORKERS, "logs")

    def observe(self, observed: Observed) -> None:
        """An attempt was looked at: what its steps have written is read from now on."""
        if not observed.steps or not observed.site:
            return
        log = self._logs.get(observed.attempt)
        if log is None:
            log = self._logs[observed.attempt] = _Log(key_of(observed.site, observed.edge, observed.attempt))
        seen = len(observed.steps), observed.steps[-1].phase == "running", _cut_in(observed)
        if (log.steps, log.running, log.cut) != seen:
            log.steps, log.running, log.cut = seen
            self._queue.add(observed.attempt)

    def hold_s(self, observed: Observed) -> float:
        """How long an attempt, of which nothing will run any more, is to stay at the runtime at most; 0 where its log is over.
        It is shipped at once."""
        self.observe(observed)
        log = self._logs.get(observed.attempt)
        if log is None or log.over.is_set():
            return 0.0
        now_s = asyncio.get_running_loop().time()
        if log.held_since_s is None:
            log.held_since_s = now_s
            self._held[observed.attempt] = None
            self._queue.add(observed.attempt)
            if len(self._held) > HELD_LIMIT:
                self._give_up(next(iter(self._held)))
        elif now_s - log.held_since_s >= self._hold_s:
            self._give_up(observed.attempt)
        return 0.0 if log.over.is_set() else log.held_since_s + self._hold_s - now_s

    async def over(self, observed: Observed, timeout_s: float) -> None:
        """Returns when the log of an attempt that has ended is over, or after so long."""
        if self.hold_s(observed):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._logs[observed.attempt].over.wait()

    def forget(self, attempt: str) -> None:
        """It is not at the runtime any more."""
        self._logs.pop(attempt, None)
        self._held.pop(attempt, None)

    def _give_up(self, attempt: str) -> None:
        _log.warning("the log of an attempt is given up; the hub has not taken it in time", attempt=attempt)
        self._end(attempt, self._logs[attempt])

    def _end(self, attempt: str, log: _Log) -> None:
        log.over.set()
        if attempt in self._held:
            del self._held[attempt]
            self.shipped(attempt)

    async def _work(self, attempt: str) -> None:
        log = self._logs.get(attempt)
        if log is None or log.over.is_set():
            return
        try:
            delay_s = await self._ship(attempt, log)
            log.failures = 0
        except TendrilError as error:
            log.known = False
            delay_s = min(RETRY_S[0] * float(1 << min(log.failures, 10)), RETRY_S[1])
            log.failures += 1
            if not isinstance(error, Conflict):  # which is an acknowledgement that was lost
                _log.info("a log is to wait", attempt=attempt, error=error.message)
        except Exception:  # noqa: BLE001 - one log's bug must not stop the others; it is logged with its trace
            _log.exception("shipping a log crashed", attempt=attempt)
            delay_s = RETRY_S[1]
        if log.over.is_set():
            self._end(attempt, log)
        elif delay_s is not None:
            self._queue.add_after(attempt, delay_s)

    async def _ship(self, attempt: str, log: _Log) -> float | None:
        """Adds a frame where there is something to tell. Returns when to look again; None where that is said by `observe`."""
        if not log.known:
            await self._learn(log)
        if log.over.is_set():
            return None
        if log.taken.full:
            if log.final:
                await self._end_full(attempt, log)
            return None
        # Before the read: what is true then is read whole.
        steps, running, cut, final = log.steps, log.running, log.cut, log.final
        position = log.position
        page = await self._runtime.logs(attempt, position.step, position.cursor, FRAME_BYTES)
        parts, taken = take(page.parts, log.taken, self._limits)
        if taken.full:
            cursor = page.cursors[len(parts) - 1] if parts else page.after
            await self._add(log, parts, Position(position.step, cursor), taken)
            return 0.0
        passed = not page.more and position.step + 1 < steps
        last = not page.more and position.step + 1 >= steps and final and not running
        following = Position(position.step + 1) if passed else Position(position.step, page.cursor)
        if (passed or last) and position.step in cut:
            parts = (*parts, Dropped(position.step, None))
        if parts or last:
            await self._add(log, parts, following, taken, last=last)
        log.position = following
        log.silent = 0 if parts else log.silent + 1
        if page.more or passed:
            return 0.0
        return min(POLL_S[0] * float(1 << min(log.silent, 10)), POLL_S[1]) if running or final else None

    async def _end_full(self, attempt: str, log: _Log) -> None:
        """The last frame of a log that is full: how much is missing, and the end of it."""
        tail = Tail(self._limits)
        step, cursor = log.position.step, log.position.cursor
        while step < log.steps:
            page = await self._runtime.logs(attempt, step, cursor, TAIL_PAGE_BYTES)
            for part in page.parts:
                tail.add(part)
            if not page.more and step in log.cut:
                tail.add(Dropped(step, None))
            step, cursor = (step, page.cursor) if page.more else (step + 1, "")
        taken = after(log.taken, tail.parts, full=True)
        await self._add(log, tail.parts, Position(log.steps), taken, last=True)

    async def _learn(self, log: _Log) -> None:
        """Asks the hub how far the log has come."""
        entry = await self._transcripts.last(log.key)
        log.sequence, log.position, log.taken, log.known = 0, Position(), Taken(), True
        if entry is None:
            return
        log.sequence = entry.sequence
        try:
            frame = decode(entry.body)
        except UNREADABLE as error:
            _log.error("a log ends with something else and does not go on", key=log.key, error=str(error))
            log.over.set()
            return
        log.position, log.taken = frame.position, frame.taken
        if frame.last:
            log.over.set()

    async def _add(
        self, log: _Log, parts: tuple[Part, ...], position: Position, taken: Taken, *, last: bool = False
    ) -> None:
        body = encode(Frame(FRAME_VERSION, log.taken.offset, parts, position, taken, last))
        await self._budget.spend(len(body))
        async with self._in_flight:
            log.sequence = await self._transcripts.append(log.key, log.sequence, body)
        log.position, log.taken = position, taken
        if last:
            log.over.set()


def _cut_in(observed: Observed) -> frozenset[int]:
    """Of which steps the end of what they wrote may be missing."""
    return frozenset(at for at, step in enumerate(observed.steps) if step.is_cut or step.phase == "vanished")
