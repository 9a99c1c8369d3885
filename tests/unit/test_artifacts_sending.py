"""The carrier against losses, late and second copies, cuts, kills and a hub that loses some or all of what it has."""

import asyncio
from typing import Any

import pytest

from agents.artifacts.carrier import Carrier
from agents.artifacts.sending import Sender, send_file
from agents.convergence import Desired, ReportEnd
from agents.runtimes.protocol import Artifact, Limits, Refusal, SharedFile, Step, Work
from agents.runtimes.simulated import SimulatedFile
from datamodel.artifacts.memory import MemoryPieces
from datamodel.artifacts.pieces import PIECE_BYTES
from datamodel.errors import Invalid, Transient
from datamodel.scheduling.artifacts import key_of
from sim.world.universe import Universe
from tests.carrying import NO_CACHE, Voyage
from tests.universe import outcome

SEEDS = 120


@pytest.mark.parametrize("first", range(0, SEEDS, 30))
def test_whatever_happens_what_is_told_is_at_the_hub(first: int) -> None:
    for seed in range(first, first + 30):
        with Universe() as universe:
            voyage = Voyage(universe, seed)
            try:
                voyage.run()
                voyage.check()
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: {error}") from error
            assert not voyage.process.complaints, seed


def test_the_worlds_know_kills_wipes_and_missing_files() -> None:
    kills = wipes = missing = 0
    for seed in range(40):
        with Universe() as universe:
            voyage = Voyage(universe, seed)
            voyage.run()
            kills, wipes = kills + voyage.kills, wipes + voyage.wipes
            missing += any(end.reason == "ArtifactMissing" for end in voyage.told.values())
    assert min(kills, wipes, missing) >= 3


class Counted(MemoryPieces):
    """Counts what is sent, and lets so many pieces through."""

    def __init__(self, through: int) -> None:
        super().__init__()
        self.through, self.sent = through, 0

    async def put(self, key: str, number: int, body: bytes) -> bool:
        if self.through <= 0:
            raise Transient("cut")
        self.through -= 1
        self.sent += 1
        return await super().put(key, number, body)


async def test_what_is_there_is_not_sent_again() -> None:
    content = bytes(100 * PIECE_BYTES)
    pieces = Counted(through=60)
    with pytest.raises(Transient):
        await send_file(pieces, "k", SimulatedFile(content))
    pieces.through = 1000
    await send_file(pieces, "k", SimulatedFile(content))
    assert pieces.sent <= 100 + 1, "but for one piece, by which it is seen that the file is the same"


async def test_a_file_that_is_another_one_than_before_is_refused() -> None:
    for other in (b"b" * 5 * PIECE_BYTES, b"a" * 2 * PIECE_BYTES, b""):
        pieces = Counted(through=3)
        with pytest.raises(Transient):
            await send_file(pieces, "k", SimulatedFile(b"a" * 5 * PIECE_BYTES))
        pieces.through = 1000
        with pytest.raises(Invalid):
            await send_file(pieces, "k", SimulatedFile(other))


class Crowded(MemoryPieces):
    """Makes room for others while an artifact is sent: its first piece goes."""

    async def put(self, key: str, number: int, body: bytes) -> bool:
        kept = await super().put(key, number, body)
        if number == 9 and kept:
            self.drop(key, 0)
        return kept


async def test_what_has_lost_its_beginning_by_its_end_is_not_there() -> None:
    pieces, content = Crowded(), bytes(12 * PIECE_BYTES)
    with pytest.raises(Transient):
        await send_file(pieces, "k", SimulatedFile(content))
    await send_file(pieces, "k", SimulatedFile(content))
    assert await pieces.numbers("k") == set(range(12))


class Left:
    """A runtime of which one attempt has left one file."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.opened = 0

    async def open_file(self, attempt: str, path: str) -> SharedFile | None:
        self.opened += 1
        if path == "link":
            raise Invalid("/shared/link is reached by way of a link, no regular file")
        return SimulatedFile(self._content) if path == "f" else None


def end_with(pieces: Any, *artifacts: Artifact, content: bytes = b"", hold_s: float = 1e6, **limits: Any) -> ReportEnd:
    """How an attempt ends whose steps have succeeded."""
    work = Work("s", "e", "t", (Step("s", "i"),), {}, limits=Limits(**limits), artifacts=artifacts)
    desired = Desired(work, "run", "running")

    async def main() -> ReportEnd:
        runtime: Any = Left(content)
        carrier = Carrier(runtime, pieces, NO_CACHE, limit_bytes=1000, hold_s=hold_s)
        woken = asyncio.Event()
        running = asyncio.create_task(carrier.run(lambda _: woken.set()))
        while (end := carrier.ended(desired, ReportEnd("succeeded", (0,)))) is None:
            await woken.wait()
            woken.clear()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return end

    return outcome(main, limit_s=1e7)


@pytest.mark.parametrize(
    ("artifact", "size", "limits", "reason", "told"),
    [
        (Artifact("a", "f"), 1000, {}, "", ""),
        (Artifact("a", "f"), 1001, {}, "ArtifactTooLarge", "this edge takes of an attempt at most 1000"),
        (Artifact("a", "f", 10), 11, {}, "ArtifactTooLarge", "its maxBytes is 10"),
        (Artifact("a", "f"), 1, {"artifacts_bytes": 0}, "ArtifactTooLarge", "limits.artifactsBytes is 0"),
        (Artifact("a", "g"), 0, {}, "ArtifactMissing", "there is no /shared/g"),
        (Artifact("a", "link"), 0, {}, "ArtifactRefused", "by way of a link"),
    ],
)
def test_what_cannot_be_kept_has_a_reason(
    artifact: Artifact, size: int, limits: dict[str, int], reason: str, told: str
) -> None:
    end = end_with(MemoryPieces(), artifact, content=bytes(size), **limits)
    assert (end.phase, end.reason) == ("failed" if reason else "succeeded", reason)
    assert told in end.message


def test_limits_are_of_all_files_together() -> None:
    end = end_with(MemoryPieces(), Artifact("a", "f"), Artifact("b", "f"), content=bytes(600))
    assert end.reason == "ArtifactTooLarge"
    assert end.message == "artifact b: 1200 bytes; this edge takes of an attempt at most 1000"


def test_what_the_hub_could_never_keep_is_refused_before_any_of_it_is_sent() -> None:
    pieces = MemoryPieces(limit_bytes=900)
    assert end_with(pieces, Artifact("a", "f"), content=bytes(900)).phase == "succeeded"
    pieces = MemoryPieces(limit_bytes=899)
    end = end_with(pieces, Artifact("a", "f"), content=bytes(900))
    assert (end.phase, end.reason) == ("failed", "ArtifactTooLarge")
    assert end.message == "artifact a: 900 bytes; the hub has no room for so much"
    assert not pieces.present(key_of("s", "e", "t", "a"))
    both = end_with(MemoryPieces(limit_bytes=899), Artifact("a", "f"), Artifact("b", "f"), content=bytes(450))
    assert both.message == "artifact b: 900 bytes; the hub has no room for so much"


async def test_a_file_that_is_there_is_not_opened_again_for_another_one_s_sake() -> None:
    pieces, runtime = Counted(through=2), Left(bytes(PIECE_BYTES))
    sender = Sender(runtime, pieces)  # type: ignore[arg-type] # all that it asks of it
    work = Work(
        "s", "e", "t", (Step("s", "i"),), {}, artifacts=(Artifact("a", "f"), Artifact("b", "f"), Artifact("c", "f"))
    )
    with pytest.raises(Transient):
        await sender.send(work)
    pieces.through = 1
    runtime.opened = 0
    kept = await sender.send(work)
    assert not isinstance(kept, Refusal)
    assert [one.name for one in kept] == ["a", "b", "c"]
    assert runtime.opened == 1


async def test_nothing_more_is_sent_of_an_attempt_that_nobody_waits_for() -> None:
    class Slow(MemoryPieces):
        """Takes a piece when it is told."""

        def __init__(self) -> None:
            super().__init__()
            self.asked, self.takes, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def put(self, key: str, number: int, body: bytes) -> bool:
            self.asked.set()
            try:
                await self.takes.wait()
            finally:
                self.ended.set()
            return await super().put(key, number, body)

    pieces, runtime = Slow(), Left(bytes(100))
    carrier = Carrier(runtime, pieces, NO_CACHE)  # type: ignore[arg-type] # as above
    desired = Desired(Work("s", "e", "t", (Step("s", "i"),), {}, artifacts=(Artifact("a", "f"),)), "run", "running")
    running = asyncio.create_task(carrier.run(lambda _: None))
    async with asyncio.timeout(30):
        assert carrier.ended(desired, ReportEnd("succeeded", (0,))) is None
        await pieces.asked.wait()
        carrier.forget("t")
        await pieces.ended.wait()
    assert await pieces.numbers(key_of("s", "e", "t", "a")) == set()
    running.cancel()


def test_what_the_hub_does_not_take_in_time_fails_with_a_reason() -> None:
    end = end_with(Counted(through=0), Artifact("a", "f"), content=b"x", hold_s=100.0)
    assert (end.phase, end.reason, end.message) == ("failed", "ArtifactNotSent", "not within 100 s: cut")
