"""SIGKILL: after it, nothing of the process reaches the world, whatever stage it was in, and nobody hears of its remains."""

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress

import pytest

from sim.world.dice import Dice
from sim.world.disposal import Killed
from sim.world.process import Process
from sim.world.universe import Universe


class World:
    """A universe and a process in it that is killed; what is seen there."""

    def __init__(self) -> None:
        self.universe = Universe()
        self.process = Process(self.universe, "p")
        self.seen: list[object] = []

    def kill_at(self, when_s: float) -> None:
        self.universe.at(when_s, self.process.kill)

    async def ask(self, what: str = "asked", there_s: float = 1, back_s: float = 1) -> None:
        await self.process.call(lambda: self.seen.append(what), there_s=there_s, back_s=back_s)


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    """Checks afterwards that the dead are silent: warnings, and what cannot be raised, are errors here."""
    with warnings.catch_warnings(), Dice(0).in_charge():  # which collects garbage at its end
        warnings.simplefilter("error")
        world = World()
        yield world
        world.universe.run(world.universe.now_s + 10_000)
        assert world.process.complaints == []
        world.__dict__.clear()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("killed_s", "seen"),
    [(0, []), (0.5, []), (1.5, ["asked"]), (2, ["asked"]), (2.5, ["asked", "answered"])],
)
def test_a_kill_during_a_request_leaves_it_undone_or_unanswered(world: World, killed_s: float, seen: list[str]) -> None:
    async def main() -> None:
        try:
            await world.ask()
            world.seen.append("answered")
            await asyncio.Event().wait()
        finally:
            await world.ask("undone by a dead process")

    world.kill_at(killed_s)
    world.process.start(main)
    world.universe.run(100)
    assert world.seen == seen
    assert not world.process.alive
    assert not world.process.ended


def test_a_request_may_outlive_its_process(world: World) -> None:
    async def main() -> None:
        await world.process.call(lambda: world.seen.append("late"), there_s=5, back_s=1, outlives=True)

    world.process.start(main)
    world.kill_at(1)
    world.universe.at(2, lambda: world.process.start(asyncio.Event().wait))
    world.universe.run(4)
    assert world.seen == []
    world.universe.run(10)
    assert world.seen == ["late"]
    world.process.kill()


def test_an_answer_to_an_earlier_boot_is_nobodys(world: World) -> None:
    async def main() -> None:
        world.seen.append(f"boot {world.process.boot}")
        await world.ask(f"asked by {world.process.boot}", 1, 5)
        world.seen.append(f"answered {world.process.boot}")

    world.process.start(main)
    world.kill_at(2)
    world.universe.at(3, lambda: world.process.start(main))
    world.universe.run(20)
    assert world.seen == ["boot 1", "asked by 1", "boot 2", "asked by 2", "answered 2"]


def test_finally_blocks_do_what_they_like_and_reach_nothing(world: World) -> None:
    async def ask_in_time(name: str) -> None:
        async with asyncio.timeout(1):
            await world.ask(f"{name} in time")

    async def clean_up(name: str) -> None:
        loop = asyncio.get_running_loop()
        world.process.deliver(world.seen.append, f"{name} delivered")
        loop.call_soon(world.seen.append, f"{name} soon")
        loop.call_later(1, world.seen.append, f"{name} later")
        asyncio.create_task(world.ask(f"{name} by a task"))  # noqa: RUF006 - it never runs
        for attempt in (
            ask_in_time(name),
            asyncio.to_thread(world.seen.append, f"{name} by a thread"),
            world.ask(f"{name} asked"),
            world.process.call(lambda: world.seen.append(f"{name} sent"), there_s=1, back_s=1, outlives=True),
        ):
            with suppress(BaseException):
                await attempt
                world.seen.append(f"{name} went on")

    async def work(name: str) -> None:
        try:
            async with asyncio.timeout(1000), asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(500))
                await asyncio.Event().wait()
        finally:
            try:
                await clean_up(name)
            finally:
                with suppress(Exception):
                    await clean_up(f"{name} again")
                raise LookupError("never heard")

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for name in "ab":
                group.create_task(work(name))

    world.process.start(main)
    world.kill_at(5)
    world.universe.run(1000)
    assert world.seen == []


def test_tasks_go_in_order_of_their_creation(world: World) -> None:
    async def work(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            world.seen.append(number)  # its own memory, which is gone with it

    async def main() -> None:
        tasks = [asyncio.create_task(work(number)) for number in range(200)]
        await asyncio.wait(tasks)

    world.process.start(main)
    world.kill_at(1)
    world.universe.run(2)
    assert world.seen == list(range(200))


def test_tasks_that_never_began_and_generators_go_too(world: World) -> None:
    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await world.ask("by a generator")
            world.seen.append("went on")

    async def main() -> None:
        async for _ in numbers():
            asyncio.create_task(world.ask("never began"))  # noqa: RUF006 - as it says
            world.universe.soon(world.process.kill)
            await asyncio.Event().wait()

    world.process.start(main)
    world.universe.run(10)
    assert world.seen == []


def test_what_failed_before_is_not_complained_of_after(world: World) -> None:
    async def fail() -> None:
        raise LookupError("planted")

    async def main() -> None:
        tasks = [asyncio.create_task(fail()) for _ in range(3)]
        await asyncio.Event().wait()
        assert tasks

    world.process.start(main)
    world.kill_at(1)
    world.universe.run(2)


def test_a_process_that_was_paused_can_be_killed(world: World) -> None:
    async def main() -> None:
        await asyncio.sleep(3)
        world.seen.append("woke")

    world.process.start(main)
    world.universe.at(1, world.process.pause)
    world.kill_at(5)
    world.universe.at(6, world.process.resume)
    world.universe.at(7, lambda: world.process.start(main))
    world.universe.run(20)
    assert world.seen == ["woke"]
    assert world.process.ended


def test_a_process_that_was_stopped_can_be_killed_while_it_cleans_up(world: World) -> None:
    async def main() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await world.ask("first", 1, 1)
            await world.ask("second", 1, 1)

    world.process.start(main)
    world.universe.at(1, world.process.stop)
    world.kill_at(3.5)
    world.universe.run(20)
    assert world.seen == ["first"]
    assert not world.process.ended


def test_a_crash_in_the_midst_of_a_step(world: World) -> None:
    def write() -> None:
        world.seen.append("half written")
        world.process.kill()
        world.seen.append("written")

    async def crash() -> None:
        try:
            await asyncio.to_thread(write)
        except Killed:
            world.seen.append("it may catch this")
        await world.ask("went on")

    async def work() -> None:
        world.seen.append("later in the turn")

    async def main() -> None:
        await asyncio.gather(crash(), work(), world.ask("by another task"))

    world.process.start(main)
    world.universe.run(10)
    assert world.seen == ["half written", "it may catch this"]
    assert not world.process.alive


def test_a_crash_as_a_request_is_done(world: World) -> None:
    def commit() -> None:
        world.seen.append("committed")
        world.process.kill()

    async def main() -> None:
        await world.process.call(commit, there_s=1, back_s=1)
        world.seen.append("answered")

    world.process.start(main)
    world.universe.run(10)
    assert world.seen == ["committed"]
    assert not world.process.alive


def test_one_process_does_not_kill_another_in_its_own_step(world: World) -> None:
    killer = Process(world.universe, "killer")

    async def main() -> None:
        with pytest.raises(RuntimeError, match="let the universe do it"):
            world.process.kill()
        world.universe.soon(world.process.kill)

    world.process.start(asyncio.Event().wait)
    killer.start(main)
    world.universe.run(1)
    assert killer.exception is None
    assert not world.process.alive


@pytest.mark.parametrize("stubborn", [1, 5, 100])
def test_a_task_that_insists_on_waiting_goes_all_the_same(world: World, stubborn: int) -> None:
    async def main() -> None:
        for _ in range(stubborn):
            with suppress(BaseException):
                await asyncio.Event().wait()

    world.process.start(main)
    world.kill_at(1)
    world.universe.run(2)
    assert not world.process.alive


def test_a_task_that_waits_for_ever_is_named() -> None:
    universe = Universe()
    process = Process(universe, "p")
    calm = list[bool]()

    async def immortal() -> None:
        while not calm:
            with suppress(BaseException):
                await asyncio.Event().wait()

    process.start(immortal)
    universe.at(1, process.kill)
    with pytest.raises(RuntimeError, match=r"_call cannot be killed: it goes on to wait whenever it is ended"):
        universe.run(2)
    calm.append(True)


def test_killing_many_processes_over_and_over(world: World) -> None:
    """They go on to be what they were, and leave nothing in the heap that stays."""
    processes = [Process(world.universe, f"p{number}") for number in range(5)]

    def main(process: Process) -> Callable[[], "asyncio.Future[None]"]:
        return lambda: process.call(lambda: world.seen.append(process.name), there_s=0.5, back_s=1000)

    for turn in range(100):
        for process in processes:
            process.start(main(process))  # type: ignore[arg-type]
        world.universe.run(turn + 0.75)
        for process in processes:
            process.kill()
        world.universe.run(turn + 1)
    assert len(world.seen) == 500
