"""`tendril verify --watch` as people run it: against a running system, a corrupted row, a database that goes away."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest_asyncio

from datamodel.command import Command
from datamodel.feed.access import Access
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from datamodel.watch import Watch
from tests.graph import JOBS, done, job, new_edge, new_job, place, report
from tests.hub import nats_variables, node_when, running_hub
from tests.integration.test_agent import running_agent
from tests.pair import connection, cut
from tests.services import PrivateNats
from tests.waiting import until


class Program:
    """The running program, and what it printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip())

    def said(self, words: str) -> bool:
        return any(words in line for line in self.lines)

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            return await self.process.wait()


@asynccontextmanager
async def watching(database_url: str, access: Access | None = None) -> AsyncIterator[Program]:
    """The program, from when it has verified what was there."""
    variables = {
        **os.environ,
        "TENDRIL_DATABASE_URL": database_url,
        **(nats_variables(access) if access is not None else {}),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "datamodel", "--watch", "--every", "0.2"),
        env=variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    program = Program(process)
    async with asyncio.TaskGroup() as group:
        group.create_task(program.read())
        try:
            await until(lambda: program.said("nodes: "), timeout_s=30)
            yield program
        finally:
            if process.returncode is None:
                process.kill()


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(database_url, MODEL) as store:
        yield store


async def test_it_is_silent_while_jobs_run(
    store: PostgresStore, database_url: str, server: PrivateNats, tmp_path: Path
) -> None:
    async with (
        running_hub(database_url, server.access()),
        running_agent(server, tmp_path),
        watching(database_url, server.access()) as program,
    ):
        for number in range(5):
            await done(store, job(f"j{number}", chunks=20, retries=1))
        for number in range(5):
            await node_when(store, f"{JOBS}/j{number}", lambda node: node.phase == "succeeded", timeout_s=60)
        await done(store, Command("delete", f"{JOBS}/j0"))
        end = (await store.head()).position
        await until(lambda: _followed(program, end), timeout_s=30.0)
        assert await program.stop() == 0
    assert not program.said("VIOLATION")
    assert any("; feed " in line and not line.endswith(" 0 compared") for line in program.lines)
    assert program.lines[-1] == "stopped: 0 violations"


def _followed(program: Program, position: int) -> bool:
    seen = [int(line.split()[1].strip(",:")) for line in program.lines if line.startswith("position ")]
    return bool(seen) and seen[-1] >= position


async def test_a_corrupted_row_is_reported_and_the_exit_code_says_so(store: PostgresStore, database_url: str) -> None:
    await new_edge(store)
    node = await new_job(store, chunks=2)
    path = await place(store, node)
    async with watching(database_url) as program, connection(database_url) as disturber:
        await disturber.execute("UPDATE ledger SET failures = 1")
        await disturber.execute("UPDATE nodes SET generation = 9 WHERE path = $1", node.path)
        async with PostgresStore(database_url, MODEL) as fresh:
            await done(fresh, Command("apply", node.path, node.spec, labels={"a": "b"}))
            await report(fresh, path, phase="running", percent=5)
        await until(lambda: program.said("generation: 9 is stored, 1 follows"))
        await until(lambda: program.said("failures: 1 is stored, 0 follows"))
        assert await program.stop() == 1


async def test_it_goes_on_when_the_database_is_back(store: PostgresStore, database_url: str) -> None:
    name = database_url.partition("?")[0].rpartition("/")[2]
    async with watching(database_url) as program:
        other = await asyncpg.connect(database_url, database="postgres")
        try:
            await other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            await until(lambda: program.said("the database is away: "))
            await other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
            await until(lambda: program.said("the database is back"))
        finally:
            await other.close()
        await done(store, job("later"))
        end = (await store.head()).position
        await until(lambda: _followed(program, end))
        assert await program.stop() == 0
    assert not program.said("VIOLATION")


async def test_a_look_that_was_cut_short_is_taken_up_again(store: PostgresStore, database_url: str) -> None:
    """The connections are cut before the looks, between them and within them."""
    lines: list[str] = []
    watch = Watch(store, lines.append)
    await watch.look()
    async with connection(database_url) as disturber:
        for number in range(10):
            async with PostgresStore(database_url, MODEL) as fresh:
                await done(fresh, job(f"j{number}"))
            await asyncio.gather(watch.look(), cut(disturber))
        await watch.look()
    assert not [line for line in lines if "VIOLATION" in line]
    assert watch.found == 0
