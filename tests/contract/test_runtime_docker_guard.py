"""The guard over leased attempts at a Docker engine: it ends them at their lease's end, whether or not their agent is there."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import docker
import pytest

from agents.runtimes.docker import guard
from agents.runtimes.docker.runtime import DockerRuntime
from agents.runtimes.process import lease
from agents.runtimes.protocol import Step, Work
from agents.runtimes.reasons import LEASE_OVER
from datamodel.scheduling.leases import GUARD_S
from tests.containers import clear
from tests.services import IMAGE
from tests.waiting import eventually, until

SITE, LEASE_S = "site-docker-guard", 6.0
pytestmark = pytest.mark.docker

_AGENT = """
import asyncio, pathlib, sys, time
from agents.runtimes.docker.runtime import DockerRuntime
from agents.runtimes.protocol import Step, Work

async def main() -> None:
    site, home, image, lease_s = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])
    runtime = DockerRuntime(site=site, edges=["edge"], leases=home / "leases")
    await runtime.open(lambda attempt: None)
    await runtime.lease("guarded", time.clock_gettime(time.CLOCK_BOOTTIME) + lease_s)
    work = Work(site, "edge", "guarded", (Step("run", image, "trap '' TERM; sleep 600"),), {}, lease_s=lease_s)
    while (found := await runtime.observe("guarded")) is None or not found.steps:
        await runtime.start_step(work, 0)
    print("started", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
async def runtime(docker_engine: docker.DockerClient, tmp_path: Path) -> AsyncIterator[DockerRuntime]:
    runtime = DockerRuntime(site=SITE, edges=["edge"], leases=tmp_path / "leases")
    await runtime.open(lambda _: None)
    await clear(runtime)
    yield runtime
    await clear(runtime)
    await runtime.close()


async def test_it_outlives_a_killed_agent_and_ends_the_container(runtime: DockerRuntime, tmp_path: Path) -> None:
    agent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _AGENT, SITE, str(tmp_path), IMAGE, str(LEASE_S)),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert agent.stdout is not None
    await asyncio.wait_for(agent.stdout.readuntil(b"started"), 30)
    leases = tmp_path / "leases"
    until_s = lease.now_s() + lease.left_s(str(leases / "guarded"))
    os.kill(agent.pid, signal.SIGKILL)
    await agent.wait()
    (found,) = await runtime.discover()
    assert found.steps[0].phase == "running"

    async def is_over() -> bool:
        seen = await runtime.observe("guarded")
        return seen is not None and seen.steps[0].phase == "exited"

    await eventually(is_over, timeout_s=LEASE_S + 20)
    assert until_s <= lease.now_s() < until_s + 2 * GUARD_S
    (found,) = await runtime.discover()
    assert (found.steps[0].exit_code, found.steps[0].reason) == (137, LEASE_OVER)
    await runtime.remove("guarded")
    await until(lambda: not guard._is_guarded(leases))
    assert {path.name for path in leases.iterdir()} == {guard.LOCK}


async def test_the_next_agent_moves_the_end_on_and_a_dead_guard_is_followed_by_another(
    runtime: DockerRuntime, tmp_path: Path
) -> None:
    leases = tmp_path / "leases"
    assert runtime.guards
    assert not leases.exists()
    first_s = lease.now_s() + 12.0
    await runtime.lease("guarded", first_s)
    assert guard._is_guarded(leases)
    work = Work(SITE, "edge", "guarded", (Step("run", IMAGE, "sleep 600"),), {}, lease_s=12.0)
    await runtime.start_step(work, 0)
    (pid,) = _guards(leases)
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not guard._is_guarded(leases))
    await runtime.lease("guarded", first_s + 8.0)
    assert guard._is_guarded(leases)
    assert _guards(leases) != [pid]
    await until(lambda: lease.now_s() > first_s + GUARD_S, timeout_s=30)
    found = await runtime.observe("guarded")
    assert found is not None
    assert found.steps[0].phase == "running"

    async def is_over() -> bool:
        seen = await runtime.observe("guarded")
        return seen is not None and seen.steps[0].reason == LEASE_OVER

    await eventually(is_over, timeout_s=30.0)


async def test_what_is_stopped_or_ends_by_itself_is_not_its_doing(runtime: DockerRuntime) -> None:
    await runtime.lease("guarded", lease.now_s() + 60.0)
    work = Work(SITE, "edge", "guarded", (Step("run", IMAGE, "trap '' TERM; sleep 600"),), {}, lease_s=60.0)
    await runtime.start_step(work, 0)
    await runtime.stop("guarded", 0.0)
    found = await runtime.observe("guarded")
    assert found is not None
    assert (found.steps[0].exit_code, found.steps[0].reason) == (137, "")


def _guards(leases: Path) -> list[int]:
    """The processes that guard it."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                command = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if b"agents.runtimes.docker.guard" in command and str(leases).encode() in command:
                found.append(int(process.name))
    return found


async def test_what_was_never_begun_is_forgotten_in_the_end(runtime: DockerRuntime, tmp_path: Path) -> None:
    leases = tmp_path / "leases"
    leases.mkdir()
    (leases / "never").write_text("{}")
    guard._end([leases / "never"], [])
    assert (leases / "never").exists(), "it may be about to begin"
    work = Work(SITE, "edge", "guarded", (Step("run", IMAGE, "sleep 600"),), {})
    await runtime.start_step(work, 0)
    (leases / "guarded").write_text("{}")
    both = [leases / "never", leases / "guarded"]
    await asyncio.to_thread(guard._end, both, both)
    assert [path.name for path in guard._listed(leases)] == ["guarded"]
    found = await runtime.observe("guarded")
    assert found is not None
    assert (found.steps[0].phase, found.steps[0].reason) == ("exited", LEASE_OVER)
