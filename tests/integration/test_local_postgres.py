"""A private Postgres: made, durable, closed to everyone else, and back after any death."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from signal import SIGKILL

import asyncpg
import psutil
import pytest
import pytest_asyncio

from datamodel.errors import Transient
from deploy.local.postgres import Postgres
from deploy.local.server_lock import ServerLock
from deploy.local.supervisor import Supervisor
from tests.waiting import until


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest_asyncio.fixture
async def supervisor(home: Path) -> AsyncIterator[Supervisor]:
    async with Supervisor(home / "logs") as supervisor:
        yield supervisor


async def answer(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_what_was_committed_survives_a_kill_and_a_restart(home: Path, supervisor: Supervisor) -> None:
    postgres = Postgres(home)
    await postgres.start(supervisor)
    await answer(postgres.url(), "CREATE TABLE kept AS SELECT 7 AS value")
    await answer(postgres.url(), "CHECKPOINT")
    pid = supervisor.pid("postgres")
    assert pid is not None
    os.kill(pid, SIGKILL)
    await until(lambda: supervisor.pid("postgres") not in {None, pid})
    await supervisor.until_ready(timeout_s=30)
    assert await answer(postgres.url(), "SELECT value FROM kept") == 7
    await supervisor.stop()

    again = Postgres(home)
    await again.start(supervisor)
    assert again.url() == postgres.url()
    assert await answer(again.url(), "SELECT value FROM kept") == 7


async def test_it_is_durable_and_private(home: Path, supervisor: Supervisor) -> None:
    postgres = Postgres(home)
    await postgres.start(supervisor)
    assert await answer(postgres.url(), "SHOW fsync") == "on"
    assert await answer(postgres.url(), "SHOW listen_addresses") == ""
    assert await answer(postgres.url(), "SHOW data_checksums") == "on"
    assert await answer(postgres.url(), "SHOW server_encoding") == "UTF8"
    assert await answer(postgres.url(), "SELECT string_agg(DISTINCT auth_method, ' ') FROM pg_hba_file_rules") == (
        "scram-sha-256"
    )
    assert postgres.socket.parent.stat().st_mode & 0o777 == 0o700
    assert (home / "postgres" / "password").stat().st_mode & 0o777 == 0o600
    password = (home / "postgres" / "password").read_text()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.url().replace(password, "guess"))
    pid = supervisor.pid("postgres")
    assert pid is not None
    assert not psutil.Process(pid).net_connections("tcp")


async def test_lock_files_that_name_another_living_process_are_stale(home: Path, supervisor: Supervisor) -> None:
    postgres = Postgres(home)
    await postgres.start(supervisor)
    lock = (home / "postgres" / "data" / "postmaster.pid").read_text()
    socket_lock = (home / "run" / ".s.PGSQL.5432.lock").read_text()
    pid = supervisor.pid("postgres")
    assert pid is not None
    assert lock.startswith(str(pid))
    await supervisor.stop()

    # As after a reboot, when some other program of this user has got the number.
    (home / "postgres" / "data" / "postmaster.pid").write_text(lock.replace(str(pid), str(os.getpid())))
    (home / "run" / ".s.PGSQL.5432.lock").write_text(socket_lock.replace(str(pid), str(os.getpid())))
    await postgres.start(supervisor)
    assert await answer(postgres.url(), "SELECT 1") == 1


async def test_the_lock_of_a_server_that_runs_is_left_to_it(home: Path, supervisor: Supervisor) -> None:
    postgres = Postgres(home)
    await postgres.start(supervisor)
    data = home / "postgres" / "data"
    with pytest.raises(Transient, match="another server still runs"):
        await ServerLock(data, postgres.socket).clear(timeout_s=0.2)
    assert (data / "postmaster.pid").exists()


async def test_an_interrupted_initialization_is_made_anew(home: Path, supervisor: Supervisor) -> None:
    half_made = home / "postgres" / "data.new" / "base"
    half_made.mkdir(parents=True)
    postgres = Postgres(home)
    await postgres.start(supervisor)
    assert await answer(postgres.url(), "SELECT current_database()") == "tendril"
    assert not half_made.exists()


async def test_a_long_path_moves_the_socket_to_a_private_directory(tmp_path: Path) -> None:
    home = tmp_path / ("long-" * 20) / "with space, comma & ünïcode"
    postgres = Postgres(home)
    async with Supervisor(home / "logs") as supervisor:
        await postgres.start(supervisor)
        assert await answer(postgres.url(), "SELECT 1") == 1
        directory = postgres.socket.parent
        assert not directory.is_relative_to(home)
        assert directory.stat().st_mode & 0o777 == 0o700
    assert not directory.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals the children of a process that dies")
async def test_no_server_is_left_when_its_supervisor_is_killed(home: Path) -> None:
    code = f"""
import asyncio, pathlib
from deploy.local.postgres import Postgres
from deploy.local.server_lock import ServerLock
from deploy.local.supervisor import Supervisor

async def main():
    home = pathlib.Path({str(home)!r})
    async with Supervisor(home / "logs") as supervisor:
        await Postgres(home).start(supervisor)
        print(supervisor.pid("postgres"), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    pid = int(await process.stdout.readline())
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    assert len(family) > 1
    process.kill()
    await process.communicate()
    await until(lambda: not any(member.is_running() for member in family))
