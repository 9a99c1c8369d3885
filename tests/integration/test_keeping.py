"""Backups come back as they were, and a projection is made anew while the store is in use."""

import asyncio
import gzip
import hashlib
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from msgspec import structs

from datamodel.appender import Appender
from datamodel.audit import Audit
from datamodel.command import Advance, Command, Fence
from datamodel.errors import Conflict, Fenced, Invalid, NotMigrated, Transient
from datamodel.keeping.archive import FORMER, reading
from datamodel.keeping.backup import backup
from datamodel.memory import MemoryStore
from datamodel.node import Node
from datamodel.ports import Head, Store
from datamodel.postgres.rebuild import rebuild
from datamodel.postgres.restore import restore
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from datamodel.verify import verify
from migrations.upgrade import migrate
from tests import garden, garden_later
from tests.databases import Databases
from tests.graph import SYSTEM, done, job, memory_store, new_edge, new_job, place, refusal, report, send, unit
from tests.waiting import eventually


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(database_url, MODEL) as store:
        yield store


@pytest_asyncio.fixture
async def memory() -> MemoryStore:
    store = memory_store()
    await seed(store)
    return store


@pytest_asyncio.fixture
async def new_url(databases: Databases) -> AsyncIterator[str]:
    url = await databases.create()
    yield url
    await databases.drop(url)


async def history(store: Store) -> None:
    """A job that is half done, and what was used of keys, marks and leases on the way."""
    await new_edge(store)
    node = await new_job(store, chunks=3)
    await report(store, await place(store, node), phase="succeeded", outputs={"text": "it's\\\n\u2028"})
    await report(store, await place(store, node, 1), phase="failed")
    await place(store, node, 1, 2)
    gone = await new_job(store, "gone")
    await done(store, Command("delete", gone.path))
    await done(store, Command("finalize", gone.path, {"finalizer": "attempts"}), actor=SYSTEM)
    await done(store, job("keyed"), key="k", digest="d")
    await done(store, Command("patchSpec", "/config/job-groups/default", {"description": "x"}), advance=MARK)
    await store.acquire(["shard"], "somebody", 60.0)
    await store.set_epoch(4)


MARK = Advance("agent", 0, 17)


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


async def assert_same(store: Store, original: Store) -> None:
    head = await original.head()
    assert await store.head() == head
    assert await store.events(0, head.position) == await original.events(0, head.position)
    async with store.snapshot() as here, original.snapshot() as there:
        assert [row async for row in here.nodes()] == [row async for row in there.nodes()]
        assert [row async for row in here.replays()] == [row async for row in there.replays()]
    found = await verify(store)
    assert found.clean, str(found)


async def test_a_token_is_not_given_again_by_a_store_that_was_put_back(
    store: PostgresStore, new_url: str, tmp_path: Path
) -> None:
    before = await store.acquire(["shard"], "first", 60.0)
    await backup(store, tmp_path / "backup.jsonl.gz")
    await store.release(["shard"], "first")
    since = await store.acquire(["shard"], "second", 60.0)
    with reading(tmp_path / "backup.jsonl.gz") as archive:
        await restore(new_url, MODEL, archive)
    async with PostgresStore(new_url, MODEL) as restored:
        again = await restored.acquire(["shard"], "third", 60.0)
        assert before["shard"] < since["shard"] < again["shard"]
        for token in (before["shard"], since["shard"]):
            assert refusal(await send(restored, job(), fence=Fence("shard", token))) is Fenced
        await done(restored, job(), fence=Fence("shard", again["shard"]))


@pytest.mark.parametrize("kind", ["memory", "postgres"])
async def test_a_backup_comes_back_as_it_was(
    kind: str, memory: MemoryStore, store: PostgresStore, new_url: str, tmp_path: Path
) -> None:
    original: Store = memory if kind == "memory" else store
    await history(original)
    file = tmp_path / "backup.jsonl.gz"
    assert await backup(original, file) == await original.head()
    with reading(file) as archive:
        assert await restore(new_url, MODEL, archive) == await original.head()
    async with PostgresStore(new_url, MODEL) as restored:
        await assert_same(restored, original)
        assert await restored.marks(["agent"]) == {"agent": 17}
        assert await restored.epoch() == 5
        (again,) = await done(restored, job("keyed"), key="k", digest="d")
        assert again.replayed
        await new_job(restored, "after")
        assert (await verify(restored)).clean


async def test_a_backup_from_before_there_was_a_base_comes_back(
    store: PostgresStore, new_url: str, tmp_path: Path
) -> None:
    await history(store)
    await backup(store, tmp_path / "b.gz")
    top, *lines, end = gzip.decompress((tmp_path / "b.gz").read_bytes()).splitlines(keepends=True)
    told = {name: value for name, value in json.loads(top).items() if not name.startswith("oldest")}
    whole = b"".join([json.dumps({**told, "format": FORMER}).encode() + b"\n", *lines])
    last = {**json.loads(end), "sha256": hashlib.sha256(whole).hexdigest()}
    (tmp_path / "former.gz").write_bytes(gzip.compress(whole + json.dumps(last).encode() + b"\n"))
    with reading(tmp_path / "former.gz") as archive:
        await restore(new_url, MODEL, archive)
    async with PostgresStore(new_url, MODEL) as restored:
        await assert_same(restored, store)


async def test_a_store_moves_on_while_it_is_backed_up(store: PostgresStore, tmp_path: Path) -> None:
    stop = asyncio.Event()

    async def write(appender: Appender) -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            await appender.append(unit(job(f"j{number}")))

    heads: list[Head] = []

    async def moved() -> bool:
        heads.append(await backup(store, tmp_path / f"{len(heads)}.gz"))
        return heads[-1].position > heads[0].position

    async with Appender(store) as appender:
        writing = asyncio.create_task(write(appender))
        await eventually(moved)
        stop.set()
        await writing
    with reading(tmp_path / f"{len(heads) - 1}.gz") as archive:
        assert archive.top.position == heads[-1].position == sum(1 for _ in archive.lines())


async def test_a_database_with_a_log_of_its_own_is_left_alone(
    store: PostgresStore, new_url: str, tmp_path: Path
) -> None:
    await history(store)
    await backup(store, tmp_path / "b.gz")
    async with PostgresStore(new_url, MODEL) as other:
        await new_job(other, "mine")
        before = await other.head()
        with reading(tmp_path / "b.gz") as archive, pytest.raises(Conflict, match="1 events"):
            await restore(new_url, MODEL, archive)
        assert await other.head() == before
        assert (await verify(other)).clean


async def test_a_database_without_tables_is_named(databases: Databases, store: PostgresStore, tmp_path: Path) -> None:
    await backup(store, tmp_path / "b.gz")
    with reading(tmp_path / "b.gz") as archive, pytest.raises(NotMigrated, match="tendril migrate"):
        await restore(databases.postgres.url(), MODEL, archive)


async def test_a_backup_that_is_not_whole_restores_nothing(store: PostgresStore, new_url: str, tmp_path: Path) -> None:
    await history(store)
    file = tmp_path / "b.gz"
    await backup(store, file)
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    broken = {
        "cut off": gzip.compress(b"".join(lines[:-1])),
        "Compressed file": file.read_bytes()[:-40],
        "changed": gzip.compress(b"".join(lines[:3] + lines[4:])),
        "follows": gzip.compress(b"".join(lines[:3] + lines[4:])),
        "not of the format": gzip.compress(lines[0].replace(b"tendril-backup/2", b"tendril-backup/9") + lines[-1]),
        "line 2": gzip.compress(lines[0] + b"{}\n"),
        "line 1": b"text",
        "not of": gzip.compress(b"".join(lines[1:])),
    }
    async with PostgresStore(new_url, MODEL) as other:
        before = await other.head()
        for message, content in broken.items():
            (tmp_path / "broken.gz").write_bytes(content)
            with pytest.raises(Invalid) as raised, reading(tmp_path / "broken.gz") as archive:
                await restore(new_url, MODEL, archive)
            assert raised.value.field in ("file", "position"), message
        assert await other.head() == before
        assert (await verify(other)).clean


async def test_a_file_that_exists_is_not_written_over(store: PostgresStore, tmp_path: Path) -> None:
    (tmp_path / "b.gz").write_bytes(b"precious")
    for nowhere in (tmp_path / "none" / "b.gz", tmp_path / "b.gz" / "b.gz"):
        with pytest.raises(Invalid, match=r"b\.gz cannot be written: N"):
            await backup(store, nowhere)
    with pytest.raises(Invalid, match="exists already"):
        await backup(store, tmp_path / "b.gz")
    assert files(tmp_path) == {"b.gz": b"precious"}


async def test_what_fails_leaves_no_file(memory: MemoryStore, tmp_path: Path) -> None:
    memory._events[1] = b"no event"
    with pytest.raises(Exception, match="malformed"):
        await backup(memory, tmp_path / "b.gz")
    assert files(tmp_path) == {}


async def test_a_projection_is_made_anew_while_others_write(store: PostgresStore, database_url: str) -> None:
    await history(store)
    stop, written = asyncio.Event(), 0

    async def write(appender: Appender) -> None:
        nonlocal written
        for number in itertools.count():
            if stop.is_set():
                return
            await done(store, job(f"j{number}")) if number % 10 == 0 else await appender.append(unit(job(f"j{number}")))
            written += 1

    async with Appender(store) as appender:
        writing = asyncio.create_task(write(appender))
        for _ in range(2):
            head = await rebuild(database_url, MODEL)
            assert head.position <= (await store.head()).position
        stop.set()
        await writing
    assert written > 10
    found = await verify(store)
    assert found.clean, str(found)


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE nodes SET status = '{}' WHERE kind = 'Attempt'",
        "DELETE FROM links",
        "UPDATE totals SET progress = progress + 1",
        "UPDATE pools SET used = '{}'",
        "TRUNCATE nodes, links, pools, ledger, totals",
    ],
)
async def test_what_was_harmed_is_whole_again(harm: str, store: PostgresStore, database_url: str) -> None:
    await history(store)
    connection = await asyncpg.connect(database_url)
    await connection.execute(harm)
    assert not (await verify(store)).clean
    await rebuild(database_url, MODEL)
    found = await verify(store)
    assert found.clean, str(found)
    assert await connection.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname IN ('beside', 'former')") == 0
    await connection.close()
    async with PostgresStore(database_url, MODEL) as other:
        await new_job(other, "after")


async def test_who_reads_for_long_is_waited_for_and_the_log_goes_on(store: PostgresStore, database_url: str) -> None:
    await history(store)
    async with store.snapshot() as snapshot:
        assert [row async for row in snapshot.nodes()]
        with pytest.raises(Transient, match="read without a gap"):
            await rebuild(database_url, MODEL, patience_s=0)
        await new_job(store, "meanwhile")
    await rebuild(database_url, MODEL)
    assert (await verify(store)).clean


async def test_two_do_not_rebuild_at_once(store: PostgresStore, database_url: str) -> None:
    await history(store)
    results = await asyncio.gather(*(rebuild(database_url, MODEL) for _ in range(2)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) in (["Conflict", "Head"], ["Head", "Head"])
    assert (await verify(store)).clean


async def test_what_an_older_version_of_a_model_wrote_is_kept_as_the_present_one_reads_it(
    databases: Databases, tmp_path: Path
) -> None:
    urls = [await databases.create_empty() for _ in range(2)]
    await migrate(urls[0], garden.MODEL)
    async with PostgresStore(urls[0], garden.MODEL) as former:
        await done(former, Command("create", "/garden/beds/b"), Command("create", FLOWER, {"heightCm": 40}))
        await done(former, Command("patchStatus", FLOWER, {"phase": "bloom"}), actor=SYSTEM)
    for url in urls:
        await migrate(url, garden_later.MODEL)
    async with PostgresStore(urls[0], garden_later.MODEL) as original:
        await backup(original, tmp_path / "b.gz")
        read = facts(await original.nodes([FLOWER]))
        with reading(tmp_path / "b.gz") as archive:
            await restore(urls[1], garden_later.MODEL, archive)
        await rebuild(urls[0], garden_later.MODEL)
        for url in urls:
            async with PostgresStore(url, garden_later.MODEL) as kept:
                found = await verify(kept, Audit(garden_later.MODEL))
                assert found.clean, str(found)
                assert facts(await kept.nodes([FLOWER])) == read
                await done(kept, Command("patchStatus", FLOWER, {"leaves": 7}), actor=SYSTEM)
                assert (await verify(kept)).clean
    assert read[FLOWER].spec["heightMm"] == 400
    for url in urls:
        await databases.drop(url)


FLOWER = "/garden/beds/b/flowers/rose"


def facts(nodes: dict[str, Node]) -> dict[str, Node]:
    """But for how their rows were written."""
    return {path: structs.replace(node, schema=1) for path, node in nodes.items()}
