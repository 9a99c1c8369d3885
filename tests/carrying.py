"""An agent's carrier on virtual time, between attempts that leave files and a hub that is far away, harmed as a seed says."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from agents.artifacts import sending
from agents.artifacts.cache import Cache
from agents.artifacts.carrier import Carrier
from agents.convergence import Desired, ReportEnd
from agents.runtimes.protocol import Artifact, SharedFile, Step, Work
from agents.runtimes.simulated import SimulatedFile
from datamodel.artifacts.memory import MemoryPieces
from datamodel.artifacts.pieces import PIECE_BYTES, count_of, size_of, unsealed
from datamodel.errors import Transient
from datamodel.scheduling.artifacts import key_of
from sim.world.process import Process
from sim.world.universe import Universe

T = TypeVar("T")
HOLD_S = 10_000.0
NO_CACHE = Cache(Path("/nowhere"))


class FarPieces:
    """The port `Pieces` across the sea: what is sent may get lost, come late, or come twice; so may the answer."""

    def __init__(self, voyage: "Voyage", process: Process) -> None:
        self._voyage, self._process = voyage, process

    async def put(self, key: str, number: int, body: bytes) -> bool:
        voyage = self._voyage
        voyage.under_way += 1
        voyage.most_under_way = max(voyage.most_under_way, voyage.under_way)
        try:
            return await self._ask(lambda: voyage.hub.add(key, number, body))
        finally:
            voyage.under_way -= 1

    async def get(self, key: str, number: int) -> bytes | None:
        return await self._ask(lambda: self._voyage.hub.piece(key, number))

    async def has_room(self, artifacts: Mapping[str, int]) -> bool:
        return await self._ask(lambda: True)

    async def numbers(self, key: str) -> set[int]:
        return await self._ask(lambda: self._voyage.hub.present(key))

    async def _ask(self, request: Callable[[], T]) -> T:
        voyage, rng = self._voyage, self._voyage.rng
        there_s, back_s = rng.uniform(0, voyage.slow_s), rng.uniform(0, voyage.slow_s)
        lost, unheard, again = (rng.random() < voyage.lost for _ in range(3))

        def arrive() -> Any:
            if voyage.cut or lost:
                raise Transient("nothing arrives")
            return request()

        answer = self._process.call(arrive, there_s=there_s, back_s=back_s, outlives=True)
        if again:
            repeated = self._process.call(arrive, there_s=2 * voyage.slow_s, back_s=0.0, outlives=True)
            repeated.add_done_callback(lambda done: done.exception())  # a second copy has nobody who waits
        found: T = await answer
        if unheard or voyage.cut:
            raise Transient("the answer is lost")
        return found


class Voyage:
    """One world: it runs until the end of every attempt is told. `files` are by attempt and path; they outlive the agent."""

    def __init__(self, universe: Universe, seed: int) -> None:
        self.rng = rng = Random(seed)
        self._universe = universe
        self.hub = MemoryPieces()
        self.lost, self.slow_s, self.cut = rng.choice([0.0, 0.1, 0.3]), rng.choice([0.01, 0.5]), False
        self.under_way = self.most_under_way = 0
        self.kills = self.wipes = 0
        self.files: dict[tuple[str, str], bytes] = {}
        self.wanted = [self._attempt(index) for index in range(rng.randint(1, 4))]
        self.told: dict[str, ReportEnd] = {}
        self.process = Process(universe, "agent")
        self.process.start(self._agent)
        for _ in range(rng.choice([0, 2, 6, 12])):
            universe.at(rng.uniform(0, 20), rng.choice([self._kill, self._kill, self._cut, self._wipe, self._drop]))
        universe.at(40.0, self._calm)

    def run(self) -> None:
        assert self._universe.run_until(lambda: len(self.told) == len(self.wanted), 3000.0), "one is held for ever"

    def check(self) -> None:
        """What is told to be at the hub is there, byte for byte, unless the hub has lost something since."""
        for desired in self.wanted:
            end, work = self.told[desired.work.attempt], desired.work
            if any((work.attempt, artifact.path) not in self.files for artifact in work.artifacts):
                assert (end.phase, end.reason) == ("failed", "ArtifactMissing")
                continue
            assert end.phase == "succeeded"
            assert [artifact.name for artifact in end.artifacts] == [artifact.name for artifact in work.artifacts]
            for artifact, kept in zip(work.artifacts, end.artifacts, strict=True):
                content = self.files[work.attempt, artifact.path]
                assert kept.bytes == len(content)
                if not self.wipes:
                    assert self.content(desired, artifact.name, len(content)) == content
        assert self.most_under_way <= sending.PIECES_IN_FLIGHT * 2, "two attempts at a time"

    def content(self, desired: Desired, name: str, size_bytes: int) -> bytes:
        work = desired.work
        key = key_of(work.site, work.edge, work.attempt, name)
        bodies = [self.hub.piece(key, number) for number in range(count_of(size_bytes))]
        assert None not in bodies
        return b"".join(unsealed(body or b"", size_of(size_bytes, number)) for number, body in enumerate(bodies))

    async def open_file(self, attempt: str, path: str) -> SharedFile | None:
        """Of the runtime, as the agent sees it."""
        content = self.files.get((attempt, path))
        return None if content is None else SimulatedFile(content)

    def _attempt(self, index: int) -> Desired:
        rng = self.rng
        artifacts = tuple(Artifact(f"a-{k}", f"f/{k}") for k in range(rng.randint(1, 3)))
        for artifact in artifacts:
            if rng.random() < 0.95:
                size = rng.choice([0, 1, PIECE_BYTES, 5 * PIECE_BYTES + 1, 20 * PIECE_BYTES - 1])
                self.files[f"t-{index}", artifact.path] = rng.randbytes(64) * (size // 64) + bytes(size % 64)
        work = Work("s", "e", f"t-{index}", (Step("s", "i"),), {}, artifacts=artifacts)
        return Desired(work, "run", "running")

    async def _agent(self) -> None:
        runtime: Any = self
        carrier = Carrier(runtime, FarPieces(self, self.process), NO_CACHE, limit_bytes=2**40, hold_s=HOLD_S)
        woken = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(carrier.run(lambda _: woken.set()))
            while len(self.told) < len(self.wanted):
                for desired in self.wanted:
                    name = desired.work.attempt
                    end = None if name in self.told else carrier.ended(desired, ReportEnd("succeeded", (0,)))
                    if end is not None:
                        self.told[name] = end
                        carrier.forget(name)
                woken.clear()
                if len(self.told) < len(self.wanted):
                    await woken.wait()
            running.cancel()

    def _kill(self) -> None:
        if self.process.alive:
            self.kills += 1
            self.under_way = 0
            self.process.kill()
            self._universe.after(self.rng.choice([0.0, 0.1, 5.0]), self._begin)

    def _begin(self) -> None:
        if not self.process.alive:
            self.process.start(self._agent)

    def _cut(self) -> None:
        self.cut = True
        self._universe.after(self.rng.uniform(1.0, 15.0), self._mend)

    def _mend(self) -> None:
        self.cut = False

    def _wipe(self) -> None:
        self.wipes += 1
        self.hub.wipe()

    def _drop(self) -> None:
        """The hub makes room, and loses the beginning of what is not all there yet."""
        for desired in self.wanted:
            if desired.work.attempt in self.told:
                continue
            key = key_of("s", "e", desired.work.attempt, "a-0")
            present = sorted(self.hub.present(key))
            if len(present) < count_of(len(self.files.get((desired.work.attempt, "f/0"), b""))):
                for number in present[:2]:
                    self.hub.drop(key, number)

    def _calm(self) -> None:
        self._mend()
        self.lost, self.slow_s = 0.0, 0.01
