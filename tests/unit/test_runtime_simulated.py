"""The simulated runtime, on virtual time."""

import asyncio
import time

import pytest

from agents.runtimes.luck import Chances, fate
from agents.runtimes.protocol import Step, Work
from agents.runtimes.simulated import SimulatedRuntime
from agents.runtimes.supply import Constant, Drawn
from agents.runtimes.trace import trace_of
from sim.world.handles import VirtualTimer
from sim.world.loop import VirtualLoop
from tests.universe import on_virtual_time

STEPS = (Step("a", "image"), Step("b", "image"))


def work(attempt: str, work_ws: float, *, edge: str = "edge", power_w: float = 0.0) -> Work:
    return Work("site", edge, attempt, STEPS, {}, power_w=power_w, work_ws=work_ws)


@on_virtual_time
async def test_without_work_all_steps_end_at_once() -> None:
    told: list[str] = []
    runtime = SimulatedRuntime(Drawn(), clock=lambda: 42.0)
    await runtime.open(told.append)
    await runtime.start_step(work("a", 0.0), 0)
    found = await runtime.observe("a")
    assert found is not None
    assert [(step.exit_code, step.started_s, step.finished_s) for step in found.steps] == [(0, 42.0, 42.0)] * 2
    assert found.percent == 100.0
    assert not told, "who starts it looks at it anyway"
    await runtime.close()


@on_virtual_time
async def test_thousands_drain_together_in_the_time_that_the_power_gives() -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    runtime = SimulatedRuntime(Constant(100.0))
    await runtime.open(told.put_nowait)
    started_s = asyncio.get_running_loop().time()
    for index in range(5000):
        await runtime.start_step(work(f"a-{index}", 0.1, edge=f"edge-{index % 10}"), 0)
    ended = {await told.get() for _ in range(5000)}
    # 50 Ws on each of 10 edges at 100 W.
    assert asyncio.get_running_loop().time() - started_s == pytest.approx(0.5, abs=1e-3)
    assert len(ended) == 5000
    assert all(len(found.steps) == 2 for found in await runtime.discover())
    await runtime.close()


@on_virtual_time
async def test_percent_is_continuous_and_power_is_shared_by_what_was_asked() -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    runtime = SimulatedRuntime(Constant(10.0))
    await runtime.open(told.put_nowait)
    await runtime.start_step(work("light", 1e6, power_w=1.0), 0)
    await runtime.start_step(work("heavy", 1e6, power_w=4.0), 0)
    await runtime.start_step(work("other", 0.1, power_w=5.0), 0)
    await told.get()
    light, heavy = await runtime.observe("light"), await runtime.observe("heavy")
    assert light is not None
    assert heavy is not None
    assert light.percent is not None
    assert light.percent > 0.0
    assert heavy.percent == pytest.approx(4 * light.percent)
    await runtime.close()


@on_virtual_time
async def test_removing_one_that_runs_leaves_the_others_running() -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    runtime = SimulatedRuntime(Constant(10.0))
    await runtime.open(told.put_nowait)
    await runtime.start_step(work("gone", 1e6), 0)
    await runtime.start_step(work("stays", 1.0), 0)
    await runtime.remove("gone")
    assert await runtime.observe("gone") is None
    assert await told.get() == "stays"
    await runtime.close()


@on_virtual_time
async def test_starting_is_cheap() -> None:
    """Tens of microseconds would be a quarter of the whole system's cost of a chunk; the bound leaves room for a slow host."""
    runtime = SimulatedRuntime(Drawn())
    await runtime.open(lambda _: None)
    works = [work(f"a-{index}", 0.0) for index in range(10_000)]
    started_s = time.process_time()
    for one in works:
        await runtime.start_step(one, 0)
    assert (time.process_time() - started_s) / len(works) < 50e-6
    await runtime.close()


@on_virtual_time
async def test_five_thousand_at_a_time_with_failures_and_stragglers_need_one_timer_and_hardly_any_time() -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    chances = Chances(seed=1, failing=0.2, fail_code=9, slow_sigma=0.5, straggling=0.01)
    runtime = SimulatedRuntime(Constant(100.0), chances)
    await runtime.open(told.put_nowait)
    before = time.process_time()
    for index in range(5000):
        await runtime.start_step(work(f"a-{index}", 1.0, edge=f"edge-{index % 10}"), 0)
    assert _timers(runtime) == 1
    running = [found for found in await runtime.discover() if found.steps[-1].phase == "running"]
    assert len(running) > 4500, "the others have failed at the beginning of their work"
    async with asyncio.timeout(30):
        for _ in range(5000):
            await told.get()
    assert _timers(runtime) == 0
    assert time.process_time() - before < 2.0, "the bound leaves room for a slow host"
    ends = [found.steps[-1].exit_code for found in await runtime.discover()]
    fates = [fate(chances, f"a-{index}") for index in range(5000)]
    assert ends == [one.code for one in fates]
    await runtime.close()


@on_virtual_time
async def test_a_failure_comes_at_its_part_of_the_work_and_in_its_step() -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    runtime = SimulatedRuntime(Constant(10.0), Chances(failing=1.0, fail_code=7, fail_at=0.6))
    await runtime.open(told.put_nowait)
    began_s = asyncio.get_running_loop().time()
    await runtime.start_step(work("a", 1.0), 0)
    await told.get()
    assert asyncio.get_running_loop().time() - began_s == pytest.approx(0.06, abs=1e-3)
    found = await runtime.observe("a")
    assert found is not None
    assert [step.exit_code for step in found.steps] == [0, 7]
    await runtime.close()


@on_virtual_time
async def test_of_one_that_will_fail_percent_is_of_the_whole_work() -> None:
    runtime = SimulatedRuntime(Constant(1.0), Chances(failing=1.0, fail_at=0.5))
    await runtime.open(lambda _: None)
    await runtime.start_step(work("a", 1.0), 0)
    await asyncio.sleep(0.25)
    found = await runtime.observe("a")
    assert found is not None
    assert found.percent == pytest.approx(25.0, abs=0.1)
    await runtime.close()


@on_virtual_time
async def test_one_that_is_stopped_has_not_failed_by_itself() -> None:
    runtime = SimulatedRuntime(Constant(1.0), Chances(failing=1.0, fail_at=0.9))
    await runtime.open(lambda _: None)
    await runtime.start_step(work("a", 1e6), 0)
    await runtime.stop("a", 0.0)
    found = await runtime.observe("a")
    assert found is not None
    assert [step.exit_code for step in found.steps] == [143]
    await runtime.close()


@pytest.mark.parametrize("fails_at", [0.0, None])
@on_virtual_time
async def test_what_has_no_work_fails_at_once(fails_at: float | None) -> None:
    runtime = SimulatedRuntime(Drawn(), Chances(failing=1.0, fail_code=7, fail_at=fails_at))
    await runtime.open(lambda _: None)
    await runtime.start_step(work("a", 0.0 if fails_at is None else 5.0), 0)
    found = await runtime.observe("a")
    assert found is not None
    assert found.steps[-1].exit_code == 7
    await runtime.close()


@on_virtual_time
async def test_without_power_all_stands_still_and_goes_on_with_it() -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    runtime = SimulatedRuntime(trace_of(["seconds,watts", "0,10", "0.05,0", "0.25,10", "0.45,10"], "t"))
    await runtime.open(told.put_nowait)
    began_s = asyncio.get_running_loop().time()
    await runtime.start_step(work("a", 1.0), 0)
    await told.get()
    assert asyncio.get_running_loop().time() - began_s == pytest.approx(0.3, abs=1e-3)
    await runtime.close()


def _timers(runtime: SimulatedRuntime) -> int:
    """Those of the runtime that wait, among others."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    waiting = [due for _, _, due in loop.universe._heap if isinstance(due, VirtualTimer) and not due.over]
    return sum(timer._callback == runtime._look for timer in waiting)
