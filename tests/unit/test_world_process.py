"""A process' life without violence: clocks, requests and deliveries, pauses, stops, ends and restarts."""

import asyncio
import contextvars
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from sim.world.process import Process, Suspended
from sim.world.universe import Universe
from tests.universe import outcome


class World:
    """A universe, a process in it, and what is seen there: (universe's time, what)."""

    def __init__(self, universe: Universe) -> None:
        self.universe = universe
        self.process = Process(self.universe, "p")
        self.seen: list[tuple[float, object]] = []

    def see(self, what: object) -> None:
        self.seen.append((self.universe.now_s, what))

    def at(self, when_s: float, call: Callable[[], object]) -> None:
        self.universe.at(when_s, call)


@pytest.fixture
def world() -> Iterator[World]:
    with Universe() as universe:
        yield World(universe)


async def forever() -> None:
    await asyncio.Event().wait()


def test_clocks_cannot_be_confused(world: World) -> None:
    clocks = list[tuple[float, float, datetime]]()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(10)
        clocks.append((loop.time(), world.process.wall_s(), world.process.wall()))

    world.process.start(main)
    world.universe.run(20)
    world.process.start(main)
    world.universe.run(40)
    (first_s, first_wall_s, first_wall), (second_s, _, second_wall) = clocks
    assert first_s > 4000
    assert abs(second_s - first_s - 20) > 1, "another boot, another clock"
    assert first_wall == datetime(2030, 1, 1, 0, 0, 10, tzinfo=UTC)
    assert first_wall_s == first_wall.timestamp()
    assert second_wall - first_wall == timedelta(seconds=20)


def test_a_wall_clock_jumps_and_nothing_else_does(world: World) -> None:
    other = Process(world.universe, "other")

    async def main() -> None:
        began_s = asyncio.get_running_loop().time()
        await asyncio.sleep(10)
        assert asyncio.get_running_loop().time() - began_s == 10

    world.process.start(main)
    world.at(5, lambda: world.process.jump(3600))
    world.universe.run(20)
    assert world.process.wall_s() - other.wall_s() == 3600
    assert world.process.wall() - other.wall() == timedelta(hours=1)
    world.process.jump(-7200)
    assert world.process.wall() - other.wall() == -timedelta(hours=1)
    assert world.process.ended
    assert world.process.exception is None


def test_a_request_is_done_there_and_answered_back_here(world: World) -> None:
    def request() -> str:
        world.see("asked")
        return "answer"

    async def main() -> None:
        world.see(await world.process.call(request, there_s=2, back_s=3))

    world.process.start(main)
    world.universe.run(10)
    assert world.seen == [(2, "asked"), (5, "answer")]


def test_a_request_may_be_a_coroutine_and_may_fail(world: World) -> None:
    async def refuse() -> str:
        raise LookupError("refused")

    async def main() -> None:
        assert await world.process.call(_one, there_s=1, back_s=0) == 1
        with pytest.raises(LookupError, match="refused"):
            await world.process.call(refuse, there_s=1, back_s=1)
        world.see("done")

    async def _one() -> int:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        return 1

    world.process.start(main)
    world.universe.run(10)
    assert world.seen == [(3, "done")]


def test_a_request_that_waits_is_an_error_of_the_world(world: World) -> None:
    async def main() -> None:
        await world.process.call(lambda: asyncio.sleep(0), there_s=1, back_s=0)

    world.process.start(main)
    with pytest.raises(Suspended, match="sleep waits for something"):
        world.universe.run(10)


def test_a_request_without_delay_takes_a_turn(world: World) -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_soon(world.see, "a turn")
        await world.process.call(lambda: world.see("asked"), there_s=0, back_s=0)
        world.see("answered")

    world.process.start(main)
    world.universe.run(0)
    assert world.seen == [(0, "asked"), (0, "a turn"), (0, "answered")]


def test_a_cancelled_request_is_done_nevertheless(world: World) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await world.process.call(lambda: world.see("asked"), there_s=2, back_s=3)
        world.see("given up")
        await asyncio.sleep(10)

    world.process.start(main)
    world.universe.run(20)
    assert world.seen == [(1, "given up"), (2, "asked")]
    assert world.process.complaints == []


def test_requests_overtake_one_another(world: World) -> None:
    async def ask(name: str, there_s: float, back_s: float) -> None:
        await world.process.call(lambda: world.see(f"{name} asked"), there_s=there_s, back_s=back_s)
        world.see(f"{name} answered")

    async def main() -> None:
        await asyncio.gather(ask("a", 3, 3), ask("b", 1, 7), ask("c", 1, 1))

    world.process.start(main)
    world.universe.run(20)
    assert world.seen == [
        (1, "b asked"),
        (1, "c asked"),
        (2, "c answered"),
        (3, "a asked"),
        (6, "a answered"),
        (8, "b answered"),
    ]


def test_only_the_process_itself_can_call(world: World) -> None:
    other = Process(world.universe, "other")
    other.start(forever)

    async def main() -> None:
        with pytest.raises(RuntimeError, match="not the present boot of other"):
            await other.call(lambda: 1, there_s=0, back_s=0)

    world.process.start(main)
    world.universe.run(1)
    assert world.process.exception is None


def test_deliveries_come_in_order_within_the_process(world: World) -> None:
    def receive(message: int) -> None:
        assert asyncio.get_running_loop() is loops[0]
        world.see(message)

    loops = list[asyncio.AbstractEventLoop]()

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        await forever()

    world.process.deliver(receive, 0)  # it does not run yet
    world.process.start(main)
    for number in range(1, 4):
        world.at(2, partial(world.process.deliver, receive, number))
    world.universe.run(5)
    assert world.seen == [(2, 1), (2, 2), (2, 3)]


def test_a_delivery_brings_nothing_of_its_senders_context(world: World) -> None:
    sender, who = Process(world.universe, "sender"), contextvars.ContextVar[str]("who")

    async def send() -> None:
        who.set("sender")
        world.process.deliver(lambda: world.see(who.get("nobody")))

    world.process.start(forever)
    sender.start(send)
    world.universe.run(1)
    assert world.seen == [(0, "nobody")]


def test_a_paused_process_stands_still_while_its_clock_goes_on(world: World) -> None:
    async def main() -> None:
        loop, began_s = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        for delay_s in (5, 4, 12, 3):
            loop.call_later(delay_s, world.see, f"timer {delay_s}")
        world.see(await world.process.call(lambda: "answer", there_s=2, back_s=2.5))
        world.see(loop.time() - began_s)
        await forever()

    world.process.start(main)
    world.at(3.5, world.process.pause)
    world.at(4.2, lambda: world.process.deliver(world.see, "message"))
    world.at(10, world.process.resume)
    world.universe.run(20)
    assert world.seen == [
        (3, "timer 3"),
        (10, "timer 4"),
        (10, "message"),
        (10, "answer"),
        (10, 10),
        (10, "timer 5"),
        (12, "timer 12"),
    ]
    assert world.process.alive


def test_a_pause_holds_what_is_to_run_at_that_instant(world: World) -> None:
    def deliver_and_pause() -> None:
        world.process.deliver(world.see, "message")
        world.process.pause()

    world.process.start(forever)
    world.at(1, deliver_and_pause)
    world.at(3, world.process.resume)
    world.universe.run(5)
    assert world.seen == [(3, "message")]


def test_a_process_that_pauses_and_resumes_within_an_instant_misses_nothing(world: World) -> None:
    async def main() -> None:
        for number in range(6):
            await asyncio.sleep(1)
            world.see(number)

    def blink() -> None:
        world.process.pause()
        world.universe.soon(world.process.resume)

    world.process.start(main)
    for when_s in range(1, 6):
        world.at(when_s, blink)
    world.at(2.5, world.process.resume)  # it was not paused
    world.universe.run(10)
    assert world.seen == [(number + 1, number) for number in range(6)]


def test_a_stopped_process_cleans_up_and_ends(world: World) -> None:
    async def main() -> None:
        try:
            await forever()
        finally:
            await world.process.call(lambda: world.see("released"), there_s=1, back_s=1)

    world.process.start(main)
    world.at(5, world.process.pause)
    world.at(6, world.process.stop)  # it hears of it when it goes on
    world.at(8, world.process.resume)
    world.universe.run(9.5)
    assert world.process.alive
    world.universe.run(10)
    assert world.seen == [(9, "released")]
    assert world.process.ended
    assert not world.process.alive
    assert world.process.exception is None


def test_the_end_of_the_main_task_ends_the_others_first(world: World) -> None:
    async def work(name: str, delay_s: float) -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(delay_s)
            world.see(name)

    async def fail() -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            raise LookupError("at the end") from None

    async def main() -> None:
        tasks = [asyncio.create_task(work("a", 3)), asyncio.create_task(work("b", 2)), asyncio.create_task(fail())]
        await asyncio.sleep(1)
        assert not any(task.done() for task in tasks)

    world.process.start(main)
    world.universe.run(3.5)
    assert not world.process.ended
    world.universe.run(10)
    assert world.seen == [(3, "b"), (4, "a")]
    assert world.process.ended
    (complaint,) = world.process.complaints
    assert complaint.message == "Exception while the process ended: task Task-3 (" + fail.__qualname__ + ")"


@pytest.mark.parametrize("error", [LookupError("planted"), asyncio.CancelledError()])
def test_what_ends_the_main_task_is_told(world: World, error: BaseException) -> None:
    async def main() -> None:
        await asyncio.sleep(1)
        raise error

    world.process.start(main)
    world.universe.run(5)
    assert world.process.ended
    assert type(world.process.exception) is type(error)
    assert world.process.complaints == []


def test_what_main_makes_may_look_for_the_loop(world: World) -> None:
    world.process.start(lambda: asyncio.sleep(asyncio.get_running_loop().time() * 0))
    world.universe.run(1)
    assert world.process.exception is None


def test_a_process_can_be_started_again_but_not_twice(world: World) -> None:
    world.process.start(lambda: asyncio.sleep(1))
    with pytest.raises(RuntimeError, match="p runs already"):
        world.process.start(forever)
    world.universe.run(2)
    assert world.process.ended
    world.process.start(forever)
    world.universe.run(5)
    assert (world.process.boot, world.process.alive, world.process.ended) == (2, True, False)


def test_what_is_asked_of_a_process_that_is_not_there_is_nothing(world: World) -> None:
    for _ in range(2):
        world.process.stop()
        world.process.pause()
        world.process.resume()
        world.process.kill()
        world.process.deliver(world.see, "never")
        world.universe.run(1)
        assert not world.process.alive
        assert world.seen == []
        if not world.process.boot:
            world.process.start(lambda: asyncio.sleep(0))
            world.universe.run(world.universe.now_s)
    assert world.process.ended


def test_the_only_process_of_a_universe() -> None:
    async def main() -> int:
        await asyncio.sleep(5)
        return 7

    assert outcome(main) == 7
    with pytest.raises(AssertionError, match="did not end"):
        outcome(main, limit_s=3)
