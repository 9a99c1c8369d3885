"""Compaction on Postgres: files that are whole, steps that may end anywhere, readers that are never told something else."""

import asyncio
import gzip
import itertools
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio

from datamodel.appender import Appender
from datamodel.audit import Audit
from datamodel.command import Command, Fence
from datamodel.errors import Conflict, Gone, Invalid, Transient
from datamodel.event import Event
from datamodel.keeping.archive import SEGMENT_FORMAT, Logged, reading
from datamodel.keeping.backup import backup
from datamodel.keeping.compact import LEASE, LEASE_TTL_S, compact
from datamodel.keeping.export import export
from datamodel.ports import Store
from datamodel.postgres.rebuild import rebuild
from datamodel.postgres.restore import restore
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from datamodel.verify import verify
from datamodel.watch import Watch
from migrations.upgrade import migrate
from reconcilers.compaction import KEY, Compaction
from sim.soak.database import Database
from tests import garden, garden_later
from tests.conftest import StartNats
from tests.contract.test_compaction import assert_kept, busy
from tests.databases import Databases
from tests.graph import JOBS, done, job, new_job, present, unit
from tests.hub import running_hub
from tests.pair import connection, decides_by_memory
from tests.segments import SIZE, based, compacted, in_small_segments
from tests.waiting import eventually

GROUPS = "/config/job-groups"


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(database_url, MODEL) as store:
        await in_small_segments(store, database_url)
        yield store


@pytest_asyncio.fixture
async def new_url(databases: Databases) -> AsyncIterator[str]:
    url = await databases.create()
    yield url
    await databases.drop(url)


def exported(directory: Path) -> list[Event]:
    """The events of all files, in the order of their first positions."""
    found: list[Event] = []
    for path in sorted(directory.glob("events-*.jsonl.gz"), key=lambda path: int(path.name.split("-")[1])):
        with reading(path, (SEGMENT_FORMAT,)) as archive:
            found += [line.event for line in archive.lines() if isinstance(line, Logged)]
    return found


async def test_what_is_dropped_is_in_files(store: PostgresStore, tmp_path: Path) -> None:
    versions = await busy(store)
    head = (await store.head()).position
    events = await store.events(0, 1_000)
    lines: list[str] = []
    oldest = await compact(store, head, "test", directory=tmp_path, told=lines.append)
    assert exported(tmp_path) == [event for event in events if event.position < oldest]
    assert lines[1].startswith("dropped positions 1 to ")
    await assert_kept(versions, oldest)


async def test_what_is_dropped_is_its_file_and_nothing_else(store: PostgresStore, tmp_path: Path) -> None:
    """A file that is not whole, or of another log, or cannot be written: then nothing is dropped."""
    await busy(store)
    head = (await store.head()).position
    first, *_ = await store.segments()
    name = f"events-{first.first}-{first.last}.jsonl.gz"
    await compact(store, first.last + 1, "test", directory=tmp_path)
    good = (tmp_path / name).read_bytes()
    second = (await store.segments())[0]
    name = f"events-{second.first}-{second.last}.jsonl.gz"
    lines = gzip.decompress(good).splitlines(keepends=True)
    for content in (b"", good, good[:-30], gzip.compress(b"".join(lines[:-1])), gzip.compress(b"".join(lines[1:]))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Invalid, match=name):
            await compact(store, head, "test", directory=tmp_path)
    (tmp_path / name).unlink()
    (tmp_path / "file").touch()
    for directory in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(Invalid, match="cannot be written"):
            await compact(store, head, "test", directory=directory)
    assert (await store.segments())[0] == second
    assert await store.oldest() == second.first
    (tmp_path / f"{name}.part").write_bytes(b"of somebody who was killed")
    assert await compact(store, head, "test", directory=tmp_path) > second.first


async def test_what_somebody_else_left_behind_the_base_is_in_files_too(store: PostgresStore, tmp_path: Path) -> None:
    await busy(store)
    first, second, *_ = await store.segments()
    await store.fold_base(second.first, 1_000)
    assert await compact(store, 0, "test", directory=tmp_path) == second.first
    assert [event.position for event in exported(tmp_path)] == list(range(1, first.last + 1))
    assert (await store.segments())[0] == second


class Cut:
    """A store that somebody is cut off from at the n-th call, before it is carried out or after; nothing works from then on."""

    def __init__(self, store: Store, calls: int, *, late: bool) -> None:
        self.model = store.model
        self._store, self._left, self._late = store, calls, late

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        async def call(*arguments: Any) -> Any:
            self._left -= 1
            if self._left < -1 or (self._left < 0 and not self._late):
                raise CutOffError
            answer = await method(*arguments)
            if self._left < 0:
                raise CutOffError
            return answer

        return call


class CutOffError(BaseException):
    """Nobody catches it."""


async def test_whoever_is_cut_off_anywhere_is_followed_by_somebody_who_goes_on(
    store: PostgresStore, tmp_path: Path
) -> None:
    versions = await busy(store)
    head = (await store.head()).position
    events = await store.events(0, 1_000)
    cuts = 0
    for calls, late in itertools.product(range(100), (False, True)):
        try:
            oldest = await compact(cast("Store", Cut(store, calls, late=late)), head, "test", directory=tmp_path)
        except CutOffError:
            cuts += 1
        else:
            break
        kept = await store.oldest()
        assert {event.position for event in exported(tmp_path)} >= set(range(1, (await store.segments())[0].first))
        await assert_kept(versions, kept)
    assert cuts > 20
    assert exported(tmp_path) == [event for event in events if event.position < oldest]
    await assert_kept(versions, oldest)


async def test_a_killed_program_is_followed_by_one_that_goes_on(
    store: PostgresStore, database_url: str, tmp_path: Path
) -> None:
    versions = await busy(store)
    head = (await store.head()).position
    events = await store.events(0, 1_000)
    for killed_after in (1, 2, 4, 0):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "datamodel.keeping", "compact", "--before", str(head), "--export", str(tmp_path)),
            env={**os.environ, "TENDRIL_DATABASE_URL": database_url},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        lines = [await process.stdout.readline() for _ in range(killed_after)]
        if killed_after:
            process.kill()
            await process.communicate()
            await eventually(lambda: _is_free(store), timeout_s=LEASE_TTL_S + 1.0)
        else:
            told, said = await process.communicate()
            assert process.returncode == 0, said
            lines = told.splitlines()
        await assert_kept(versions, await store.oldest())
    oldest = await store.oldest()
    assert lines[-1].decode() == f"the graph is kept from position {oldest} on"
    assert head - SIZE < oldest <= head
    assert exported(tmp_path) == [event for event in events if event.position < oldest]


class Overtaken(PostgresStore):
    """A store whose log is compacted to its end as soon as somebody has asked where it begins."""

    overtaken = False

    async def oldest(self) -> int:
        found = await super().oldest()
        if not self.overtaken:
            self.overtaken = True
            await compacted(self, (await self.head()).position)
        return found


async def test_a_history_that_is_forgotten_while_it_is_read_says_so(store: PostgresStore, database_url: str) -> None:
    await busy(store)
    path = f"{JOBS}/a"
    async with Overtaken(database_url, MODEL) as overtaken:
        told = await overtaken.history(path)
        oldest = await store.oldest()
        assert oldest > SIZE
        assert told.kept_from == oldest
        assert told == await store.history(path)


async def _is_free(store: PostgresStore) -> bool:
    return LEASE not in await store.renew([LEASE], "nobody", 1.0)


async def test_by_age(store: PostgresStore) -> None:
    await busy(store)
    head = await store.head()
    for keep, late in ((timedelta(days=1), False), (timedelta(0), True)):
        compaction = Compaction(store, keep, None, lambda: datetime.now(UTC))
        await compaction.reconcile(KEY, await leased(store))
        assert (await store.oldest() > head.position - SIZE) == late
    assert (await store.segments())[-1].last >= head.position + 1_000_000


async def test_reconcilers_that_are_told_so_forget_the_log(
    store: PostgresStore, database_url: str, nats_server: StartNats, tmp_path: Path
) -> None:
    await busy(store)
    head = (await store.head()).position
    server = await nats_server()
    async with running_hub(database_url, server.access(), keep_log_days=0.0, export_log=tmp_path):

        async def is_forgotten() -> bool:
            return (await store.segments())[0].first > head - SIZE

        await eventually(is_forgotten, timeout_s=30.0)
        await new_job(store, "after")
    first, *_ = await store.segments()
    positions = [
        event.position for event in exported(tmp_path)
    ]  # and perhaps the next ones, which it was about to drop
    assert positions[: first.first - 1] == list(range(1, first.first))
    assert (await store.segments())[-1].last > head + 1_000_000
    found = await verify(store, Audit(MODEL))
    assert found.clean, str(found)


async def test_who_takes_over_while_a_file_is_written_is_let_alone(store: PostgresStore, tmp_path: Path) -> None:
    await busy(store)
    first, *_ = await store.segments()

    async def hold() -> None:
        raise Conflict("somebody else")

    with pytest.raises(Conflict):
        await export(store, first, tmp_path, hold)
    assert not [path.name for path in await asyncio.to_thread(lambda: list(tmp_path.iterdir()))]


async def leased(store: Store) -> Fence:
    return Fence("compaction/0", (await store.acquire(["compaction/0"], "test", 60.0))["compaction/0"])


async def test_a_backup_begins_at_the_base(store: PostgresStore, new_url: str, tmp_path: Path) -> None:
    versions = await busy(store)
    await done(store, *(job(f"more{number}") for number in range(3)))
    await versions.note()
    oldest = await compacted(store, (await store.head()).position - SIZE)
    await backup(store, tmp_path / "b.gz")
    with reading(tmp_path / "b.gz") as archive:
        assert await restore(new_url, MODEL, archive) == await store.head()
    async with PostgresStore(new_url, MODEL) as restored:
        versions.store = restored
        await assert_kept(versions, oldest)
        assert (await restored.segments())[0].first == oldest
        await new_job(restored, "after")
        await based(restored, (await restored.head()).position, limit=3)
        assert (await verify(restored, Audit(MODEL))).clean
        with reading(tmp_path / "b.gz") as archive, pytest.raises(Conflict):
            await restore(new_url, MODEL, archive)


async def test_a_log_that_reaches_far_is_restored_into_segments(
    store: PostgresStore, database_url: str, new_url: str, tmp_path: Path
) -> None:
    """As many as it takes: here the log goes over the end of one."""
    await done(store, Command("create", f"{GROUPS}/before"))
    await based(store, (await store.head()).position)
    async with connection(database_url) as raw:
        await raw.execute("UPDATE head SET position = 999997; UPDATE base SET position = 999997")
        for segment in await store.segments():
            await raw.execute(f"DROP TABLE segments.events_{segment.first}")
    async with PostgresStore(database_url, MODEL) as far:
        for name in ("a", "b", "c"):
            await done(far, Command("create", f"{GROUPS}/{name}"))
        assert (await far.head()).position == 1_000_000
        await backup(far, tmp_path / "b.gz")
    with reading(tmp_path / "b.gz") as archive:
        await restore(new_url, MODEL, archive)
    async with PostgresStore(new_url, MODEL) as restored:
        assert [segment.first for segment in await restored.segments()] == [999_997, 1_000_000]
        assert (await verify(restored)).clean


async def test_a_projection_is_made_anew_from_the_base(store: PostgresStore, database_url: str) -> None:
    versions = await busy(store)
    oldest = await compacted(store, (await store.head()).position - SIZE)
    async with connection(database_url) as raw:
        await raw.execute("TRUNCATE nodes, links, facets, pools, ledger, totals")
    await rebuild(database_url, MODEL)
    await assert_kept(versions, oldest)


async def test_a_base_that_is_not_what_the_log_made_is_found(store: PostgresStore, database_url: str) -> None:
    await busy(store)
    await compacted(store, (await store.head()).position)
    async with connection(database_url) as raw:
        await raw.execute(
            "UPDATE base_rows SET content = replace(content::text, '1000', '999')::json WHERE source = 'ledger'"
        )
    assert not (await verify(store)).clean


async def test_a_base_of_an_older_model_is_read_by_the_present_one(databases: Databases, tmp_path: Path) -> None:
    """Folded on, as it was, and from a backup: each document is brought to the present once."""
    urls = [await databases.create_empty() for _ in range(2)]
    await migrate(urls[0], garden.MODEL)
    async with PostgresStore(urls[0], garden.MODEL) as former:
        await done(former, Command("create", "/garden/beds/b"))
        for name in ("rose", "lily", "iris", "fern"):
            await done(former, Command("create", f"{FLOWERS}/{name}", {"heightCm": 40}))
        await based(former, (await former.head()).position)
        await done(former, Command("patchSpec", f"{FLOWERS}/lily", {"heightCm": 50}))
        then = (await former.head()).position
        await done(former, Command("patchSpec", f"{FLOWERS}/rose", {"heightCm": 60}))
    for url in urls:
        await migrate(url, garden_later.MODEL)
    async with PostgresStore(urls[0], garden_later.MODEL) as later:
        assert await heights(later, then) == {"rose": 400, "lily": 500, "iris": 400}
        await based(later, then)
        assert await heights(later, then) == {"rose": 400, "lily": 500, "iris": 400}
        await based(later, then + 1)
        await done(later, Command("patchSpec", f"{FLOWERS}/iris", {"heightMm": 700}))
        end = (await later.head()).position
        await backup(later, tmp_path / "b.gz")
        await rebuild(urls[0], garden_later.MODEL)
        with reading(tmp_path / "b.gz") as archive:
            await restore(urls[1], garden_later.MODEL, archive)
        async with PostgresStore(urls[1], garden_later.MODEL) as restored:
            for store in (later, restored):
                found = await verify(store, Audit(garden_later.MODEL))
                assert found.clean, str(found)
                assert await heights(store, end - 1) == {"rose": 600, "lily": 500, "iris": 400}
                assert await heights(store, end) == {"rose": 600, "lily": 500, "iris": 700}
                await based(store, end)
                assert (await verify(store, Audit(garden_later.MODEL))).clean
                assert (await present(store, f"{FLOWERS}/fern")).spec["heightMm"] == 400
    for url in urls:
        await databases.drop(url)


FLOWERS = "/garden/beds/b/flowers"


async def heights(store: Store, position: int) -> dict[str, int]:
    """By name, in the unit of the later model."""
    names = ("rose", "lily", "iris")
    nodes = await store.nodes_at([f"{FLOWERS}/{name}" for name in names], position)
    return {name: nodes[f"{FLOWERS}/{name}"].spec["heightMm"] for name in names}


async def test_nothing_is_dropped_while_somebody_looks_at_everything(store: PostgresStore) -> None:
    await busy(store)
    segments = await store.segments()
    head = (await store.head()).position
    async with store.snapshot() as snapshot:
        with pytest.raises(Transient, match="read without a gap"):
            await compacted(store, head)
        await new_job(store, "meanwhile")
        assert len([event async for event in snapshot.events()]) == head
        assert snapshot.oldest.position == 0
    assert (await store.segments())[0] == segments[0]
    assert await compacted(store, head) > 0
    assert (await verify(store)).clean


async def test_the_base_stays_while_a_projection_is_made(store: PostgresStore, database_url: str) -> None:
    await busy(store)
    async with connection(database_url) as raw:
        await raw.execute("SELECT pg_advisory_lock(7316552)")
        with pytest.raises(Conflict, match="stay as it is"):
            await compacted(store, (await store.head()).position)
        with pytest.raises(Conflict, match="base is being moved"):
            await rebuild(database_url, MODEL)
    assert await compacted(store, (await store.head()).position) > 0


async def test_readers_are_told_what_was_so_or_that_it_is_gone(store: PostgresStore, database_url: str) -> None:
    """While the base moves over the positions that they read, and what is behind it is dropped."""
    versions = await busy(store)
    paths = {path for nodes in versions.at.values() for path in nodes}
    answered, gone = 0, 0
    stop = asyncio.Event()

    async def read(mine: PostgresStore) -> None:
        nonlocal answered, gone
        for position in itertools.cycle(sorted(versions.at)):
            if stop.is_set():
                return
            try:
                assert await mine.nodes_at(paths, position) == versions.at[position]
                answered += 1
            except Gone:
                gone += 1

    async with PostgresStore(database_url, MODEL) as other:
        readers = [asyncio.create_task(read(mine)) for mine in (store, store, other)]
        for position in range(1, (await store.head()).position + 1):
            await based(store, position)
        stop.set()
        await asyncio.gather(*readers)
    assert min(answered, gone) > 10


async def test_what_a_writer_remembers_from_before_is_not_the_present(store: PostgresStore, database_url: str) -> None:
    """What others changed since is told by events, some of which are gone."""
    node = await new_job(store, "a")
    async with PostgresStore(database_url, MODEL) as other:
        await done(other, Command("patchSpec", node.path, {"retries": 7}))
        await done(other, *(job(f"j{number}") for number in range(2 * SIZE)))
        await compacted(other, (await other.head()).position)
        await done(store, Command("patchSpec", node.path, {}, {"n": "1"}), key="k", digest="d")
        found = await present(other, node.path)
    assert (found.spec["retries"], found.labels) == (7, {"n": "1"})
    assert (await verify(store)).clean


async def test_a_writer_that_hears_of_what_is_gone_forgets_what_it_knew(
    store: PostgresStore, database_url: str
) -> None:
    node = await new_job(store, "a")
    async with PostgresStore(database_url, MODEL) as other:
        await done(other, Command("patchSpec", node.path, {"retries": 7}))
        await done(other, *(job(f"j{number}") for number in range(2 * SIZE)))
        await compacted(other, (await other.head()).position)
        store.others_wrote()
        await done(store, Command("patchSpec", node.path, {}, {"n": "1"}))
    assert (await present(store, node.path)).spec["retries"] == 7
    assert (await verify(store)).clean


@pytest.mark.parametrize("by_memory", [False, True])
async def test_a_writer_that_finds_no_segment_makes_one(database_url: str, *, by_memory: bool) -> None:
    async with PostgresStore(database_url, MODEL) as store:
        await in_small_segments(store, database_url, count=1, size=2)
        last = (await store.segments())[-1].last
        if by_memory:
            await done(store, job("first"))
            assert decides_by_memory(store, unit(job("x")))
        async with Appender(store) as appender:
            await asyncio.gather(*(appender.append(unit(job(f"j{number}"))) for number in range(20)))
        assert [segment.last - segment.first for segment in (await store.segments())[2:]] == [999_999]
        assert (await store.head()).position == last - 2 + 20 + by_memory
        found = await verify(store, Audit(MODEL))
        assert found.clean, str(found)
        await done(store, job("after"))


async def test_writers_that_find_no_segment_make_one_together(database_url: str) -> None:
    async with PostgresStore(database_url, MODEL) as one, PostgresStore(database_url, MODEL) as other:
        await in_small_segments(one, database_url, count=1, size=5)
        await asyncio.gather(
            *(done(store, job(f"{side}{number}")) for number in range(20) for store, side in ((one, "a"), (other, "b")))
        )
        assert len(await one.segments()) == 3
        assert (await verify(one)).clean


async def test_a_watch_of_everything_that_was_left_behind_begins_anew(store: PostgresStore) -> None:
    lines: list[str] = []
    watch = Watch(store, lines.append)
    await watch.look()
    await busy(store)
    await compacted(store, (await store.head()).position)
    await watch.look()
    await watch.look()
    assert watch.found == 0, lines
    assert any("is kept from" in line for line in lines)
    await new_job(store, "z")
    await watch.look()
    assert watch.found == 0, lines


async def test_the_figures_of_a_soak_know_how_large_the_log_is(store: PostgresStore, database_url: str) -> None:
    async with Database(database_url) as database:
        sample = await database.sample()
    assert sample["size: events"] > sample["size: nodes"] > 0
    assert await store.count_nodes() > 0


async def test_a_log_is_compacted_while_it_is_written(store: PostgresStore) -> None:
    stop = asyncio.Event()

    async def write(appender: Appender) -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            await appender.append(unit(job(f"j{number}")))

    async with Appender(store) as appender:
        writing = asyncio.create_task(write(appender))
        for _ in range(8):
            await store.extend(SIZE)
            try:
                await compacted(store, (await store.head()).position)
            except Transient:  # a reader was in the way, as one may be
                continue
            await based(store, await store.oldest())
        stop.set()
        await writing
    assert await store.oldest() > 0
    found = await verify(store, Audit(MODEL))
    assert found.clean, str(found)
