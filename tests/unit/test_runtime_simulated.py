"""The simulated runtime, against the loop's real time."""

import asyncio

import pytest

from agents.runtimes.protocol import Step, Work
from agents.runtimes.simulated import SimulatedRuntime

STEPS = (Step("a", "image"), Step("b", "image"))


def work(attempt: str, work_ws: float, *, edge: str = "edge", power_w: float = 0.0) -> Work:
    return Work("site", edge, attempt, STEPS, {}, power_w=power_w, work_ws=work_ws)


async def test_without_work_all_steps_end_at_once() -> None:
    told: list[str] = []
    runtime = SimulatedRuntime(clock=lambda: 42.0)
    await runtime.open(told.append)
    await runtime.start_step(work("a", 0.0), 0)
    found = await runtime.observe("a")
    assert found is not None
    assert [(step.exit_code, step.started_s, step.finished_s) for step in found.steps] == [(0, 42.0, 42.0)] * 2
    assert found.percent == 100.0
    assert not told, "who starts it looks at it anyway"
    await runtime.close()


async def test_thousands_drain_together_in_the_time_that_the_power_gives() -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    runtime = SimulatedRuntime(power_w=100.0)
    await runtime.open(told.put_nowait)
    started_s = asyncio.get_running_loop().time()
    for index in range(5000):
        await runtime.start_step(work(f"a-{index}", 0.1, edge=f"edge-{index % 10}"), 0)
    ended = {await told.get() for _ in range(5000)}
    # 50 Ws on each of 10 edges at 100 W.
    assert asyncio.get_running_loop().time() - started_s >= 0.49
    assert len(ended) == 5000
    assert all(len(found.steps) == 2 for found in await runtime.discover())
    await runtime.close()


async def test_percent_is_continuous_and_power_is_shared_by_what_was_asked() -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    runtime = SimulatedRuntime(power_w=10.0)
    await runtime.open(told.put_nowait)
    await runtime.start_step(work("light", 1e6, power_w=1.0), 0)
    await runtime.start_step(work("heavy", 1e6, power_w=4.0), 0)
    await runtime.start_step(work("other", 0.1, power_w=5.0), 0)
    await told.get()
    light, heavy = await runtime.observe("light"), await runtime.observe("heavy")
    assert light is not None
    assert heavy is not None
    assert light.percent > 0.0
    assert heavy.percent == pytest.approx(4 * light.percent, rel=0.2)
    await runtime.close()


async def test_removing_one_that_runs_leaves_the_others_running() -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    runtime = SimulatedRuntime(power_w=10.0)
    await runtime.open(told.put_nowait)
    await runtime.start_step(work("gone", 1e6), 0)
    await runtime.start_step(work("stays", 1.0), 0)
    await runtime.remove("gone")
    assert await runtime.observe("gone") is None
    assert await told.get() == "stays"
    await runtime.close()


async def test_starting_is_cheap() -> None:
    """Tens of microseconds would be a quarter of the whole system's cost of a chunk; the bound leaves room for a slow host."""
    runtime = SimulatedRuntime()
    await runtime.open(lambda _: None)
    works = [work(f"a-{index}", 0.0) for index in range(10_000)]
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    for one in works:
        await runtime.start_step(one, 0)
    assert (loop.time() - started_s) / len(works) < 50e-6
    await runtime.close()
