"""Children are restarted, stopped in order, and never outlive whoever supervises them."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from signal import SIGKILL, SIGTERM

import psutil
import pytest
import pytest_asyncio

from datamodel.errors import Transient
from deploy.local.child import Child
from deploy.local.logfile import LIMIT_BYTES
from deploy.local.supervisor import Supervisor
from tests.waiting import until

OBEDIENT = "import signal; signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"


def program(name: str, code: str, *, stop_timeout_s: float = 10.0) -> Child:
    return Child(name, (sys.executable, "-c", code), dict(os.environ), stop_timeout_s=stop_timeout_s)


@pytest_asyncio.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    async with Supervisor(tmp_path / "logs") as supervisor:
        yield supervisor


async def launched(supervisor: Supervisor, *children: Child) -> list[int]:
    supervisor.launch(*children)
    await supervisor.until_ready(timeout_s=30.0)
    pids = [supervisor.pid(child.name) for child in children]
    return [pid for pid in pids if pid is not None]


async def test_a_child_that_is_killed_is_started_again(supervisor: Supervisor, tmp_path: Path) -> None:
    (pid,) = await launched(supervisor, program("one", OBEDIENT))
    os.kill(pid, SIGKILL)
    await until(lambda: supervisor.pid("one") not in {None, pid})
    assert "exited with -9; starting again in 0.2 s" in (tmp_path / "logs" / "one.log").read_text()


async def test_a_child_that_cannot_start_is_named_with_the_end_of_its_log(supervisor: Supervisor) -> None:
    async def never() -> bool:
        return False

    code = "raise SystemExit('the disk is on fire')"
    supervisor.launch(Child("broken", (sys.executable, "-c", code), dict(os.environ), ready=never))
    with pytest.raises(Transient, match=r"(?s)not ready after 1 s: broken.*the disk is on fire"):
        await supervisor.until_ready(timeout_s=1)


async def test_groups_stop_in_the_reverse_order_of_their_launch(supervisor: Supervisor, tmp_path: Path) -> None:
    ends = tmp_path / "ends"
    code = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
print("up", flush=True)
signal.sigwait({signal.SIGTERM})
open(sys.argv[1], "a").write(sys.argv[2])
"""
    for name in "abc":
        argv = (sys.executable, "-c", code, str(ends), name)
        log = tmp_path / "logs" / f"{name}.log"

        supervisor.launch(Child(name, argv, dict(os.environ)))
        await until(lambda log=log: log.exists() and "up" in log.read_text())  # type: ignore[misc]
    await supervisor.stop()
    assert ends.read_text() == "cba"


async def test_a_child_that_does_not_obey_is_killed(supervisor: Supervisor, tmp_path: Path) -> None:
    (pid,) = await launched(supervisor, program("deaf", STUBBORN, stop_timeout_s=0.2))
    await until(lambda: "deaf" in (tmp_path / "logs" / "deaf.log").read_text())
    await supervisor.stop()
    assert not psutil.pid_exists(pid)


async def test_a_child_that_ends_by_itself_says_how_it_failed(supervisor: Supervisor) -> None:
    await supervisor.run(program("fine", "pass"), timeout_s=30.0)
    with pytest.raises(Transient, match=r"(?s)failing exited with 1.*no such table"):
        await supervisor.run(program("failing", "raise SystemExit('no such table')"), timeout_s=30.0)
    with pytest.raises(Transient, match=r"slow is not done after 0.2 s"):
        await supervisor.run(program("slow", OBEDIENT), timeout_s=0.2)


async def test_a_long_log_gives_way_to_a_new_one_at_the_next_start(supervisor: Supervisor, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "one.log"
    with log.open("wb") as file:
        file.truncate(LIMIT_BYTES + 1)
    await supervisor.run(program("one", "print('hello')"), timeout_s=30.0)
    assert log.read_text() == "hello\n"
    assert log.with_name("one.log.1").stat().st_size == LIMIT_BYTES + 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals the children of a process that dies")
@pytest.mark.parametrize("signal", [SIGKILL, SIGTERM])
async def test_children_do_not_outlive_a_supervisor_that_dies(tmp_path: Path, signal: int) -> None:
    code = f"""
import asyncio, pathlib, sys
from deploy.local.child import Child
from deploy.local.supervisor import Supervisor

async def main():
    async with Supervisor(pathlib.Path({str(tmp_path)!r})) as supervisor:
        supervisor.launch(*(Child(name, (sys.executable, "-c", {OBEDIENT!r}), {{}}) for name in "ab"))
        await supervisor.until_ready(timeout_s=30.0)
        print(supervisor.pid("a"), supervisor.pid("b"), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    pids = [int(word) for word in (await process.stdout.readline()).split()]
    assert len(pids) == 2
    process.send_signal(signal)
    await process.communicate()
    await until(lambda: not any(psutil.pid_exists(pid) for pid in pids))
