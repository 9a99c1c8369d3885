"""The containers of one host and their engine: the port `Runtime`, faults included.

It outlives the agent, and keeps a ledger of its own of what ran: what the checker believes.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Literal

import msgspec

from agents.news.power import Power
from agents.runtimes.luck import Chances, fate
from agents.runtimes.protocol import LogPage, Observed, Refusal, SharedFile, StepState, Work
from agents.runtimes.reasons import LEASE_OVER, OOM_KILLED, PULL_FAILED
from datamodel.errors import Transient
from datamodel.scheduling.leases import GUARD_S
from sim.world.logbook import Logbook
from sim.world.process import Process
from sim.world.terms import FAILS_WITH
from sim.world.universe import Happening, Universe

DELAY_S = (0.001, 0.05)
KILLED_CODE = 137
NO_CONTAINER_CODE = 125
FOR_EVER_S = 1e6
SLOWEST = 8.0
"""How many times as long as its script says a step may take: a world has to end."""

SLOW_S = GUARD_S - 0.1
"""How long after a lease's end its guard kills what has it."""

FULL_W = 10.0
"""The power of a host: more than all that it has room for takes."""

FailsBy = Literal["exit", "memory", "image", "time"]


class Behaviour(msgspec.Struct, frozen=True):
    """What a step does, written as JSON into its script: it runs for so many seconds and ends with 0. `fails` times, in the
    chunk's first epochs, it fails instead: by its exit code, for lack of memory, because its image cannot be had in those
    seconds, or because it never ends. With `sigma`, each attempt takes a lognormal factor of that time, and one that fails does
    so at any part of it. Where `failing` is not 0, chunks from that one on do not fail."""

    seconds: float = 1.0
    fails: int = 0
    fails_by: FailsBy = "exit"
    sigma: float = 0.0
    failing: int = 0

    def fails_at(self, attempt: str, epoch: int) -> bool:
        """Whether this attempt does."""
        return epoch <= self.fails and (not self.failing or int(attempt.rsplit("-", 2)[1]) < self.failing)


_behaviour = msgspec.json.Decoder(Behaviour).decode


class Line(msgspec.Struct, frozen=True):
    """One line of a host's ledger."""

    at_s: float
    attempt: str
    step: int
    what: Literal["start", "end"]
    code: int | None = None


_ENDS: dict[str, tuple[int, str]] = {
    "": (0, ""),
    "exit": (FAILS_WITH, ""),
    "memory": (KILLED_CODE, OOM_KILLED),
    "time": (0, ""),
}


class _Attempt(msgspec.Struct):
    """`end` is that of the step that runs, or of asking for the next one's image."""

    work: Work
    steps: list[StepState]
    end: Happening | None = None

    def cancel(self) -> bool:
        """What is under way comes to no end; whether a step runs."""
        if self.end is None:
            return False
        self.end.cancel()
        self.end = None
        return bool(self.steps) and self.steps[-1].phase == "running"


class Engine:
    """All that runs on one host. `epoch_of` and `wall_s` say which epoch an attempt has, and what the host's clock shows."""

    def __init__(
        self, universe: Universe, rng: Random, wall_s: Callable[[], float], epoch_of: Callable[[str], int]
    ) -> None:
        self._universe, self._rng, self._wall_s, self._epoch_of = universe, rng, wall_s, epoch_of
        self.away = False
        self.power = Power(FULL_W)
        self.images: tuple[str, ...] | None = None
        """Their full names, where it says which it has."""
        self.ledger: list[Line] = []
        self.attempts: dict[str, _Attempt] = {}
        self.leases: dict[str, float] = {}
        """By attempt, until when it may run."""
        self.changed: Callable[[str], None] = lambda _: None
        self.logbook: Logbook | None = None
        """Where it is told what steps write; None where they are silent."""
        self.beginning: Callable[[str], object] = lambda _: None
        """Called with the name of an attempt whose first step is about to be started."""
        self.runs_now: Callable[[Work], object] = lambda _: None
        """Called with an attempt of which a step has just been started."""
        self.clearing: Callable[[str], object] = lambda _: None
        """Called with the name of an attempt whose containers are about to be removed."""

    def crash(self) -> None:
        """The host went down and came up again: nothing runs any more, and nobody knows how it ended."""
        for attempt in self.attempts.values():
            if attempt.cancel():
                attempt.steps[-1] = StepState("vanished", attempt.steps[-1].started_s)

    def wipe(self) -> None:
        """The host came up with an empty disk."""
        self.crash()
        self.attempts.clear()
        self.leases.clear()

    def start(self, work: Work, index: int) -> None:
        attempt = self.attempts.setdefault(work.attempt, _Attempt(work, []))
        if index != len(attempt.steps) or attempt.end is not None:
            return
        if index == 0:
            self.beginning(work.attempt)
        behaviour = _behaviour(work.steps[index].script or "{}")
        fails_by = behaviour.fails_by if behaviour.fails_at(work.attempt, self._epoch_of(work.attempt)) else ""
        if fails_by == "image":
            attempt.end = self._universe.after(behaviour.seconds, self._miss_image, work.attempt)
            return
        if work.lease_s and self.leases.get(work.attempt, 0.0) <= self._universe.now_s:
            now_s = self._wall_s()
            attempt.steps.append(StepState("exited", now_s, now_s, KILLED_CODE, LEASE_OVER))
            self.changed(work.attempt)
            return
        code, reason = _ENDS[fails_by]
        attempt.steps.append(StepState("running", self._wall_s()))
        self.ledger.append(Line(self._universe.now_s, work.attempt, index, "start"))
        if self.logbook is not None:
            self.logbook.started(work.attempt, index)
        seconds = FOR_EVER_S
        if fails_by != "time":
            seconds = behaviour.seconds * _part(behaviour.sigma, work.attempt, fails=bool(fails_by))
        attempt.end = self._universe.after(seconds, self._end, work.attempt, index, code, reason)
        self.runs_now(work)

    def lease(self, name: str, until_s: float) -> None:
        """Its guard is slow, and kills it as late as it may."""
        if until_s > self.leases.get(name, 0.0):
            self.leases[name] = until_s
            self._universe.at(max(self._universe.now_s, until_s) + SLOW_S, self._run_out, name, until_s)

    def is_running(self, name: str) -> bool:
        """A step of the attempt runs now."""
        attempt = self.attempts.get(name)
        return attempt is not None and bool(attempt.steps) and attempt.steps[-1].phase == "running"

    def runs(self, name: str) -> bool:
        """A step of the attempt runs now, or is about to."""
        attempt = self.attempts.get(name)
        return attempt is not None and attempt.end is not None

    def begun(self, name: str) -> int:
        """How many of its steps have been started."""
        attempt = self.attempts.get(name)
        return len(attempt.steps) if attempt is not None else 0

    def stop(self, name: str) -> None:
        attempt = self.attempts.get(name)
        if attempt is not None and attempt.cancel():
            self._end(name, len(attempt.steps) - 1, KILLED_CODE)

    def observed(self, name: str) -> Observed | None:
        found = self.attempts.get(name)
        if found is None:
            return None
        return Observed.of(found.work, tuple(found.steps))

    def remove(self, name: str) -> None:
        if name in self.attempts:
            self.clearing(name)
        self.stop(name)
        self.attempts.pop(name, None)
        self.leases.pop(name, None)

    def _run_out(self, name: str, until_s: float) -> None:
        attempt = self.attempts.get(name)
        if attempt is not None and self.leases.get(name) == until_s and self.is_running(name):
            attempt.cancel()
            self._end(name, len(attempt.steps) - 1, KILLED_CODE, LEASE_OVER)

    def _miss_image(self, name: str) -> None:
        attempt, now_s = self.attempts[name], self._wall_s()
        attempt.end = None
        attempt.steps.append(StepState("exited", now_s, now_s, NO_CONTAINER_CODE, PULL_FAILED))
        self.changed(name)

    def _end(self, name: str, index: int, code: int, reason: str = "") -> None:
        attempt = self.attempts[name]
        attempt.end = None
        attempt.steps[index] = StepState("exited", attempt.steps[index].started_s, self._wall_s(), code, reason)
        self.ledger.append(Line(self._universe.now_s, name, index, "end", code))
        if self.logbook is not None:
            self.logbook.ended(name, index)
        self.changed(name)


def _part(sigma: float, attempt: str, *, fails: bool) -> float:
    """How much of a step's time an attempt takes, by its name: which has its uid from the seed."""
    if not sigma:
        return 1.0
    lot = fate(Chances(slow_sigma=sigma, failing=float(fails)), attempt)
    return min(lot.factor, SLOWEST) * (1.0 if lot.fails_at is None else lot.fails_at)


class EnginePower:
    """What an agent knows of its host's power."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def read(self, edges: Sequence[str]) -> Mapping[str, Power]:
        return dict.fromkeys(edges, self._engine.power)


class EngineRuntime:
    """An agent's way to the engine."""

    name = "process"
    not_isolated = ()
    guards = True

    def __init__(self, process: Process, engine: Engine, rng: Random, *, unheard: float) -> None:
        """`unheard`: the probability that the engine's word of a change is lost."""
        self._process, self._engine, self._rng, self._unheard = process, engine, rng, unheard

    @property
    def keeps_output(self) -> bool:
        return self._engine.logbook is not None

    def refuses(self, work: Work) -> Refusal | None:  # noqa: ARG002 - a world's jobs ask for nothing special
        return None

    async def open(self, changed: Callable[[str], None]) -> None:
        def tell(attempt: str) -> None:
            if self._rng.random() >= self._unheard:
                self._process.deliver(changed, attempt)

        self._engine.changed = tell

    async def close(self) -> None:
        self._engine.changed = lambda _: None

    async def check(self) -> None:
        await self._ask(lambda: None)

    async def discover(self) -> list[Observed]:
        found: list[Observed] = await self._ask(
            lambda: [seen for name in self._engine.attempts if (seen := self._engine.observed(name)) is not None]
        )
        return found

    async def observe(self, attempt: str) -> Observed | None:
        found: Observed | None = await self._ask(lambda: self._engine.observed(attempt))
        return found

    async def start_step(self, work: Work, index: int) -> None:
        await self._ask(lambda: self._engine.start(work, index))

    async def lease(self, attempt: str, until_s: float) -> None:
        await self._ask(lambda: self._engine.lease(attempt, until_s))

    async def stop(self, attempt: str, grace_s: float) -> None:
        """The script ignores TERM now and then, and is killed after the grace."""
        if self._rng.random() < 0.2:
            await self._process.call(lambda: None, there_s=grace_s, back_s=0.0)
        await self._ask(lambda: self._engine.stop(attempt))

    async def result(self, attempt: str) -> bytes | None:
        chunk = attempt.rsplit("-", 2)[1]
        found: bytes = await self._ask(lambda: b'{"chunk": %s, "ran": 1}' % chunk.encode())
        return found

    async def open_file(self, attempt: str, path: str) -> SharedFile | None:
        del attempt, path  # its steps leave nothing
        return None

    async def logs(self, attempt: str, index: int, after: str, limit_bytes: int) -> LogPage:
        del limit_bytes
        logbook = self._engine.logbook
        if logbook is None:
            return LogPage(after)
        found: LogPage = await self._ask(lambda: logbook.page(attempt, index, after))
        return found

    async def remove(self, attempt: str) -> None:
        await self._ask(lambda: self._engine.remove(attempt))

    def _ask(self, do: Callable[[], Any]) -> "asyncio.Future[Any]":
        def ask() -> Any:
            if self._engine.away:
                raise Transient("the engine does not answer")
            return do()

        delay_s = DELAY_S[0] + (DELAY_S[1] - DELAY_S[0]) * self._rng.random()
        return self._process.call(ask, there_s=delay_s, back_s=delay_s)
