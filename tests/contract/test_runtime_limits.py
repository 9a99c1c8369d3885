"""What the process runtime limits where it may make groups of cgroup v2, with a sandbox and without."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agents.runtimes.process.cgroup import clear, group_name
from agents.runtimes.process.delegation import delegate
from agents.runtimes.process.identity import alive, send
from agents.runtimes.process.record import read
from agents.runtimes.process.runtime import ProcessRuntime
from agents.runtimes.protocol import Step, StepState, Work
from agents.runtimes.reasons import OOM_KILLED
from tests.waiting import until

MEMORY_BYTES = 64 * 1024 * 1024
GROW = "awk 'BEGIN { s = \"x\"; while (1) s = s s }'"
WAIT_S = 60.0

_AGENT = """
import pathlib, sys
from agents.runtimes.process.delegation import delegate

(pathlib.Path(sys.argv[1]) / "cgroup.procs").write_text("0")
first, again = delegate(), delegate()
print(first.group, again.group, pathlib.Path("/proc/self/cgroup").read_text().strip().rpartition("/")[2])
"""


@pytest.fixture(params=["bare", "in a sandbox"])
async def runtime(request: pytest.FixtureRequest, groups: Path, tmp_path: Path) -> AsyncIterator[ProcessRuntime]:
    bwrap = request.getfixturevalue("bubblewrap") if request.param == "in a sandbox" else None
    runtime = ProcessRuntime(site="site", edges=["edge"], state_dir=tmp_path / "state", bwrap=bwrap, groups=groups)
    await runtime.open(lambda _: None)
    yield runtime
    for found in await runtime.discover():
        await runtime.remove(found.attempt)
    await runtime.close()


def work(script: str, *, cpu: float = 0.0, memory_bytes: int = 0) -> Work:
    steps = (Step("step", "", script),)
    return Work("site", "edge", f"attempt-{os.getpid()}", steps, {}, cpu=cpu, memory_bytes=memory_bytes)


async def ended(runtime: ProcessRuntime, work: Work) -> StepState:
    async with asyncio.timeout(WAIT_S):
        while True:
            found = await runtime.observe(work.attempt)
            if found is not None and found.steps[-1].phase != "running":
                return found.steps[-1]
            await asyncio.sleep(0.02)


async def test_more_memory_than_was_asked_for_is_an_end_with_a_reason(runtime: ProcessRuntime) -> None:
    one = work(GROW, memory_bytes=MEMORY_BYTES)
    await runtime.start_step(one, 0)
    end = await ended(runtime, one)
    assert (end.phase, end.exit_code, end.reason) == ("exited", 137, OOM_KILLED)


async def test_a_part_of_a_step_that_grows_takes_the_whole_step_with_it(runtime: ProcessRuntime) -> None:
    one = work(f"{GROW} || sleep 1000", memory_bytes=MEMORY_BYTES)
    await runtime.start_step(one, 0)
    assert (await ended(runtime, one)).reason == OOM_KILLED


async def test_what_a_step_fails_with_by_itself_is_not_for_lack_of_memory(runtime: ProcessRuntime) -> None:
    one = work("exit 137", memory_bytes=MEMORY_BYTES)
    await runtime.start_step(one, 0)
    end = await ended(runtime, one)
    assert (end.exit_code, end.reason) == (137, "")


async def test_a_fork_bomb_ends_at_the_limit(runtime: ProcessRuntime, groups: Path) -> None:
    one = work("bomb() { bomb | bomb & }; bomb; sleep 1000")
    await runtime.start_step(one, 0)
    events = groups / group_name(one.attempt, 0) / "pids.events"
    await until(lambda: "max 0" not in events.read_text().splitlines(), timeout_s=WAIT_S)
    await runtime.stop(one.attempt, 0.1)
    await until(lambda: not events.parent.exists())


async def test_a_step_gets_no_more_of_the_processor_than_it_asked_for(runtime: ProcessRuntime, groups: Path) -> None:
    one = work("while :; do :; done", cpu=0.1)
    await runtime.start_step(one, 0)
    usage = groups / group_name(one.attempt, 0) / "cpu.stat"

    def throttled() -> bool:
        stat = dict(line.split(" ") for line in usage.read_text().splitlines())
        return int(stat["nr_throttled"]) >= 5

    await until(throttled, timeout_s=WAIT_S)


async def test_nothing_is_left_of_a_group_when_its_step_has_ended(runtime: ProcessRuntime, groups: Path) -> None:
    one = work("true")
    await runtime.start_step(one, 0)
    await ended(runtime, one)
    await until(lambda: not (groups / group_name(one.attempt, 0)).exists())


async def test_a_step_whose_shim_was_killed_leaves_nothing_behind(
    runtime: ProcessRuntime, groups: Path, tmp_path: Path
) -> None:
    one = work("for i in 1 2 3; do setsid sleep 1000 & done; sleep 1000")
    await runtime.start_step(one, 0)
    record = read(str(tmp_path / "state" / one.attempt / "step-0.json"))
    assert record is not None
    send(record.shim, signal.SIGKILL)
    await until(lambda: not alive(record.shim))
    group = groups / group_name(one.attempt, 0)
    assert await asyncio.to_thread(group.exists)
    await runtime.remove(one.attempt)
    assert not await asyncio.to_thread(group.exists)


def test_an_agent_that_is_started_again_finds_the_same_place(groups: Path) -> None:
    assert delegate().group == groups


def test_a_group_that_is_gone_is_cleared(groups: Path) -> None:
    clear(str(groups / "never-was"))


async def test_an_agent_alone_in_its_group_moves_below_it_and_divides_it(groups: Path) -> None:
    unit = groups / f"unit-{os.getpid()}"
    await asyncio.to_thread(unit.mkdir)
    agent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _AGENT, str(unit)), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    told, _ = await agent.communicate()
    assert told.decode().split() == [str(unit), str(unit), "agent"]
    await asyncio.to_thread((unit / "agent").rmdir)
    await asyncio.to_thread(unit.rmdir)
