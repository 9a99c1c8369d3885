"""asyncio's own primitives on the virtual loop: they do what they do on asyncio's loops, in the same order."""

import asyncio
import contextvars
import random
from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest

from sim.world.dice import Dice
from sim.world.loop import VirtualLoop
from sim.world.process import Process
from sim.world.universe import Livelock, Universe
from tests.universe import outcome

FACTS = contextvars.ContextVar("FACTS", default="none")


@pytest.fixture
def universe() -> Iterator[Universe]:
    with Universe() as universe:
        yield universe


def now_s() -> float:
    return asyncio.get_running_loop().time()


async def fail_after(delay_s: float) -> None:
    await asyncio.sleep(delay_s)
    raise LookupError(f"after {delay_s}")


def test_sleep_takes_virtual_time_and_no_other() -> None:
    async def main() -> float:
        began_s = now_s()
        await asyncio.gather(*(asyncio.sleep(delay_s) for delay_s in (1, 86400, 5)))
        return now_s() - began_s

    assert outcome(main, limit_s=100_000) == 86400


def test_timeout_and_wait_for() -> None:
    async def main() -> list[float]:
        began_s, ended = now_s(), list[float]()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await asyncio.Event().wait()
        ended.append(now_s() - began_s)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(10), 3)
        ended.append(now_s() - began_s)
        assert await asyncio.wait_for(asyncio.sleep(1, "in time"), 3) == "in time"
        with pytest.raises(TimeoutError):  # noqa: PT012 - what is within is what times out
            async with asyncio.timeout(1) as limit:
                limit.reschedule(now_s() + 4)
                await asyncio.sleep(100)
        ended.append(now_s() - began_s)
        return ended

    assert outcome(main) == [2, 5, 10]


def test_a_task_group_waits_for_all_and_cancels_all() -> None:
    async def main() -> list[str]:
        seen = list[str]()

        async def note(name: str, delay_s: float) -> None:
            try:
                await asyncio.sleep(delay_s)
                seen.append(name)
            except asyncio.CancelledError:
                seen.append(f"{name} cancelled")
                raise

        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(note(f"first {number}", 3 - number))
        with pytest.raises(ExceptionGroup) as raised:  # noqa: PT012 - the group raises at its end
            async with asyncio.TaskGroup() as group:
                for number in range(20):
                    group.create_task(note(f"{number}", 10))
                group.create_task(fail_after(1))
        assert [str(error) for error in raised.value.exceptions] == ["after 1"]
        return seen

    assert outcome(main) == ["first 2", "first 1", "first 0", *(f"{number} cancelled" for number in range(20))]


def test_gather_wait_and_shield() -> None:
    async def main() -> None:
        assert [*await asyncio.gather(asyncio.sleep(2, "a"), asyncio.sleep(1, "b"))] == ["a", "b"]
        failed, slept = await asyncio.gather(fail_after(1), asyncio.sleep(2, "c"), return_exceptions=True)
        assert isinstance(failed, LookupError)
        assert slept == "c"
        tasks = [asyncio.create_task(asyncio.sleep(delay_s, delay_s)) for delay_s in (3, 1, 2, 1)]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result() for task in done] == [1, 1]
        assert pending == {tasks[0], tasks[2]}
        for next_done in asyncio.as_completed(tasks):
            await next_done
        inner = asyncio.create_task(asyncio.sleep(5, "shielded"))
        outer = asyncio.create_task(asyncio.wait_for(asyncio.shield(inner), 1))
        with pytest.raises(TimeoutError):
            await outer
        assert not inner.done()
        assert await inner == "shielded"

    outcome(main)


def test_events_locks_conditions_and_queues() -> None:
    async def main() -> list[str]:
        seen = list[str]()
        event, lock, condition, slots = asyncio.Event(), asyncio.Lock(), asyncio.Condition(), asyncio.Semaphore(2)
        queue = asyncio.Queue[str](maxsize=1)

        async def produce() -> None:
            async with lock:
                await event.wait()
                for name in "abc":
                    await queue.put(name)

        async def consume() -> None:
            async with lock:  # had once the producer has put all
                seen.append("locked")

        async def watch() -> None:
            async with condition, slots:
                await condition.wait_for(lambda: len(seen) >= 3)
                seen.append("three")

        async with asyncio.TaskGroup() as group:
            for work in (produce, consume, watch):
                group.create_task(work())
            await asyncio.sleep(1)
            event.set()
            for _ in range(3):
                seen.append(await queue.get())
                async with condition:
                    condition.notify_all()
        return seen

    assert sorted(outcome(main)) == ["a", "b", "c", "locked", "three"]


def test_a_cancelled_task_cleans_up_with_time_to_do_so() -> None:
    async def main() -> float:
        async def work() -> None:
            try:
                await asyncio.sleep(100)
            finally:
                await asyncio.sleep(2)

        task = asyncio.create_task(work())
        await asyncio.sleep(1)
        began_s = now_s()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return now_s() - began_s

    assert outcome(main) == 2


def test_work_for_a_thread_is_done_at_once_and_answered_at_the_next_turn() -> None:
    def work(number: int) -> int:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        if number < 0:
            raise LookupError("negative")
        return number * 2

    async def main() -> None:
        loop, seen = asyncio.get_running_loop(), list[str]()
        loop.call_soon(seen.append, "a turn")
        assert await asyncio.to_thread(work, 21) == 42
        assert seen == ["a turn"]
        with pytest.raises(LookupError, match="negative"):
            await loop.run_in_executor(None, work, -1)

    outcome(main)


def test_timers_come_in_order_of_time_and_can_be_cancelled() -> None:
    async def main() -> list[str]:
        loop, seen = asyncio.get_running_loop(), list[str]()
        timers = [loop.call_later(delay_s, seen.append, f"{delay_s}") for delay_s in (3, 1, 2, 2.5)]
        assert timers[0].when() == loop.time() + 3
        timers[2].cancel()
        assert timers[2].cancelled()
        soon = loop.call_soon(seen.append, "never")
        loop.call_soon(seen.append, "soon")
        soon.cancel()
        loop.call_at(loop.time() - 5, seen.append, "overdue")
        late = loop.call_later(1, seen.append, "due, but cancelled in that turn")
        loop.call_later(1, timers[3].cancel)
        timers[1].cancel()
        loop.call_later(1, late.cancel)
        await asyncio.sleep(4)
        return seen

    assert outcome(main) == ["soon", "overdue", "due, but cancelled in that turn", "3"]


def test_contexts_are_those_of_who_asked() -> None:
    async def main() -> list[str]:
        loop, seen = asyncio.get_running_loop(), list[str]()
        FACTS.set("main")
        loop.call_later(1, lambda: seen.append(FACTS.get()))
        task = asyncio.create_task(asyncio.to_thread(lambda: seen.append(FACTS.get())))
        FACTS.set("changed")
        own = contextvars.Context()
        own.run(FACTS.set, "own")
        loop.call_soon(lambda: seen.append(FACTS.get()), context=own)
        await asyncio.sleep(2)
        await task
        return seen

    assert outcome(main) == ["main", "own", "main"]
    assert FACTS.get() == "none"


def test_a_generator_that_is_left_ends_as_on_asyncios_loops() -> None:
    async def main() -> list[str]:
        seen = list[str]()

        async def numbers() -> AsyncIterator[int]:
            try:
                yield 1
                yield 2
            finally:
                await asyncio.sleep(1)
                seen.append("closed")

        async for _ in numbers():
            break
        assert seen == []
        await asyncio.sleep(2)
        return seen

    assert outcome(main) == ["closed"]


def test_what_nobody_catches_is_kept_and_not_printed(universe: Universe, capsys: pytest.CaptureFixture[str]) -> None:
    process = Process(universe, "only")

    async def main() -> None:
        asyncio.get_running_loop().call_later(1, int, "no number")
        task = asyncio.create_task(fail_after(2), name="doomed")
        await asyncio.sleep(3)
        del task

    with Dice(0).in_charge():
        process.start(main)
        universe.run(10)
    assert process.ended
    assert process.exception is None
    first, second = process.complaints
    assert (first.at_s, first.process, first.message) == (1, "only", "Exception in callback int")
    assert second.message == "VirtualTask exception was never retrieved: task doomed (fail_after)"
    assert isinstance(second.exception, LookupError)
    assert capsys.readouterr() == ("", "")


def test_a_program_may_handle_what_nobody_catches() -> None:
    async def main() -> list[str]:
        loop, handled = asyncio.get_running_loop(), list[str]()
        loop.set_exception_handler(lambda _, report: handled.append(report["message"]))
        assert loop.get_exception_handler() is not None
        loop.call_soon(int, "no number")
        await asyncio.sleep(1)
        return handled

    assert outcome(main) == ["Exception in callback int"]


def test_loops_take_turns_and_none_runs_between_them(universe: Universe) -> None:
    seen = list[str]()
    processes = [Process(universe, name) for name in "abc"]

    async def main(name: str) -> None:
        own = asyncio.get_running_loop()
        for _ in range(3):
            seen.append(name)
            await asyncio.sleep(0)
            assert asyncio.get_running_loop() is own
        await asyncio.sleep(1)
        task = asyncio.current_task()
        assert task is not None
        assert task.get_loop() is own
        seen.append(name)

    def between() -> None:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        seen.append("-")

    for process in processes:
        process.start(partial(main, process.name))
        universe.soon(between)
    universe.run(2)
    assert "".join(seen) == "a-b-c-" + "abc" * 3
    assert [process.exception for process in processes] == [None] * 3
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


def test_programs_that_never_let_time_pass_are_named() -> None:
    async def spin() -> None:
        await asyncio.sleep(5)
        while True:  # noqa: ASYNC110 - as it should not be
            await asyncio.sleep(0)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(spin(), name="spinner")
            group.create_task(asyncio.sleep(1000))

    with Universe(steps_at_one_instant=2000) as universe:
        Process(universe, "guilty").start(main)
        Process(universe, "innocent").start(lambda: asyncio.sleep(1000))
        with pytest.raises(Livelock, match=r"at 5\.0000.*: guilty: task spinner \(.*spin\) \(1000 times\)$"):
            universe.run(10)


def test_what_it_is_not_made_for_says_so() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        assert loop.is_running()
        assert not loop.is_closed()
        assert not loop.get_debug()
        await loop.shutdown_asyncgens()
        with pytest.raises(NotImplementedError):
            await asyncio.open_connection("127.0.0.1", 1)
        with pytest.raises(NotImplementedError):
            loop.add_signal_handler(15, print)

    outcome(main)


async def test_the_world_refuses_to_run_within_a_real_loop() -> None:
    with pytest.raises(RuntimeError, match="real event loop"):
        Process(Universe(), "only").start(lambda: asyncio.sleep(1))


async def _random_program(seed: int) -> list[str]:
    """Tasks that wake, cancel and wait for one another in every way that takes no time."""
    choose, seen = random.Random(seed), list[str]()
    lock, event, condition = asyncio.Lock(), asyncio.Event(), asyncio.Condition()
    queue = asyncio.Queue[int](maxsize=2)
    tasks = list[asyncio.Task[None]]()

    async def step(name: str, depth: int) -> None:
        match choose.randrange(9):
            case 0:
                await asyncio.sleep(0)
            case 1:
                async with lock:
                    await asyncio.sleep(0)
            case 2:
                event.set() if choose.random() < 0.7 else event.clear()
            case 3:
                async with asyncio.timeout(1000):
                    await event.wait()
            case 4 if not queue.full() or choose.random() < 0.3:
                await queue.put(depth)
            case 5 if not queue.empty() or choose.random() < 0.3:
                await queue.get()
            case 6 if depth < 2:
                await asyncio.gather(work(f"{name}a", depth + 1), work(f"{name}b", depth + 1), return_exceptions=True)
            case 7:
                choose.choice(tasks).cancel()
            case _:
                async with condition:
                    condition.notify(1)
                    if choose.random() < 0.3:
                        await condition.wait()

    async def work(name: str, depth: int) -> None:
        try:
            for number in range(6):
                seen.append(f"{name}{number}")
                await step(name, depth)
        except asyncio.CancelledError:
            seen.append(f"{name} cancelled")
            if choose.random() < 0.7:
                raise
        finally:
            await asyncio.sleep(0)
            seen.append(f"{name} ends")

    tasks.extend(asyncio.create_task(work(f"{number}.", 0)) for number in range(6))
    for _ in range(200):
        await asyncio.sleep(0)
        if choose.random() < 0.1:
            event.set()
    for task in tasks:
        task.cancel()
    for _ in range(50):
        await asyncio.sleep(0)
        event.set()
    return seen


@pytest.mark.parametrize("seed", range(40))
def test_random_programs_run_in_the_order_of_asyncios_own_loop(universe: Universe, seed: int) -> None:
    with asyncio.Runner() as runner:
        expected = runner.run(_random_program(seed))
    assert len(expected) > 20
    found = list[str]()
    process = Process(universe, "only")

    async def main() -> None:
        found.extend(await _random_program(seed))

    process.start(main)
    universe.run(1)
    assert process.exception is None
    assert found == expected
