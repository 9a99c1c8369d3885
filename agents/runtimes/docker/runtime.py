"""The runtime for a Docker engine: a step is a container, an attempt's shared directory a volume."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass

from msgspec.structs import replace

from agents.runtimes.docker.attempt import attempts_of, find_attempt, read_result, remove_attempt, signal_attempt
from agents.runtimes.docker.engine import Engine
from agents.runtimes.docker.events import EventStream
from agents.runtimes.docker.starting import start_container
from agents.runtimes.protocol import Observed, StepState, Work
from agents.runtimes.wakes import Wakes
from datamodel.errors import Transient

_KILL_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class _FailedStart:
    index: int
    state: StepState


class DockerRuntime:
    """Runs steps as containers named `tendril-<attempt>-<step>`, labelled, limited, without network or capabilities.

    What runs is known from the engine only, by its labels, so a new instance adopts all of it. The one exception is a
    step whose container could not even be made (no such image, a limit out of range): that is remembered here, and
    forgotten with the process. An agent that restarts sees such a step as not started, and starting it finds out again.
    """

    name = "docker"

    def __init__(self, *, site: str, edges: Collection[str]) -> None:
        self._site = site
        self._edges = frozenset(edges)
        self._engine = Engine()
        self._events: EventStream | None = None
        self._changed: Callable[[str], None] = lambda _: None
        self._wakes = Wakes()
        self._failed: dict[str, _FailedStart] = {}

    async def open(self, changed: Callable[[str], None]) -> None:
        """Raises `Transient` where no engine answers."""
        self._changed = changed
        await self._engine.open()
        self._events = EventStream(self._site, self._edges, self._tell)

    async def close(self) -> None:
        if self._events is not None:
            await self._events.close()
        await self._engine.close()

    async def discover(self) -> list[Observed]:
        attempts = await self._engine.call(attempts_of, self._site, self._edges)
        found = await asyncio.gather(*(self.observe(attempt) for attempt in sorted(attempts)))
        return [one for one in found if one is not None]

    async def observe(self, attempt: str) -> Observed | None:
        found = await self._engine.call(find_attempt, attempt)
        if found is not None and (found.site != self._site or found.edge not in self._edges):
            return None  # another agent's: several may share an engine
        failed = self._failed.get(attempt)
        if found is None or failed is None or len(found.steps) != failed.index:
            return found
        return replace(found, steps=(*found.steps, failed.state))

    async def start_step(self, work: Work, index: int) -> None:
        failed = self._failed.get(work.attempt)
        if failed is not None and failed.index == index:
            return
        state = await self._engine.call(start_container, work, index)
        if state is not None:
            self._failed[work.attempt] = _FailedStart(index, state)

    async def stop(self, attempt: str, grace_s: float) -> None:
        """TERM to the step by way of its init, then KILL. Raises `Transient` where the engine cannot end it."""
        for signal, timeout_s in (("SIGTERM", grace_s), ("SIGKILL", _KILL_TIMEOUT_S)):
            await self._engine.call(signal_attempt, attempt, signal)
            if await self._wakes.until(attempt, lambda: self._ended(attempt), timeout_s):
                return
        raise Transient(f"containers of {attempt} outlive SIGKILL")

    async def result(self, attempt: str) -> bytes | None:
        return await self._engine.call(read_result, attempt)

    async def remove(self, attempt: str) -> None:
        await self._engine.call(remove_attempt, attempt)
        self._failed.pop(attempt, None)

    async def _ended(self, attempt: str) -> bool:
        found = await self._engine.call(find_attempt, attempt)
        return found is None or all(step.phase != "running" for step in found.steps)

    def _tell(self, attempt: str) -> None:
        self._wakes.wake(attempt)
        self._changed(attempt)
