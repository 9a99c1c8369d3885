"""Watching a store: silent while it is only appended to, and what is changed behind its back is told."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from itertools import count
from typing import Any

import asyncpg
import pytest
from msgspec import structs

from datamodel.command import Command
from datamodel.memory import MemoryStore
from datamodel.ports import Snapshot, Snapshots, Store
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from datamodel.watch import SHOWN, Watch
from tests.contract.test_verify import busy
from tests.graph import JOBS, SYSTEM, USER, done, job, memory_store, new_edge, new_job, place, report

GROUP = "/config/job-groups/default"


class Watched:
    """A watch, and the lines that it said."""

    def __init__(self, store: Snapshots) -> None:
        self.lines: list[str] = []
        self.watch = Watch(store, self.lines.append)

    async def look(self) -> list[str]:
        """The lines of one more look."""
        said = len(self.lines)
        await self.watch.look()
        return self.lines[said:]


async def test_a_watch_is_silent_on_what_is_appended(store: Store) -> None:
    watched = Watched(store)
    (verified,) = await watched.look()
    assert verified.endswith("the projection is the fold of the log")
    node = await busy(store)
    assert await watched.look() == []
    await report(store, await place(store, node, 2), phase="running", percent=3)
    await store.sweep(100)
    assert await watched.look() == []
    await done(store, Command("delete", node.path))
    await done(store, Command("finalize", node.path, {"finalizer": "attempts"}), actor=SYSTEM)
    assert await watched.look() == []
    assert watched.watch.found == 0


async def test_a_watch_may_begin_with_a_log_that_is_long_already(store: Store) -> None:
    node = await busy(store)
    watched = Watched(store)
    await watched.look()
    await report(store, await place(store, node, 2), phase="failed")
    assert await watched.look() == []


async def test_of_many_violations_the_first_are_told_and_all_are_counted(memory: MemoryStore) -> None:
    watched = Watched(memory)
    await watched.look()
    await done(memory, *(job(f"j{number}") for number in range(SHOWN)))
    memory.state.nodes.clear()
    lines = await watched.look()
    assert len(lines) == SHOWN + 1
    assert lines[-1].endswith("more")
    assert watched.watch.found > SHOWN


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"status": {"phase": "running"}}, "status"),
        ({"generation": 7}, "generation"),
        ({"links": {"job": ("x",)}}, "links"),
    ],
)
async def test_a_row_that_does_not_follow_is_told_once_it_is_touched(
    memory: MemoryStore, changes: dict[str, Any], named: str
) -> None:
    node = await new_job(memory)
    watched = Watched(memory)
    await watched.look()
    memory.state.nodes[node.path] = structs.replace(memory.state.nodes[node.path], **changes)
    assert await watched.look() == []
    await done(memory, Command("apply", node.path, node.spec, labels={"a": "b"}), actor=USER)
    lines = await watched.look()
    assert lines
    assert all(line.startswith("VIOLATION ") and node.path in line for line in lines)
    assert named in lines[0]
    assert watched.watch.found == len(lines)


class Replaceable:
    """A database that may be restored between two looks."""

    model = MODEL

    def __init__(self, store: MemoryStore) -> None:
        self.store = store

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        return self.store.snapshot()


async def test_a_store_that_went_back_or_is_another_is_begun_anew() -> None:
    longer, shorter = memory_store(), MemoryStore(MODEL, lambda: datetime.now(UTC), (f"{n:032x}" for n in count(999)))
    for store in (longer, shorter):
        await seed(store)
    await done(longer, job("a"), job("b"))
    database = Replaceable(longer)
    watched = Watched(database)
    await watched.look()

    database.store = shorter
    (line,) = await watched.look()
    assert line.startswith("this is another database than before, beginning anew: its log ends at")
    (line,) = await watched.look()
    assert line.startswith(f"position {(await shorter.head()).position}, ")
    await done(shorter, job("c"))
    assert await watched.look() == []

    database.store = longer
    (line,) = await watched.look()
    assert "beginning anew: its event" in line
    (line,) = await watched.look()
    assert line.startswith(f"position {(await longer.head()).position}, ")
    assert watched.watch.found == 0


@pytest.fixture
def behind_its_back(postgres: PostgresStore, database_url: str) -> Callable[[str], Awaitable[None]]:
    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(database_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    return execute


APPENDED = (
    "WITH h AS (UPDATE head SET position = position + 1 RETURNING position, at)"
    " INSERT INTO events (position, id, at, op, path, uid, kind, part, actor, cause, correlation)"
    " SELECT h.position, 'forged', h.at, '{op}', n.path, n.uid, n.kind, '{part}', 'x', '', ''"
    " FROM h, nodes n WHERE n.path = '{path}'"
)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (APPENDED.format(op="labelsChanged", part='{"labels": {"a": "1"}}', path=GROUP), "version"),
        (APPENDED.format(op="labelsChanged", part='{"labels": {}}', path=GROUP), "nothing differs"),
        (APPENDED.format(op="deleted", part="{}", path=GROUP), "live below it"),
        ("UPDATE head SET position = position + 1", "head: stands at"),
        ("DELETE FROM events WHERE position = (SELECT position FROM head)", "beginning anew: its event"),
    ],
)
async def test_what_is_written_behind_the_back_of_the_store_is_told(
    postgres: PostgresStore, behind_its_back: Callable[[str], Awaitable[None]], statement: str, named: str
) -> None:
    await new_edge(postgres)
    await new_job(postgres)
    watched = Watched(postgres)
    await watched.look()
    await behind_its_back(statement)
    assert named in "\n".join(await watched.look())


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE nodes SET phase = 'failed' WHERE path = '{path}'", "phase /config"),
        ("UPDATE nodes SET generation = 9 WHERE path = '{path}'", "generation"),
        ("UPDATE nodes SET created_at = 'epoch' WHERE path = '{path}'", "created_at"),
        ("INSERT INTO links VALUES ('{path}', 'job', 'x')", "links /config"),
        ("UPDATE pools SET capacity = '{{}}'", "pool /inventory"),
        ("UPDATE totals SET progress = progress + 1", "totals"),
        ("UPDATE ledger SET failures = failures + 1", "failures"),
        ("UPDATE ledger SET outputs = '{{\"n\": 2}}'", "outputs"),
        ("DELETE FROM ledger", "is not stored"),
    ],
)
async def test_a_corrupted_row_is_told_once_it_is_touched(
    postgres: PostgresStore, behind_its_back: Callable[[str], Awaitable[None]], statement: str, named: str
) -> None:
    """Between the look at its last event and the corruption it is touched by an event of which the corruption is part."""
    await new_edge(postgres)
    node = await new_job(postgres, chunks=2)
    watched = Watched(postgres)
    await watched.look()
    await report(postgres, await place(postgres, node), phase="running", percent=5)
    await done(postgres, Command("apply", node.path, node.spec, labels={"a": "b"}))
    await behind_its_back(statement.format(path=f"{JOBS}/j"))
    assert named in "\n".join(await watched.look())
