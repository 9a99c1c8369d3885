"""A shipper on virtual time between a host that writes and a hub that is far away, harmed as a seed says."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

from agents.logs.cutting import Limits
from agents.logs.shipper import Shipper
from agents.runtimes.protocol import LogPage, Observed, StepState
from datamodel.errors import Transient
from datamodel.scheduling.logs import STREAMS, Dropped, Frame, Part, Record, decode, size_of
from datamodel.transcripts.memory import MemoryTranscripts
from datamodel.transcripts.ports import Entry
from sim.world.process import Process
from sim.world.universe import Universe

T = TypeVar("T")
KEY = "s.e.a"
LIMITS = Limits(bytes=4000, lines=300)
PAGE_PARTS = 5


class Host:
    """An attempt whose steps write one after the other, and its runtime, which outlives the agent. `removed`: the agent has
    cleared it away."""

    name, keeps_output = "process", True

    def __init__(self, universe: Universe, rng: Random) -> None:
        self._universe, self._rng = universe, rng
        self.written: list[list[Part]] = [[]]
        self.running, self.ended, self.removed = True, False, False
        self.away = False
        self.lost = rng.random() < 0.3
        """Its last step is killed with whatever stood over it, and so is nobody's to tell the end of."""
        self.cut = rng.random() < 0.3
        """The end of its first step's output did not fit on a disk."""
        self._left = rng.choice([0, 3, 40, 400])
        self._steps = rng.randint(1, 3)
        universe.after(0.0, self._write)

    @property
    def observed(self) -> Observed:
        states = [StepState("exited", 0.0, 1.0, 0, is_cut=self.cut and at == 0) for at in range(len(self.written))]
        if self.running or self.lost:
            states[-1] = StepState("running" if self.running else "vanished", 0.0)
        return Observed("s", "e", "a", tuple(states))

    def logs(self, index: int, after: str) -> LogPage:
        if self.away:
            raise Transient("the engine does not answer")
        written = self.written[index] if index < len(self.written) else []
        begin = int(after or 0)
        end = min(begin + PAGE_PARTS, len(written))
        cursors = tuple(str(at + 1) for at in range(begin, end))
        return LogPage(after, tuple(written[begin:end]), cursors, more=end < len(written))

    def _write(self) -> None:
        rng, step = self._rng, len(self.written) - 1
        for _ in range(min(self._left, rng.choice([1, 1, 30]))):
            self._left -= 1
            data = b"%d %d\n" % (step, self._left) * rng.randint(1, 3)
            self.written[-1].append(Record(step, rng.choice(STREAMS), int(self._universe.now_s * 1e9), data))
            if rng.random() < 0.02:
                self.written[-1].append(Dropped(step, rng.choice([None, 7, 1000])))
        if self._left:
            self._universe.after(rng.choice([0.01, 0.5, 5.0]), self._write)
        elif len(self.written) < self._steps:
            self.written.append([])
            self._left = rng.choice([0, 3, 40])
            self._universe.after(rng.uniform(0.0, 2.0), self._write)
        else:
            self.running = False
            self.ended = True


class Sea:
    """What is between an agent and the hub."""

    def __init__(self, rng: Random, hub: MemoryTranscripts) -> None:
        self.rng, self.hub = rng, hub
        self.lost = rng.choice([0.0, 0.1, 0.4])
        self.slow_s = rng.choice([0.01, 1.0, 5.0])
        self.cut = False
        self.wipes = 0


class FarTranscripts:
    """The port `Growing` across the sea: what is sent may get lost, come late, or come twice; so may the answer."""

    def __init__(self, process: Process, sea: Sea) -> None:
        self._process, self._sea = process, sea

    async def append(self, key: str, after: int, body: bytes) -> int:
        return await self._ask(lambda: self._sea.hub.put(key, after, body))

    async def last(self, key: str) -> Entry | None:
        return await self._ask(lambda: self._sea.hub.last(key))  # type: ignore[arg-type, return-value] # one step

    async def _ask(self, request: Callable[[], T]) -> T:
        sea = self._sea
        there_s, back_s = sea.rng.uniform(0, sea.slow_s), sea.rng.uniform(0, sea.slow_s)
        lost, unheard, again = (sea.rng.random() < sea.lost for _ in range(3))

        def arrive() -> Any:
            if sea.cut or lost:
                raise Transient("nothing arrives")
            return request()

        answer = self._process.call(arrive, there_s=there_s, back_s=back_s, outlives=True)
        if again:
            repeated = self._process.call(arrive, there_s=2 * sea.slow_s, back_s=0.0, outlives=True)
            repeated.add_done_callback(lambda done: done.exception())  # a second copy has nobody who waits
        found: T = await answer
        if unheard or sea.cut:
            raise Transient("the answer is lost")
        return found


class HostRuntime:
    """An agent's way to the host."""

    name, keeps_output = Host.name, Host.keeps_output

    def __init__(self, process: Process, host: Host, rng: Random) -> None:
        self._process, self._host, self._rng = process, host, rng

    async def logs(self, attempt: str, index: int, after: str, limit_bytes: int) -> LogPage:
        del attempt, limit_bytes
        there_s, back_s = self._rng.uniform(0.0, 0.1), self._rng.choice([0.0, 0.05, 1.0])
        return await self._process.call(lambda: self._host.logs(index, after), there_s=there_s, back_s=back_s)


class Crossing:
    """One world: it runs until the attempt was cleared away."""

    def __init__(self, universe: Universe, seed: int) -> None:
        rng = Random(seed)
        self._universe, self._rng = universe, rng
        self.host = Host(universe, rng)
        self.hub = MemoryTranscripts()
        self.sea = Sea(rng, self.hub)
        self.process = Process(universe, "agent")
        self._begin()
        for _ in range(rng.choice([0, 2, 6, 20])):
            at_s, harm = (
                rng.uniform(0, 60),
                rng.choice([self._kill, self._kill, self._cut, self._engine_away, self._wipe]),
            )
            universe.at(at_s, harm)
        universe.at(80.0, self._calm)

    def run(self) -> None:
        """Until the attempt is cleared away, which takes no longer than a while after all is calm."""
        assert self._universe.run_until(lambda: self.host.removed, 300.0), "it is held for ever"

    def log(self) -> list[Frame]:
        """All frames that the hub has, in order."""
        return [decode(entry.body) for entry in self.hub.entries(KEY)]

    def parts(self) -> list[Part]:
        return [part for frame in self.log() for part in frame.records]

    def written(self) -> list[Part]:
        """All of it, once it has ended, with what is missing behind each step."""
        host, ends = self.host, [list[Part]() for _ in self.host.written]
        if host.cut:
            ends[0] = [Dropped(0, None)]
        if host.lost:
            ends[-1] = [Dropped(len(ends) - 1, None)]
        return [part for step, end in zip(host.written, ends, strict=True) for part in (*step, *end)]

    def check(self) -> None:
        """The log is a beginning and an end of what was written, with every gap marked, in order, nothing twice."""
        frames = self.log()
        offset = 0
        for frame in frames:
            assert frame.offset == offset
            offset += sum(map(size_of, frame.records))
            assert frame.taken.offset == offset
        assert [frame.last for frame in frames] == [False] * (len(frames) - 1) + [True]
        assert offset == sum(map(size_of, self.written()))
        source = b"".join(part.data if isinstance(part, Record) else bytes(part.bytes or 0) for part in self.written())
        at = 0
        for part in self.parts():
            if isinstance(part, Record):
                assert source[at : at + len(part.data)] == part.data
            at += size_of(part)
        found = {part.step: part for part in self.parts()}
        for step, part in {part.step: part for part in self.written()}.items():
            if part == Dropped(step, None):
                assert part in self.parts(), f"the end of step {step} is missing and not marked"
                assert part == found[step] or frames[-1].taken.full
        unknown = [[part == Dropped(part.step, None) for part in parts] for parts in (self.parts(), self.written())]
        assert sum(unknown[0]) <= sum(unknown[1])

    def _begin(self) -> None:
        self.process.start(self._agent)

    async def _agent(self) -> None:
        runtime: Any = HostRuntime(self.process, self.host, self._rng)
        shipper = Shipper(runtime, FarTranscripts(self.process, self.sea), limits=LIMITS, bytes_per_s=50_000.0)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(shipper.run())
            while not self.host.removed:
                ended = self.host.ended
                shipper.observe(self.host.observed)
                await asyncio.sleep(self._rng.choice([0.05, 0.5, 2.0]))  # its end is reported meanwhile
                self.host.removed = ended and not shipper.hold_s(self.host.observed)
            running.cancel()

    def _kill(self) -> None:
        if not self.host.removed:
            self.process.kill()
            self._universe.after(self._rng.choice([0.0, 0.1, 5.0]), self._begin_again)

    def _begin_again(self) -> None:
        if not self.process.alive:
            self._begin()

    def _cut(self) -> None:
        self.sea.cut = True
        self._universe.after(self._rng.uniform(1.0, 30.0), self._mend)

    def _mend(self) -> None:
        self.sea.cut = self.host.away = False

    def _calm(self) -> None:
        self._mend()
        self.sea.lost, self.sea.slow_s = 0.0, 0.05

    def _engine_away(self) -> None:
        self.host.away = True
        self._universe.after(self._rng.uniform(1.0, 10.0), self._mend)

    def _wipe(self) -> None:
        """While the attempt is there: what was cleared away cannot be told again."""
        if not self.host.ended:
            self.hub.wipe()
