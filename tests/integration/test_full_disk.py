"""An agent whose outbox is on a disk that fills up: it begins nothing new, loses no report, and goes on once there is room."""

import asyncio
import os
import resource
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from agents.health import Health
from agents.loop import Agent
from agents.outbox import Outbox
from agents.runtimes.simulated import SimulatedRuntime
from agents.runtimes.supply import Constant
from agents.sqlite_journal import SqliteJournal
from datamodel.ports import Message
from tests.integration.test_agent_alone import NAME, Alone, message
from tests.waiting import eventually, until

OTHER = "b-0-1"
SOON_S = 15.0
"""What could not be begun or told is tried again after 10 s at most."""


class Small:
    """A file system of a megabyte: full, it refuses with ENOSPC."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def fill(self) -> None:
        with (self.home / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                return

    def empty(self) -> None:
        (self.home / "filler").unlink()


class Limited:
    """How large this process may make a file is limited: beyond, it refuses as a quota would."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def fill(self) -> None:
        largest = max(file.stat().st_size for file in self.home.iterdir())
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest // 4096 * 4096 // 2, hard))

    def empty(self) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


Disk = Small | Limited


@pytest.fixture(params=["small", "limited"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    if request.param == "limited":
        limited = Limited(tmp_path)
        yield limited
        limited.empty()
        return
    if os.geteuid() != 0:
        pytest.skip("a small file system is mounted by root only")
    mount = tmp_path / "small"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tendril", str(mount)], check=False).returncode:
        pytest.skip("no file system may be mounted here")
    yield Small(mount)
    subprocess.run(["umount", "-l", str(mount)], check=True)


@asynccontextmanager
async def running(disk: Disk, runtime: SimulatedRuntime) -> AsyncIterator[Alone]:
    """An agent that is killed in the end; what its runtime has outlives it."""
    journal = SqliteJournal(disk.home / "outbox.sqlite", room_bytes=0)
    outbox = Outbox(journal)
    await outbox.__aenter__()
    agent = Agent(runtime, outbox, [])
    task = asyncio.create_task(agent.run())
    try:
        yield Alone(agent, outbox, runtime)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert journal._connection is not None
        journal._connection.close()
        journal._thread.shutdown()


def other() -> Message:
    found = message()
    return msgspec.structs.replace(found, path=found.path.replace(NAME, OTHER))


async def test_a_full_disk_begins_nothing_new_and_loses_no_end(disk: Disk) -> None:
    runtime = SimulatedRuntime(Constant(100.0))
    async with running(disk, runtime) as one:
        one.show(message(work_ws=50.0))
        await until(lambda: one.told == ["running"])
        disk.fill()
        await eventually(lambda: refuses(one.outbox))
        one.show(message("running", work_ws=50.0), other())
        await asyncio.sleep(1.0)  # it ends meanwhile
        assert one.told == ["running"]
        assert set(runtime._attempts) == {NAME}, "the one is kept until it is told, the other not begun"
        disk.empty()
        await one.outbox.check()
        assert not one.outbox.trouble
        await until(lambda: one.told.count("succeeded") == 2, timeout_s=SOON_S)
        await until(lambda: not runtime._attempts)
        numbers = [number for number, _ in one.outbox.pending]
        assert numbers == list(range(1, len(numbers) + 1))
    await runtime.close()


async def test_what_ended_while_the_disk_was_full_is_found_by_the_next_agent(disk: Disk) -> None:
    runtime = SimulatedRuntime(Constant(100.0))
    async with running(disk, runtime) as one:
        one.show(message(work_ws=20.0))
        await until(lambda: one.told == ["running"])
        disk.fill()
        await asyncio.sleep(0.5)
        assert one.told == ["running"]
    disk.empty()
    async with running(disk, runtime) as one:
        one.show(message("running", work_ws=20.0))
        await until(lambda: one.told == ["running", "succeeded"])
    await runtime.close()


async def refuses(outbox: Outbox) -> bool:
    await outbox.check()
    return bool(outbox.trouble)


async def test_little_room_is_trouble_before_it_is_none(tmp_path: Path) -> None:
    async with Outbox(SqliteJournal(tmp_path / "outbox.sqlite", room_bytes=2**62)) as outbox:
        await outbox.check()
        assert "bytes left" in outbox.trouble
        assert await outbox.add(b"an end of what runs") == 1


async def test_the_hub_is_told_when_it_can_be(disk: Disk) -> None:
    told: list[str] = []

    async def tell(trouble: str) -> None:
        told.append(trouble)

    async with Outbox(SqliteJournal(disk.home / "outbox.sqlite", room_bytes=0)) as outbox:
        health = Health(SimulatedRuntime(Constant(1.0)), outbox, tell, check_s=0.01, patience_s=0.1)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(health.run())
            await asyncio.sleep(0.3)
            assert not told
            disk.fill()
            await until(lambda: bool(health.trouble))
            assert health.engine_trouble == ""
            disk.empty()
            await until(lambda: not health.trouble)
            task.cancel()
    assert [bool(one) for one in told] == [True, False]
