"""What the process runtime keeps from a step where bubblewrap works."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agents.runtimes.process.identity import alive, identify, send
from agents.runtimes.process.record import Record, read
from agents.runtimes.process.runtime import ProcessRuntime
from agents.runtimes.protocol import Step, StepState, Work
from agents.runtimes.reasons import CANNOT_START
from tests.waiting import until

WAIT_S = 20.0


@pytest.fixture
async def runtime(bubblewrap: str, tmp_path: Path) -> AsyncIterator[ProcessRuntime]:
    runtime = ProcessRuntime(site="site", edges=["edge"], state_dir=tmp_path / "state", bwrap=bubblewrap)
    await runtime.open(lambda _: None)
    yield runtime
    for found in await runtime.discover():
        await runtime.remove(found.attempt)
    await runtime.close()


def work(script: str = "", command: tuple[str, ...] = ()) -> Work:
    return Work("site", "edge", "attempt", (Step("step", "", None if command else script, command),), {})


async def ended(runtime: ProcessRuntime) -> StepState:
    async with asyncio.timeout(WAIT_S):
        while True:
            found = await runtime.observe("attempt")
            if found is not None and found.steps[-1].phase != "running":
                return found.steps[-1]
            await asyncio.sleep(0.02)


async def says(runtime: ProcessRuntime, script: str) -> str:
    """What a step tells."""
    await runtime.start_step(work(f"({script}) > $SHARED_DIR/result.json 2>&1; true"), 0)
    assert (await ended(runtime)).exit_code == 0
    return (await runtime.result("attempt") or b"").decode()


def record(tmp_path: Path) -> Record:
    found = read(str(tmp_path / "state" / "attempt" / "step-0.json"))
    assert found is not None
    return found


async def test_a_step_has_no_network_but_its_own(runtime: ProcessRuntime) -> None:
    assert (await says(runtime, "cd /sys/class/net 2>/dev/null; sed 1,2d /proc/net/dev | cut -d: -f1")).split() == [
        "lo"
    ]


async def test_a_port_of_the_host_is_not_to_be_reached(runtime: ProcessRuntime) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = f"{server.getsockname()[1]:04X}"
        assert f":{port} " in await asyncio.to_thread(Path("/proc/net/tcp").read_text)
        assert f":{port} " not in await says(runtime, "cat /proc/net/tcp")


@pytest.mark.parametrize("path", ["/etc/x", "/usr/x", "/x", "/dev/x", "/var/x", "/bin/x"])
async def test_the_hosts_files_cannot_be_written(runtime: ProcessRuntime, path: str) -> None:
    assert "Read-only file system" in await says(runtime, f"touch {path}")
    assert not await asyncio.to_thread(Path(path).exists)


@pytest.mark.parametrize("path", ["/tmp", "/var/tmp", "/dev/shm"])
async def test_directories_for_anybody_are_the_steps_own(runtime: ProcessRuntime, path: str) -> None:
    mine = Path(path) / f"tendril-test-{os.getpid()}"
    await asyncio.to_thread(mine.touch)
    try:
        assert await says(runtime, f"ls -A {path}; touch {path}/of-the-step") == ""
        assert not await asyncio.to_thread((Path(path) / "of-the-step").exists)
    finally:
        await asyncio.to_thread(mine.unlink)


async def test_a_private_directory_has_a_limit(runtime: ProcessRuntime) -> None:
    assert "No space left" in await says(runtime, "head -c 100000000 /dev/zero > /tmp/large")


@pytest.mark.parametrize("path", ["/home", "/root", "/run"])
async def test_homes_and_sockets_are_not_seen(runtime: ProcessRuntime, path: str) -> None:
    assert await says(runtime, f"ls -A {path}") == ""


async def test_a_step_sees_no_other_process_and_not_its_agents_environment(runtime: ProcessRuntime) -> None:
    # bwrap's own, the shell, its subshell, and who asks.
    pids = [int(name) for name in (await says(runtime, "ls /proc")).split() if name.isdigit()]
    assert len(pids) <= 5
    assert max(pids) < 100


@pytest.mark.parametrize(("name", "value"), [("NoNewPrivs", 1), ("CapEff", 0), ("CapBnd", 0)])
async def test_a_step_cannot_gain_anything(runtime: ProcessRuntime, name: str, value: int) -> None:
    told = await says(runtime, "cat /proc/self/status")
    fields = dict(line.split(":\t", 1) for line in told.splitlines() if ":\t" in line)
    assert int(fields[name], 16) == value


async def test_a_step_inherits_nothing_that_is_open(runtime: ProcessRuntime) -> None:
    told = await says(runtime, "exec 2>&1; ls /proc/$$/fd")
    assert set(told.split()) <= {"0", "1", "2", "10"}, "the shell keeps one of its own"


async def test_a_program_that_only_the_host_has_cannot_be_started(runtime: ProcessRuntime, tmp_path: Path) -> None:
    hidden = tmp_path / "program"
    hidden.write_text("#!/bin/sh\n")
    hidden.chmod(0o755)
    await runtime.start_step(work(command=(str(hidden),)), 0)
    end = await ended(runtime)
    assert (end.exit_code, end.reason) == (127, CANNOT_START)
    assert str(hidden) in end.message


async def test_a_step_that_writes_and_fails_as_bwrap_does_has_failed_by_itself(runtime: ProcessRuntime) -> None:
    await runtime.start_step(work("echo 'bwrap: execvp: No such file or directory' >&2; exit 1"), 0)
    end = await ended(runtime)
    assert (end.exit_code, end.reason) == (1, "")


async def test_a_step_dies_with_its_shim_and_is_shown_as_vanished(runtime: ProcessRuntime, tmp_path: Path) -> None:
    left = f"sleep {os.getpid()}9999"
    await runtime.start_step(work(f"setsid {left} & echo > $SHARED_DIR/there; {left}"), 0)
    shim, step = record(tmp_path).shim, record(tmp_path).step
    assert step is not None
    await until((tmp_path / "state" / "attempt" / "shared" / "there").exists)
    assert runs(left)
    send(shim, signal.SIGKILL)
    await until(lambda: not alive(shim) and not alive(step) and not runs(left))
    assert (await ended(runtime)).phase == "vanished"


async def test_what_is_stopped_while_its_sandbox_is_made_has_ended(runtime: ProcessRuntime) -> None:
    for attempt in map(str, range(10)):
        await runtime.start_step(Work("site", "edge", attempt, (Step("step", "", "sleep 1000"),), {}), 0)
        await runtime.stop(attempt, WAIT_S)
        found = await runtime.observe(attempt)
        assert found is not None
        assert [(step.phase, step.exit_code) for step in found.steps] == [("exited", 143)]


def runs(command: str) -> bool:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and identify(int(entry.name)) is not None:
            try:
                if (entry / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ") == command.encode():
                    return True
            except OSError:
                continue
    return False
