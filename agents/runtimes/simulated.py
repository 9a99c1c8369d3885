"""The runtime that runs nothing: chunks drain watt-seconds at the power that their edge grants."""

import asyncio
import heapq
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from agents.runtimes.luck import USUAL, Chances, Fate, fate
from agents.runtimes.power import Drain
from agents.runtimes.protocol import LogPage, Observed, Refusal, SharedFile, StepState, Work
from agents.runtimes.reasons import LEASE_OVER
from agents.runtimes.supply import Supply

_STOPPED_CODE = 143  # ended by TERM
_SOONEST_S = 1e-6  # a change of power that rounding puts into the present is looked at again, not for ever


@dataclass(slots=True)
class _Attempt:
    work: Work
    fate: Fate
    started_s: float
    end: StepState | None = None


class SimulatedFile:
    """The port `SharedFile`: so many bytes in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size_bytes = len(content)

    async def read(self, limit_bytes: int) -> bytes:
        data, self._content = self._content[:limit_bytes], self._content[limit_bytes:]
        return data

    async def close(self) -> None:
        return


class SimulatedRuntime:
    """Attempts that take their `work_ws` at the power which their edge grants, shared in proportion to `power_w`.

    The whole sequence of steps is one: starting any starts all, and at the end every step is shown as exited with 0. `chances`
    say which attempts fail, in the step that the failing part of the work falls into, and which take longer than their work
    says. An attempt without work ends at once. Nothing survives the process: after a restart nothing is observed, as on an edge
    that lost its engine. There is one timer for all, and an attempt costs something only when it starts and ends.

    `supply` says what each edge can grant, from the moment at which the runtime is opened. `clock` stamps starts and ends
    (seconds since the epoch); what drains follows the event loop's time.
    """

    name = "simulated"
    keeps_output = False
    not_isolated = ()
    guards = True

    def __init__(self, supply: Supply, chances: Chances = USUAL, *, clock: Callable[[], float] = time.time) -> None:
        self._supply = supply
        self._chances = chances
        self._clock = clock
        self._opened_s = 0.0
        self._attempts: dict[str, _Attempt] = {}
        self._drains: dict[str, Drain] = {}
        self._leases: dict[str, float] = {}
        self._due: list[tuple[float, str]] = []
        self._planned: dict[str, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._changed: Callable[[str], None] = lambda _: None

    def refuses(self, _: Work) -> Refusal | None:
        """Nothing: what a job asks for is as simulated as what it does."""
        return None

    async def open(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        self._opened_s = asyncio.get_running_loop().time()
        self._set_timer()

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def check(self) -> None:
        """There is no engine."""

    async def discover(self) -> list[Observed]:
        return [self._observed(name, attempt) for name, attempt in self._attempts.items()]

    async def observe(self, attempt: str) -> Observed | None:
        found = self._attempts.get(attempt)
        return None if found is None else self._observed(attempt, found)

    async def start_step(self, work: Work, index: int) -> None:  # noqa: ARG002 - all steps are one
        if work.attempt in self._attempts:
            return
        lot = fate(self._chances, work.attempt)
        attempt = self._attempts[work.attempt] = _Attempt(work, lot, self._clock())
        drains_ws = work.work_ws * lot.factor * (1.0 if lot.fails_at is None else lot.fails_at)
        if drains_ws <= 0:
            self._end(attempt, lot.code)
            return
        now_s = asyncio.get_running_loop().time()
        self._drain(work.edge, now_s).join(work.attempt, drains_ws, work.power_w or 1.0)
        self._schedule(work.edge, now_s)

    async def lease(self, attempt: str, until_s: float) -> None:
        """What it has is gone with its agent, so a timer in here is guard enough."""
        until_s = self._leases[attempt] = max(until_s, self._leases.get(attempt, 0.0))
        left_s = until_s - time.clock_gettime(time.CLOCK_BOOTTIME)
        asyncio.get_running_loop().call_later(max(0.0, left_s), self._run_out, attempt, until_s)

    async def stop(self, attempt: str, grace_s: float) -> None:  # noqa: ARG002 - it ends at once
        found = self._attempts.get(attempt)
        if found is not None and self._leave(found):
            self._end(found, _STOPPED_CODE)

    async def result(self, attempt: str) -> bytes | None:  # noqa: ARG002 - nothing ran that could write one
        return None

    async def open_file(self, attempt: str, path: str) -> SharedFile | None:
        """A line that names it, as if a step had left that."""
        return SimulatedFile(f"{attempt} {path}\n".encode()) if attempt in self._attempts else None

    async def logs(self, attempt: str, index: int, after: str, limit_bytes: int) -> LogPage:  # noqa: ARG002 - as above
        return LogPage(after)

    async def remove(self, attempt: str) -> None:
        found = self._attempts.get(attempt)
        self._leases.pop(attempt, None)
        if found is not None:
            self._leave(found)
            del self._attempts[attempt]

    def _observed(self, name: str, attempt: _Attempt) -> Observed:
        work, end, lot = attempt.work, attempt.end, attempt.fate
        if end is not None:
            steps = (end,) * len(work.steps) if end.exit_code == 0 else _failed(attempt, end)
            return Observed.of(work, steps, 100.0 if end.exit_code == 0 else 0.0)
        percent = self._drains[work.edge].percent(name, asyncio.get_running_loop().time())
        if lot.fails_at is not None:
            percent *= lot.fails_at
        return Observed.of(work, (StepState("running", attempt.started_s),), percent)

    def _run_out(self, name: str, until_s: float) -> None:
        found = self._attempts.get(name)
        if found is not None and self._leases.get(name) == until_s and self._leave(found):
            self._end(found, _STOPPED_CODE, LEASE_OVER)
            self._changed(name)

    def _end(self, attempt: _Attempt, code: int, reason: str = "") -> None:
        attempt.end = StepState("exited", attempt.started_s, self._clock(), code, reason)

    def _leave(self, attempt: _Attempt) -> bool:
        """Takes it out of its edge's drain; False where it has ended, at the latest at this very moment."""
        if attempt.end is not None:
            return False
        edge, now_s = attempt.work.edge, asyncio.get_running_loop().time()
        drain = self._drain(edge, now_s)
        if attempt.end is not None:
            return False
        drain.leave(attempt.work.attempt)
        self._schedule(edge, now_s)
        return True

    def _drain(self, edge: str, now_s: float) -> Drain:
        """The edge's drain, advanced to now."""
        drain = self._drains.get(edge)
        if drain is None:
            drain = self._drains[edge] = Drain(self._granted_w(edge, now_s), now_s)
        for name in drain.advance(now_s):
            self._end(self._attempts[name], self._attempts[name].fate.code)
            self._changed(name)
        drain.power_w = self._granted_w(edge, now_s)
        return drain

    def _granted_w(self, edge: str, now_s: float) -> float:
        return self._supply.available_w(edge, now_s - self._opened_s)

    def _schedule(self, edge: str, now_s: float) -> None:
        """Looks at the edge again when something ends there or its power changes; an edge where nothing runs rests.

        A look that turns out too early is harmless, so only an earlier one than planned is worth an entry.
        """
        drain = self._drains[edge]
        if drain.empty:
            return
        at_s, end_s = now_s - self._opened_s, drain.next_end_s()
        due_s = now_s + max(self._supply.next_change_s(edge, at_s) - at_s, _SOONEST_S)
        if end_s is not None:
            due_s = min(due_s, end_s)
        if due_s < self._planned.get(edge, math.inf):
            self._planned[edge] = due_s
            heapq.heappush(self._due, (due_s, edge))
            if self._due[0] == (due_s, edge):
                self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._due:
            self._timer = asyncio.get_running_loop().call_at(self._due[0][0], self._look)

    def _look(self) -> None:
        now_s = asyncio.get_running_loop().time()
        while self._due and self._due[0][0] <= now_s:
            due_s, edge = heapq.heappop(self._due)
            if self._planned.get(edge) == due_s:  # else an earlier look has taken its place
                del self._planned[edge]
                self._drain(edge, now_s)
                self._schedule(edge, now_s)
        self._set_timer()


def _failed(attempt: _Attempt, end: StepState) -> tuple[StepState, ...]:
    """The steps of one that did not succeed. One that was stopped has its first step stopped; one that fails by itself does
    so in the step that the part of its work falls into, each taking the same."""
    part, count = attempt.fate.fails_at, len(attempt.work.steps)
    if part is None or end.exit_code == _STOPPED_CODE:
        return (end,)
    before = min(int(part * count), count - 1)
    return (*(replace(end, exit_code=0) for _ in range(before)), end)
