"""The shipper against losses, late and second copies, cuts, kills and a hub that loses everything."""

import asyncio

import pytest

from agents.logs import shipper as shipping
from agents.logs.shipper import HELD_LIMIT, Shipper
from agents.runtimes.protocol import LogPage, Observed, StepState
from datamodel.errors import Transient
from datamodel.scheduling.logs import Record
from datamodel.transcripts.memory import MemoryTranscripts
from sim.world.universe import Universe
from tests.shipping import LIMITS, Crossing
from tests.universe import outcome

SEEDS = 300


@pytest.mark.parametrize("first", range(0, SEEDS, 50))
def test_whatever_happens_the_log_is_what_was_written_with_its_gaps_marked(first: int) -> None:
    for seed in range(first, first + 50):
        with Universe() as universe:
            crossing = Crossing(universe, seed)
            try:
                crossing.run()
                crossing.check()
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: {error}") from error
            assert not crossing.process.complaints, seed


def test_the_worlds_know_full_logs_and_whole_ones() -> None:
    full = whole = 0
    for seed in range(40):
        with Universe() as universe:
            crossing = Crossing(universe, seed)
            crossing.run()
            full += crossing.log()[-1].taken.full
            whole += crossing.parts() == crossing.written()
            text = [part.data for part in crossing.parts() if isinstance(part, Record)]
            assert sum(map(len, text)) <= LIMITS.bytes
            assert sum(data.count(b"\n") for data in text) <= LIMITS.lines
    assert full >= 3
    assert whole >= 10


class Silent:
    """A runtime whose steps write nothing."""

    async def logs(self, attempt: str, index: int, after: str, limit_bytes: int) -> LogPage:
        return LogPage(after)


class Unreachable(MemoryTranscripts):
    async def append(self, key: str, after: int, body: bytes) -> int:
        raise Transient("nothing arrives")


def ended(name: str) -> Observed:
    return Observed("s", "e", name, (StepState("exited", 0.0, 1.0, 0),))


def test_an_attempt_is_not_held_for_ever_and_not_too_many_are() -> None:
    async def hold() -> None:
        released: list[str] = []
        shipper = Shipper(Silent(), Unreachable(), hold_s=60.0)  # type: ignore[arg-type] # all that it asks of it
        shipper.shipped = released.append
        running = asyncio.create_task(shipper.run())
        assert shipper.hold_s(ended("a")) == 60.0
        await asyncio.sleep(59.0)
        assert 0 < shipper.hold_s(ended("a")) <= 1.0
        await asyncio.sleep(2.0)
        assert shipper.hold_s(ended("a")) == 0.0
        assert released == ["a"]
        for number in range(HELD_LIMIT + 1):
            shipper.hold_s(ended(f"b{number}"))
        assert released == ["a", "b0"]
        assert shipper.hold_s(ended("b0")) == 0.0
        running.cancel()

    outcome(hold)


def test_what_is_gone_from_the_engine_needs_no_hold() -> None:
    async def forget() -> None:
        shipper = Shipper(Silent(), MemoryTranscripts())  # type: ignore[arg-type] # as above
        assert shipper.hold_s(Observed("", "", "damaged", (StepState("exited", 0.0),))) == 0.0
        running = asyncio.create_task(shipper.run())
        await shipper.over(ended("a"), 10.0)
        assert shipper.hold_s(ended("a")) == 0.0
        shipper.forget("a")
        await asyncio.sleep(shipping.POLL_S[1])
        assert not shipper._logs
        assert not shipper._held
        running.cancel()

    outcome(forget)
