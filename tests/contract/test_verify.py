"""Verification: a store that was only ever appended to is clean, and one that was tampered with is not."""

from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from msgspec import structs

from datamodel.command import Command
from datamodel.ledger import Totals
from datamodel.memory import MemoryStore
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.ports import Store
from datamodel.postgres.store import PostgresStore
from datamodel.verify import DIFFERENCES_LIMIT, verify
from tests.graph import JOBS, SYSTEM, done, job, new_edge, new_job, place, present, report, send

EDGE_PATH = "/inventory/sites/s/edges/e"


async def busy(store: Store) -> Node:
    """A job with an attempt that runs, after a history of everything that can happen."""
    await new_edge(store)
    gone = await new_job(store, "gone")
    for labels in ({"a": "1", "b": "2"}, {"b": "3", "c": "4"}):
        await done(store, Command("patchSpec", gone.path, {}, labels=labels))
    attempt = await place(store, gone)
    await done(store, Command("delete", gone.path))
    await done(store, Command("finalize", gone.path, {"finalizer": "attempts"}), actor=SYSTEM)
    await report(store, attempt, phase="succeeded")
    await done(store, Command("delete", attempt), actor=SYSTEM)
    node = await new_job(store, chunks=3)
    for labels in ({"a": "1", "b": "2"}, {"b": "3"}):
        await done(store, Command("patchSpec", node.path, {}, labels=labels))
    await report(store, await place(store, node), phase="failed")
    await report(store, await place(store, node, epoch=2), phase="succeeded", outputs={"n": 1.0})
    await report(store, await place(store, node, 1), phase="running", percent=33.3)
    await send(store, job(), job("refused"))
    return node


async def test_a_store_is_the_fold_of_its_log(store: Store) -> None:
    await busy(store)
    for swept in (False, True):
        found = await verify(store)
        assert found.clean, str(found)
        assert found.head == await store.head()
        assert found.nodes == await store.count_nodes()
        assert str(found).endswith("the projection is the fold of the log")
        assert swept or await store.sweep(100) == 1


async def test_a_snapshot_stays_where_it_is_while_the_store_moves_on(store: Store) -> None:
    await new_job(store, "before")
    async with store.snapshot() as snapshot:
        await new_job(store, "after")
        paths = [path async for path, _ in snapshot.nodes()]
        events = [event async for event in snapshot.events()]
    assert (f"{JOBS}/before" in paths, f"{JOBS}/after" in paths) == (True, False)
    assert events[-1].position == snapshot.head.position == (await store.head()).position - 1


async def test_of_many_differences_the_first_are_kept(memory: MemoryStore) -> None:
    await done(memory, *(job(f"j{number}") for number in range(DIFFERENCES_LIMIT)))
    memory.state.nodes.clear()
    found = await verify(memory)
    assert found.found > len(found.differences) == DIFFERENCES_LIMIT
    assert str(found).endswith("more")


def _tamper(column: str, value: object) -> Callable[[MemoryStore, Node], None]:
    def tamper(store: MemoryStore, node: Node) -> None:
        store.state.nodes[node.path] = structs.replace(store.state.nodes[node.path], **{column: value})

    return tamper


def _tamper_with_entry(store: MemoryStore, node: Node) -> None:
    store.state.entries[node.uid, 0] = structs.replace(store.state.entries[node.uid, 0], failures=0)


@pytest.mark.parametrize(
    ("tamper", "named"),
    [
        (_tamper("status", {"phase": "running"}), "node /config"),
        (_tamper("version", 1), "version: 1 is stored"),
        (_tamper("links", {"job": ("x",)}), "link ('/config"),
        (lambda store, node: store.state.nodes.pop(node.path), "is not stored"),
        (lambda store, _: store.state.pools.update({EDGE_PATH: Pool({"cpu": 1}, {})}), f"pool {EDGE_PATH}"),
        (lambda store, node: store.state.totals.update({node.uid: Totals({"placed": 9})}), "totals"),
        (lambda store, node: store.state.totals.update({"ghost": Totals({"placed": 9})}), "totals ghost"),
        (_tamper_with_entry, "failures: 0 is stored, 1 follows"),
        (lambda store, node: store.state.entries.pop((node.uid, 1)), "entry"),
    ],
)
async def test_tampering_in_memory_is_found(
    memory: MemoryStore, tamper: Callable[[MemoryStore, Node], object], named: str
) -> None:
    tamper(memory, await busy(memory))
    found = await verify(memory)
    assert not found.clean
    assert named in str(found)


@pytest.fixture
def tampered(postgres: PostgresStore, database_url: str) -> Callable[[str], Awaitable[str]]:
    """Runs a statement behind the store's back and returns the report."""

    async def tamper(statement: str) -> str:
        await busy(postgres)
        connection = await asyncpg.connect(database_url)
        try:
            assert not (await connection.execute(statement)).endswith(" 0"), "the statement changed something"
        finally:
            await connection.close()
        found = await verify(postgres)
        assert not found.clean
        return str(found)

    return tamper


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE nodes SET status = '{\"phase\": \"failed\"}' WHERE kind = 'Job'", "status"),
        ("UPDATE nodes SET phase = 'failed' WHERE kind = 'Job'", "phase /config"),
        ("UPDATE nodes SET finalizers = '{}' WHERE kind = 'Job'", "finalizers"),
        ("UPDATE nodes SET uid = 'x' WHERE kind = 'Job'", "uid"),
        ("DELETE FROM nodes WHERE kind = 'Job'", "is not stored"),
        ("DELETE FROM links", "link ("),
        ("DELETE FROM facets WHERE path = (SELECT min(path) FROM facets)", "facet ('/config"),
        ("UPDATE facets SET value = 'failed' WHERE facet = 'status.phase'", "facet ("),
        ("INSERT INTO facets VALUES ('/a', 'label:x', 'Job', 'y')", "facet ('/a', 'label:x')"),
        ("INSERT INTO links VALUES ('/a', 'job', 'x')", "link ('/a', 'job')"),
        ("UPDATE pools SET used = '{}'", f"pool {EDGE_PATH}"),
        ("UPDATE totals SET progress = progress + 1", "progress"),
        ('DELETE FROM ledger WHERE "index" = 1', "entry"),
        ("UPDATE ledger SET outputs = '{\"n\":2}' WHERE outputs IS NOT NULL", "outputs"),
        ("INSERT INTO ledger VALUES ('ghost', 0, 1, 'placed', '/x', 0, 0)", "entry ('ghost', 0)"),
        ("DELETE FROM events WHERE position = 3", "event 4: follows 2"),
        ("DELETE FROM events WHERE position = (SELECT max(position) FROM events)", "head: stands at"),
        ("UPDATE events SET at = 'epoch' WHERE position = 9", "event 9: is older"),
        ("UPDATE events SET part = '{\"spec\": {}}' WHERE path = '/config/scheduler'", "/config/scheduler"),
        ("UPDATE events SET path = '/config/job-groups/none/jobs/j' WHERE kind = 'Job'", "its parent does not exist"),
    ],
)
async def test_tampering_with_the_database_is_found(
    tampered: Callable[[str], Awaitable[str]], statement: str, named: str
) -> None:
    assert named in await tampered(statement)


async def test_a_reader_that_writes_into_what_it_read_is_found_out(memory: MemoryStore) -> None:
    node = await new_job(memory)
    (await present(memory, node.path)).spec["retries"] = 99
    found = await verify(memory)
    assert "spec" in str(found)
