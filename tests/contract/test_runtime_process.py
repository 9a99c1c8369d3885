"""What only the process runtime has to stand: shims, privileges, directories that are closed to others."""

import asyncio
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agents.runtimes.process.identity import alive, identify, kill_session, send, session_members
from agents.runtimes.process.output import LIMIT_BYTES, TAIL_BYTES
from agents.runtimes.process.record import Record, claim, read, replace
from agents.runtimes.process.runtime import ProcessRuntime
from agents.runtimes.protocol import LogPage, Step, Work
from datamodel.errors import Invalid
from datamodel.scheduling import logs
from datamodel.scheduling.logs import Dropped, Part, size_of
from tests.waiting import until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="run the tests as root to see that it drops its privileges")

_AGENT = """
import asyncio, json, os, pathlib, sys
from agents.runtimes.process.runtime import ProcessRuntime
from agents.runtimes.protocol import Step, Work

async def main() -> None:
    state_dir, bwrap = pathlib.Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None
    runtime = ProcessRuntime(site="site", edges=["edge"], state_dir=state_dir, bwrap=bwrap)
    await runtime.open(lambda attempt: None)
    step = Step("wait", "", "while ! test -e $SHARED_DIR/go; do sleep 0.05; done; exit 6")
    await runtime.start_step(Work("site", "edge", "attempt", (step,), {}), 0)
    print("started", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """Under a directory that the steps' user cannot enter."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    return closed / "state"


@pytest.fixture
async def runtime(state_dir: Path) -> AsyncIterator[ProcessRuntime]:
    runtime = ProcessRuntime(site="site", edges=["edge"], state_dir=state_dir)
    await runtime.open(lambda _: None)
    yield runtime
    for found in await runtime.discover():
        await runtime.remove(found.attempt)
    await runtime.close()


def work(script: str) -> Work:
    return Work("site", "edge", "attempt", (Step("step", "", script),), {})


async def ended(runtime: ProcessRuntime) -> None:
    async with asyncio.timeout(30):
        while True:
            found = await runtime.observe("attempt")
            if found is not None and found.steps[-1].phase != "running":
                return
            await asyncio.sleep(0.02)


def record(state_dir: Path) -> Record:
    found = read(str(state_dir / "attempt" / "step-0.json"))
    assert found is not None
    return found


@pytest.mark.parametrize("sandboxed", [False, True])
async def test_an_agent_that_is_killed_is_followed_by_one_that_adopts(
    request: pytest.FixtureRequest, state_dir: Path, *, sandboxed: bool
) -> None:
    bwrap = [request.getfixturevalue("bubblewrap")] if sandboxed else []
    agent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _AGENT, str(state_dir), *bwrap),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert agent.stdout is not None
    await asyncio.wait_for(agent.stdout.readuntil(b"started"), 20)
    agent.kill()
    await agent.wait()
    told: asyncio.Queue[str] = asyncio.Queue()
    runtime = ProcessRuntime(site="site", edges=["edge"], state_dir=state_dir)
    await runtime.open(told.put_nowait)
    (found,) = await runtime.discover()
    assert found.steps[0].phase == "running"
    (state_dir / "attempt" / "shared" / "go").touch()
    assert await asyncio.wait_for(told.get(), 20) == "attempt"
    seen = await runtime.observe("attempt")
    assert seen is not None
    assert seen.steps[0].exit_code == 6
    await runtime.remove("attempt")
    await runtime.close()


@as_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux to give up a capability")
async def test_where_nothing_can_be_mounted_steps_still_share_a_directory(state_dir: Path) -> None:
    confined = await asyncio.create_subprocess_exec(
        *("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"),
        *(sys.executable, "-c", _AGENT, str(state_dir)),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert confined.stdout is not None
    await asyncio.wait_for(confined.stdout.readuntil(b"started"), 20)
    assert not record(state_dir).mounted
    elsewhere = (state_dir / "attempt" / "shared").resolve()
    (elsewhere / "go").touch()
    runtime = ProcessRuntime(site="site", edges=["edge"], state_dir=state_dir)
    await runtime.open(lambda _: None)
    await ended(runtime)
    assert record(state_dir).exit_code == 6
    await runtime.remove("attempt")
    assert not await asyncio.to_thread(elsewhere.parent.exists)
    confined.kill()
    await confined.wait()
    await runtime.close()


async def test_a_step_dies_with_its_shim_and_is_shown_as_vanished(runtime: ProcessRuntime, state_dir: Path) -> None:
    await runtime.start_step(work("sleep 1000 & setsid sleep 1000 & sleep 1000"), 0)
    shim, step = record(state_dir).shim, record(state_dir).step
    assert step is not None
    send(shim, signal.SIGKILL)
    await until(lambda: not alive(shim) and not alive(step))
    seen = await runtime.observe("attempt")
    assert seen is not None
    assert seen.steps[0].phase == "vanished"
    await runtime.stop("attempt", 1.0)
    assert session_members(step) == []


async def test_nothing_that_a_step_leaves_behind_outlives_it(runtime: ProcessRuntime, state_dir: Path) -> None:
    leave = "setsid sh -c 'echo $$ > $SHARED_DIR/left; sleep 1000' &"
    script = f"{leave} while ! test -s $SHARED_DIR/left; do sleep 0.01; done"
    await runtime.start_step(work(script), 0)
    await ended(runtime)
    assert identify(int((state_dir / "attempt" / "shared" / "left").read_text())) is None


async def test_the_first_and_the_last_of_the_output_are_kept(runtime: ProcessRuntime) -> None:
    size = 4 * LIMIT_BYTES
    await runtime.start_step(work(f"echo problem >&2; head -c {size} /dev/zero; echo bye >&2"), 0)
    await ended(runtime)
    parts: list[Part] = []
    page = LogPage("", more=True)
    while page.more:
        page = await runtime.logs("attempt", 0, page.cursor, 64 * 1024)
        parts += page.parts
    assert isinstance(parts[0], logs.Record)
    assert (parts[0].stream, parts[0].data) == ("stderr", b"problem\n")
    (dropped,) = [part for part in parts if isinstance(part, Dropped)]
    at = parts.index(dropped)
    head, tail = (sum(map(size_of, some)) for some in (parts[:at], parts[at + 1 :]))
    assert LIMIT_BYTES * 0.9 < head <= LIMIT_BYTES
    assert 0.5 * TAIL_BYTES < tail <= TAIL_BYTES
    assert head + (dropped.bytes or 0) + tail == len(b"problem\n") + size + len(b"bye\n")
    last = [part.data for part in parts[-2:] if isinstance(part, logs.Record)]
    assert b"bye\n" in last, "two pipes have no order at the end"


async def test_a_step_says_that_the_disk_did_not_take_the_end_of_its_output(runtime: ProcessRuntime) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # of any file, for the program over the step too
    try:
        await runtime.start_step(work("head -c 200000 /dev/zero"), 0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    await ended(runtime)
    seen = await runtime.observe("attempt")
    assert seen is not None
    assert seen.steps[0].is_cut
    await runtime.remove("attempt")
    await runtime.start_step(work("echo little"), 0)
    await ended(runtime)
    seen = await runtime.observe("attempt")
    assert seen is not None
    assert not seen.steps[0].is_cut


async def test_an_output_file_that_was_damaged_is_not_read_on(runtime: ProcessRuntime, state_dir: Path) -> None:
    await runtime.start_step(work("echo first"), 0)
    await ended(runtime)
    with (state_dir / "attempt" / "step-0.output").open("ab") as file:
        file.write(bytes(64))
    page = await runtime.logs("attempt", 0, "", 4096)
    assert page.parts == (Dropped(0, None),)
    assert await runtime.logs("attempt", 0, page.cursor, 4096) == LogPage(page.cursor)
    assert (await runtime.logs("attempt", 0, "no cursor", 4096)).parts == page.parts


async def test_a_step_is_no_privileged_user_and_sees_no_secret_of_the_agent(
    runtime: ProcessRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENDRIL_SECRET", "hidden")
    await runtime.start_step(work("(id -u; grep -c . /proc/self/status; env) > $SHARED_DIR/result.json"), 0)
    await ended(runtime)
    result = await runtime.result("attempt")
    assert result is not None
    assert not result.startswith(b"0\n")
    assert b"TENDRIL_SECRET" not in result


@pytest.mark.parametrize(("name", "value"), [("NoNewPrivs", 1), ("CapEff", 0), ("SigIgn", 0)])
async def test_a_step_cannot_gain_anything(runtime: ProcessRuntime, name: str, value: int) -> None:
    await runtime.start_step(work("cat /proc/self/status > $SHARED_DIR/result.json"), 0)
    await ended(runtime)
    result = await runtime.result("attempt")
    assert result is not None
    fields = dict(line.split(":\t", 1) for line in result.decode().splitlines() if ":\t" in line)
    ours = sum(1 << number - 1 for number in signal.valid_signals())  # the C library keeps two, and make ignores them
    assert int(fields[name], 16) & (ours if name == "SigIgn" else -1) == value


@as_root
async def test_the_mount_is_the_steps_alone(runtime: ProcessRuntime, state_dir: Path) -> None:
    await runtime.start_step(work("echo > $SHARED_DIR/there; sleep 1000"), 0)
    await until((state_dir / "attempt" / "shared" / "there").exists)
    assert not os.path.exists("/shared/there")  # noqa: ASYNC240, PTH110
    assert str(state_dir) not in await asyncio.to_thread(Path("/proc/self/mountinfo").read_text)


@as_root
@pytest.mark.parametrize("user", ["root", "no-such-user"])
async def test_as_root_it_refuses_to_run_steps_as_root(state_dir: Path, user: str) -> None:
    with pytest.raises(Invalid, match="never run as root"):
        await ProcessRuntime(site="site", edges=["edge"], state_dir=state_dir, user=user).open(lambda _: None)


def test_a_step_is_claimed_once(tmp_path: Path) -> None:
    me = identify(os.getpid())
    assert me is not None
    path = str(tmp_path / "step-0.json")
    assert read(path) is None
    first = Record(shim=me, started_s=1.5)
    assert claim(path, first)
    assert not claim(path, first._replace(started_s=2.5))
    assert read(path) == first
    last = first._replace(step=me, exit_code=3, finished_s=9.0, reason="r", message="m", mounted=True)
    replace(path, last)
    assert read(path) == last
    assert [entry.name for entry in tmp_path.iterdir()] == ["step-0.json"]


def test_a_pid_of_another_start_or_boot_is_another_process() -> None:
    me = identify(os.getpid())
    assert me is not None
    assert alive(me)
    for other in (me._replace(start_ticks=me.start_ticks + 1), me._replace(boot="another")):
        assert not alive(other)
        send(other, signal.SIGKILL)
        kill_session(other)


def test_a_session_that_another_leads_is_not_ours() -> None:
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as process:
        leader = identify(process.pid)
        assert leader is not None
        assert session_members(leader) == [process.pid]
        for other in (leader._replace(start_ticks=leader.start_ticks + 1), leader._replace(boot="another")):
            assert session_members(other) == []
        kill_session(leader)
