"""The keyed queue: each key once, one worker at a time, and no call that is lost."""

import asyncio
import random

import pytest
import uvloop

from datamodel.keyqueue import KeyQueue
from tests.waiting import until


async def test_keys_come_in_order_of_arrival_and_once() -> None:
    queue = KeyQueue()
    for key in ("a", "b", "a", "c", "b"):
        queue.add(key)
    assert [await queue.get() for _ in range(3)] == ["a", "b", "c"]
    assert len(queue) == 0


async def test_a_key_that_is_added_while_it_is_worked_on_waits_for_its_worker() -> None:
    queue = KeyQueue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_no_key_has_two_workers_and_none_is_forgotten() -> None:
    queue, choose = KeyQueue(), random.Random(1)
    working: set[str] = set()
    added = dict.fromkeys("abcde", 0)
    seen = dict.fromkeys("abcde", 0)

    async def work() -> None:
        while True:
            key = await queue.get()
            assert key not in working
            working.add(key)
            seen[key] = added[key]
            await asyncio.sleep(choose.random() / 1000)
            working.discard(key)
            queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(4)]
    for _ in range(300):
        key = choose.choice("abcde")
        added[key] += 1
        queue.add(key)
        if choose.random() < 0.2:
            await asyncio.sleep(0)
    await until(lambda: seen == added)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)


async def test_so_many_keys_are_served_at_a_time_and_no_more() -> None:
    queue, release = KeyQueue(), asyncio.Event()
    present, most, seen = set[str](), 0, list[str]()

    async def work(key: str) -> None:
        nonlocal most
        present.add(key)
        most = max(most, len(present))
        seen.append(key)
        await release.wait()
        present.discard(key)

    serving = asyncio.create_task(queue.serve(work, 3, "worker"))
    for key in "abcdefg":
        queue.add(key)
    await until(lambda: len(present) == 3)
    assert len(queue) == 4
    release.set()
    await until(lambda: len(seen) == 7 and not present)
    assert (seen, most) == (list("abcdefg"), 3)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def test_no_more_workers_begin_than_there_is_work_for() -> None:
    queue, seen = KeyQueue(), list[str]()

    async def work(key: str) -> None:
        await asyncio.sleep(0)
        seen.append(key)

    serving = asyncio.create_task(queue.serve(work, 100, "worker"))
    for count, key in enumerate("abcdefg", 1):
        queue.add(key)
        await until(lambda count=count: len(seen) == count)  # type: ignore[misc]
    assert {task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("worker")} == {
        "worker 1",
        "worker 2",
    }
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def test_keys_that_take_long_leave_workers_for_the_others() -> None:
    """Though there was a time when there were as many as there was work for."""
    queue, seen = KeyQueue(), list[str]()

    async def work(key: str) -> None:
        await asyncio.sleep(0)
        seen.append(key)
        if key.startswith("long"):
            await asyncio.get_running_loop().create_future()

    serving = asyncio.create_task(queue.serve(work, 8, "worker"))
    for count, key in enumerate(("short", "long-1", "long-2", "long-3", "short"), 1):
        queue.add(key)
        await until(lambda count=count: len(seen) == count)  # type: ignore[misc]
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def test_what_a_worker_raises_ends_all_and_leaves_no_key_taken() -> None:
    queue, seen = KeyQueue(), list[str]()

    async def work(key: str) -> None:
        seen.append(key)
        if key == "bad":
            raise ValueError(key)
        queue.add(key)
        await asyncio.get_running_loop().create_future()

    for key in ("good", "bad"):
        queue.add(key)
    with pytest.raises(ExceptionGroup) as raised:
        await queue.serve(work, 8, "worker")
    assert [str(error) for error in raised.value.exceptions] == ["bad"]
    assert (seen, len(queue)) == (["good", "bad"], 1)


async def test_a_delayed_key_comes_when_it_is_due_and_not_before() -> None:
    queue, loop = KeyQueue(), asyncio.get_running_loop()
    began = loop.time()
    queue.add_after("later", 0.05)
    queue.add_after("sooner", 0.02)
    assert [await queue.get(), await queue.get()] == ["sooner", "later"]
    assert loop.time() - began >= 0.05


async def test_the_earliest_time_counts() -> None:
    queue = KeyQueue()
    queue.add_after("a", 3600)
    queue.add_after("a", 0.01)
    queue.add_after("a", 1800)
    async with asyncio.timeout(30):
        assert await queue.get() == "a"
    assert queue._due == {}


async def test_adding_a_delayed_key_makes_it_due_now_and_only_once() -> None:
    queue = KeyQueue()
    queue.add_after("a", 0.01)
    queue.add("a")
    assert await queue.get() == "a"
    queue.done("a")
    queue.add_after("b", 0.02)
    assert await queue.get() == "b"


async def test_a_key_may_be_delayed_by_its_own_worker() -> None:
    queue = KeyQueue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add_after("a", 0.0)
    queue.done("a")
    async with asyncio.timeout(30):
        assert await queue.get() == "a"


async def test_times_that_no_longer_count_do_not_pile_up() -> None:
    queue = KeyQueue()
    for _ in range(10_000):
        queue.add_after("a", 3600)
        queue.add("a")
        queue.done(await queue.get())
    queue.add_after("a", 3600)
    assert len(queue._later) < 100


async def test_a_called_worker_that_is_cancelled_passes_the_call_on() -> None:
    queue = KeyQueue()
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    async with asyncio.timeout(30):
        assert await second == "a"
    assert first.cancelled()


async def test_a_waiting_worker_that_is_cancelled_is_not_called() -> None:
    queue = KeyQueue()
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    queue.add("a")
    async with asyncio.timeout(30):
        assert await second == "a"


def test_delays_below_the_clocks_resolution_do_not_confuse_the_programs_loop() -> None:
    async def both() -> set[str]:
        queue = KeyQueue()
        queue.add_after("a", 0.0)
        queue.add_after("b", 0.0001)
        queue.add_after("c", 0.01)
        return {await queue.get() for _ in range(3)}

    assert uvloop.run(both()) == {"a", "b", "c"}
