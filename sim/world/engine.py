"""The containers of one host and their engine: the port `Runtime`, faults included.

It outlives the agent, and keeps a ledger of its own of what ran: what the checker believes.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, Literal

import msgspec

from agents.runtimes.protocol import Observed, StepState, Work
from datamodel.errors import Transient
from sim.world.process import Process
from sim.world.universe import Happening, Universe

DELAY_S = (0.001, 0.05)
KILLED_CODE = 137


class Behaviour(msgspec.Struct, frozen=True):
    """What a step does, written as JSON into its script: it runs for so many seconds and ends with a code. `fails` times, in
    the chunk's first epochs, that code is 1 instead."""

    seconds: float = 1.0
    fails: int = 0


_behaviour = msgspec.json.Decoder(Behaviour).decode


class Line(msgspec.Struct, frozen=True):
    """One line of a host's ledger."""

    at_s: float
    attempt: str
    step: int
    what: Literal["start", "end"]
    code: int | None = None


class _Attempt(msgspec.Struct):
    work: Work
    steps: list[StepState]
    end: Happening | None = None


class Engine:
    """All that runs on one host. `epoch_of` and `wall_s` say which epoch an attempt has, and what the host's clock shows."""

    def __init__(
        self, universe: Universe, rng: Random, wall_s: Callable[[], float], epoch_of: Callable[[str], int]
    ) -> None:
        self._universe, self._rng, self._wall_s, self._epoch_of = universe, rng, wall_s, epoch_of
        self.away = False
        self.ledger: list[Line] = []
        self.attempts: dict[str, _Attempt] = {}
        self.changed: Callable[[str], None] = lambda _: None
        self.clearing: Callable[[str], object] = lambda _: None
        """Called with the name of an attempt whose containers are about to be removed."""

    def crash(self) -> None:
        """The host went down and came up again: nothing runs any more, and nobody knows how it ended."""
        for attempt in self.attempts.values():
            if attempt.end is not None:
                attempt.end.cancel()
                attempt.end = None
                attempt.steps[-1] = StepState("vanished", attempt.steps[-1].started_s)

    def wipe(self) -> None:
        """The host came up with an empty disk."""
        self.crash()
        self.attempts.clear()

    def start(self, work: Work, index: int) -> None:
        attempt = self.attempts.setdefault(work.attempt, _Attempt(work, []))
        if index != len(attempt.steps) or attempt.end is not None:
            return
        behaviour = _behaviour(work.steps[index].script or "{}")
        code = 1 if self._epoch_of(work.attempt) <= behaviour.fails else 0
        attempt.steps.append(StepState("running", self._wall_s()))
        self.ledger.append(Line(self._universe.now_s, work.attempt, index, "start"))
        attempt.end = self._universe.after(behaviour.seconds, self._end, work.attempt, index, code)

    def runs(self, name: str) -> bool:
        """A step of the attempt runs now."""
        attempt = self.attempts.get(name)
        return attempt is not None and attempt.end is not None

    def stop(self, name: str) -> None:
        attempt = self.attempts.get(name)
        if attempt is not None and attempt.end is not None:
            attempt.end.cancel()
            self._end(name, len(attempt.steps) - 1, KILLED_CODE)

    def observed(self, name: str) -> Observed | None:
        found = self.attempts.get(name)
        if found is None:
            return None
        return Observed(found.work.site, found.work.edge, name, tuple(found.steps))

    def remove(self, name: str) -> None:
        if name in self.attempts:
            self.clearing(name)
        self.stop(name)
        self.attempts.pop(name, None)

    def _end(self, name: str, index: int, code: int) -> None:
        attempt = self.attempts[name]
        attempt.end = None
        attempt.steps[index] = StepState("exited", attempt.steps[index].started_s, self._wall_s(), code)
        self.ledger.append(Line(self._universe.now_s, name, index, "end", code))
        self.changed(name)


class EngineRuntime:
    """An agent's way to the engine."""

    name = "process"

    def __init__(self, process: Process, engine: Engine, rng: Random, *, unheard: float) -> None:
        """`unheard`: the probability that the engine's word of a change is lost."""
        self._process, self._engine, self._rng, self._unheard = process, engine, rng, unheard

    async def open(self, changed: Callable[[str], None]) -> None:
        def tell(attempt: str) -> None:
            if self._rng.random() >= self._unheard:
                self._process.deliver(changed, attempt)

        self._engine.changed = tell

    async def close(self) -> None:
        self._engine.changed = lambda _: None

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

    async def stop(self, attempt: str, grace_s: float) -> None:
        """The script ignores TERM now and then, and is killed after the grace."""
        if self._rng.random() < 0.2:
            await self._process.call(lambda: None, there_s=grace_s, back_s=0.0)
        await self._ask(lambda: self._engine.stop(attempt))

    async def result(self, attempt: str) -> bytes | None:
        chunk = attempt.rsplit("-", 2)[1]
        found: bytes = await self._ask(lambda: b'{"chunk": %s, "ran": 1}' % chunk.encode())
        return found

    async def remove(self, attempt: str) -> None:
        await self._ask(lambda: self._engine.remove(attempt))

    def _ask(self, do: Callable[[], Any]) -> "asyncio.Future[Any]":
        def ask() -> Any:
            if self._engine.away:
                raise Transient("the engine does not answer")
            return do()

        delay_s = self._rng.uniform(*DELAY_S)
        return self._process.call(ask, there_s=delay_s, back_s=delay_s)
