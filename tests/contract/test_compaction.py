"""A log whose beginning is forgotten: what is kept is told as before, and what is not is said to be gone."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from datamodel.audit import Audit
from datamodel.bookmark import Bookmark
from datamodel.command import Command
from datamodel.difference import difference
from datamodel.errors import Conflict, Gone, Invalid
from datamodel.history import NodeEvents
from datamodel.keeping.compact import LEASE
from datamodel.moments import position_of
from datamodel.ports import Store
from datamodel.postgres.store import PostgresStore
from datamodel.query import Query, count, page
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from datamodel.segments import Segment
from datamodel.verify import verify
from datamodel.watching import watch
from tests.databases import Databases
from tests.fuzz.budget import budget
from tests.graph import JOBS, SYSTEM, done, job, memory_store, new_edge, new_job, place, present, report
from tests.reading import Move, Versions, moves
from tests.segments import SIZE, based, compacted, in_small_segments


@pytest_asyncio.fixture
async def log(store: Store, request: pytest.FixtureRequest) -> Store:
    """A store whose log goes on in small segments."""
    plain = request.node.callspec.params["store"] == "memory"
    await in_small_segments(store, "" if plain else request.getfixturevalue("database_url"))
    return store


async def busy(store: Store) -> Versions:
    """A job that went with its attempt, one that is half done, and others that change often."""
    versions = Versions(store)
    await versions.note()
    await new_edge(store)
    await versions.note()
    gone = await new_job(store, "gone")
    attempt = await place(store, gone)
    await versions.note()
    await done(store, Command("delete", gone.path))
    await done(store, Command("finalize", gone.path, {"finalizer": "attempts"}), actor=SYSTEM)
    await report(store, attempt, phase="succeeded")
    await versions.note()
    half = await new_job(store, chunks=3)
    await report(store, await place(store, half), phase="succeeded", outputs={"text": "it's\\\n\u2028"})
    await report(store, await place(store, half, 1), phase="failed")
    await versions.note()
    for number in range(4):
        for name in "abc":
            command = Command("apply", f"{JOBS}/{name}", job().body, {"n": str(number)})
            await versions.send(command)
            await versions.send(Command("patchStatus", command.path, {"percentCompleted": 1.0 + number}), actor=SYSTEM)
    await place(store, half, 1, 2)
    await done(store, Command("delete", attempt), actor=SYSTEM)
    await versions.note()
    return versions


async def assert_kept(versions: Versions, oldest: int) -> None:
    """What was so at each position from the oldest on is told, and nothing else."""
    store = versions.store
    assert await store.oldest() == oldest
    paths = {path for nodes in versions.at.values() for path in nodes}
    for position, nodes in versions.at.items():
        if position >= oldest:
            assert await store.nodes_at(paths, position) == nodes
        else:
            with pytest.raises(Gone) as refused:
                await store.nodes_at(paths, position)
            assert refused.value.oldest == oldest
    found = await verify(store, Audit(MODEL))
    assert found.clean, str(found)


async def test_what_is_kept_is_told_as_before(log: Store) -> None:
    versions = await busy(log)
    head = (await log.head()).position
    for before in range(0, head + 1, 5):
        segments = await log.segments()
        oldest = await compacted(log, before)
        starts = [segment.first for segment in segments[1:] if segment.first <= before]
        assert oldest == max(starts, default=await log.oldest())
        assert (await log.segments())[0].first == max(oldest, 1)
        await assert_kept(versions, oldest)
    assert head - SIZE < oldest <= head
    await done(log, Command("delete", f"{JOBS}/a"))
    assert (await verify(log, Audit(MODEL))).clean


async def test_as_much_is_kept_as_was_asked_for(log: Store) -> None:
    await busy(log)
    first, second, *_ = await log.segments()
    for before, oldest in ((0, 0), (first.last, 0), (second.first, second.first), (second.last, second.first)):
        assert await compacted(log, before) == oldest
        assert await position_of(log, max(before, oldest)) >= oldest
    events = await log.events(second.first - 1, 1_000)
    with pytest.raises(Gone) as gone:
        await position_of(log, second.first - 1, "/asOf")
    assert (gone.value.oldest, gone.value.field) == (second.first, "/asOf")
    time = next(event.at for event in events if event.position == second.last)
    assert await compacted(log, second.first - 1) == second.first, "it never goes back"
    assert await log.position_at(time) >= second.first
    with pytest.raises(Invalid, match="the log ends at"):
        await compacted(log, (await log.head()).position + 1)


async def test_what_happened_before_is_gone_and_the_rest_is_dense(log: Store) -> None:
    await busy(log)
    events = await log.events(0, 1_000)
    oldest = await compacted(log, events[len(events) // 2].position)
    kept = [event for event in events if event.position >= oldest]
    assert await log.events(oldest - 1, 1_000) == kept
    assert [change.event_id for change in await log.changes(oldest - 1, 1_000)] == [event.id for event in kept]
    assert await log.event_id(oldest) == kept[0].id
    assert await log.event_id(oldest - 1) is None
    for after in (0, oldest - 2):
        with pytest.raises(Gone) as refused:
            await log.events(after, 1)
        assert refused.value.oldest == oldest


async def test_what_others_have_read_before_does_not_hide_what_is_gone(log: Store, another: Store) -> None:
    await busy(log)
    await compacted(another, (await log.head()).position)
    with pytest.raises(Gone):
        await another.changes(0, 10)


async def test_a_time_before_is_gone(log: Store) -> None:
    await busy(log)
    events = await log.events(0, 1_000)
    oldest = await compacted(log, events[len(events) // 2].position)
    at = next(event.at for event in events if event.position == oldest)
    assert await log.position_at(at) >= oldest
    with pytest.raises(Gone):
        await log.position_at(at - timedelta(seconds=60))
    with pytest.raises(Gone) as refused:
        await position_of(log, at - timedelta(seconds=60), "/asOf")
    assert (refused.value.oldest, refused.value.field) == (oldest, "/asOf")


async def test_history_begins_where_the_log_does(log: Store) -> None:
    await busy(log)
    path = f"{JOBS}/a"
    events = (await log.history(path)).events
    assert (await log.history(path)).kept_from == (await log.history(path, before=1_000)).kept_from == 0
    oldest = await compacted(log, events[4].position)
    await done(log, Command("delete", f"{JOBS}/c"))
    await done(log, Command("finalize", f"{JOBS}/c", {"finalizer": "attempts"}), actor=SYSTEM)
    later = await new_job(log, "c")
    kept = [event for event in events if event.position >= oldest]
    assert (await log.history(path)).events == kept
    assert (await log.history(path, before=1_000)).events == kept[::-1]
    assert (await log.history(path, after=oldest - 1)).events == kept
    with pytest.raises(Gone):
        await log.history(path, after=oldest - 2)
    for cut in (await log.history(path), await log.history(path, before=1_000)):
        assert cut.kept_from == oldest
    for told in (
        await log.history(path, after=oldest - 1),
        await log.history(path, before=kept[-1].position, limit=1),
        await log.history(f"{JOBS}/c", uid=later.uid),
        await log.history(f"{JOBS}/c", uid=later.uid, before=1_000),
    ):
        assert told.events
        assert told.kept_from == 0
    nothing_more = await log.history(path, before=kept[0].position)
    assert nothing_more == NodeEvents([], oldest)
    former = (await log.nodes_at([path], oldest))[path]
    assert former.version <= oldest


async def test_a_list_whose_position_is_gone_goes_on_in_the_present(log: Store) -> None:
    await busy(log)
    query = Query("Job", limit=1)
    first = await page(log, query)
    await done(log, *(job(f"z{number}") for number in range(2 * SIZE)))
    oldest = await compacted(log, (await log.head()).position)
    with pytest.raises(Gone) as refused:
        await page(log, query, cursor=first.cursor)
    assert (refused.value.oldest, refused.value.field) == (oldest, "/cursor")
    onward = await page(log, replace(query, limit=100), cursor=refused.value.cursor)
    assert onward.position == (await log.head()).position
    assert len(onward.nodes) == await count(log, Query("Job")) - 1
    for moment in (first.position, oldest - 1):
        with pytest.raises(Gone):
            await page(log, query, as_of=moment)
    assert await count(log, query, as_of=oldest) > 0


async def test_a_difference_from_before_is_gone(log: Store) -> None:
    await busy(log)
    head = (await log.head()).position
    whole = await difference(log, "/config", head - 2 * SIZE, head)
    oldest = await compacted(log, head - 2 * SIZE)
    assert await difference(log, "/config", head - 2 * SIZE, head) == whole
    with pytest.raises(Gone):
        await difference(log, "/config", oldest - 1, head)
    with pytest.raises(Gone):
        await log.departed([f"{JOBS}/gone"], oldest - 1, head)


async def test_a_watch_from_before_must_list_again(log: Store) -> None:
    await busy(log)
    head = (await log.head()).position
    oldest = await compacted(log, head)
    with pytest.raises(Gone, match=f"from position {oldest} on"):
        await anext(watched(log, oldest - 1))
    await done(log, job("z"))
    told = [await anext(watched(log, oldest))]
    assert told


async def test_a_watcher_that_is_left_behind_is_told_so_and_misses_nothing(log: Store) -> None:
    await busy(log)
    changes = watched(log, (await log.head()).position)
    await done(log, job("y"))
    async for seen in changes:
        if isinstance(seen, Bookmark):
            break
    for number in range(3 * SIZE):
        await done(log, Command("patchSpec", f"{JOBS}/y", {"retries": number}))
    await compacted(log, (await log.head()).position)
    with pytest.raises(Gone, match="is kept from position"):
        await anext(changes)


def watched(store: Store, after: int) -> AsyncIterator[object]:
    return watch(store, Query("Job"), after, grown=asyncio.Event(), poll_s=0.01)


async def test_a_base_may_be_anywhere_and_moves_step_by_step(log: Store) -> None:
    versions = await busy(log)
    for position in range(1, (await log.head()).position + 1, 4):
        await based(log, position, limit=3)
        await assert_kept(versions, position)
    assert await log.fold_base(position - 1, 5) == position


async def test_only_what_is_before_the_base_can_be_dropped(log: Store) -> None:
    await busy(log)
    segments = await log.segments()
    for segment in segments[:2]:
        with pytest.raises(Conflict, match="still needed"):
            await log.drop_segment(segment)
    await log.fold_base(segments[1].last, 1_000)
    with pytest.raises(Conflict, match="still needed"):
        await log.drop_segment(segments[1])
    await log.drop_segment(segments[0])
    await log.drop_segment(segments[0])
    with pytest.raises(Conflict, match="still needed"):
        await log.drop_segment(segments[1])
    await log.fold_base(segments[2].first, 1_000)
    await log.drop_segment(segments[1])
    assert (await log.segments())[0] == segments[2]


async def test_there_is_room_ahead(log: Store) -> None:
    head = (await log.head()).position
    there = await log.segments()
    await log.extend(SIZE)
    assert await log.segments() == there
    await log.extend(1_000)
    last = there[-1].last
    assert await log.segments() == [*there, Segment(last + 1, last + 1_000)]
    await log.extend(3_000)
    assert (await log.segments())[-1] == Segment(last + 1_001, last + 4_000)
    assert head + 3_000 <= last + 4_000


async def test_one_compacts_at_a_time(log: Store) -> None:
    await busy(log)
    await log.acquire([LEASE], "somebody", 60.0)
    with pytest.raises(Conflict, match="somebody else"):
        await compacted(log, (await log.head()).position)
    assert await log.oldest() == 0
    await log.release([LEASE], "somebody")
    assert await compacted(log, (await log.head()).position) > 0


async def test_entries_of_owners_that_went_do_not_stay_at_the_base(log: Store) -> None:
    versions = await busy(log)
    half = await present(log, f"{JOBS}/j")
    await based(log, (await log.head()).position)
    async with log.snapshot() as snapshot:
        entries = {key async for part in snapshot.base() for key in part.entries}
    assert entries == {(half.uid, 0), (half.uid, 1)}
    assert versions.at


compacting = st.lists(st.tuples(moves, st.integers(0, 99), st.integers(1, 9)), min_size=1, max_size=4)


async def compact_while_it_changes(store: Store, history: list[tuple[list[Move], int, int]], url: str = "") -> None:
    """After every few changes the base moves to one of the positions since, in steps of a size."""
    await seed(store)
    await in_small_segments(store, url, count=12, size=9)
    versions = Versions(store)
    await versions.note()
    oldest = 0
    for moved, number, limit in history:
        await versions.take(moved)
        later = [position for position in versions.at if position >= oldest]
        oldest = later[number % len(later)]
        await based(store, oldest, limit=limit)
        await assert_kept(versions, oldest)
        for position in later:
            if position >= oldest:
                expected = sorted(path for path, node in versions.at[position].items() if node.kind == "Job")
                for recent in (0, 100):
                    found = await page(store, Query("Job"), as_of=position, recent=recent)
                    assert [node.path for node in found.nodes] == expected


@budget(150)
@given(history=compacting)
async def test_the_fake_forgets_only_what_is_before_the_base(history: list[tuple[list[Move], int, int]]) -> None:
    await compact_while_it_changes(memory_store(), history)


@budget(8)
@given(history=compacting)
async def test_the_database_forgets_only_what_is_before_the_base(
    databases: Databases, history: list[tuple[list[Move], int, int]]
) -> None:
    url = await databases.create()
    try:
        async with PostgresStore(url, MODEL) as store:
            await compact_while_it_changes(store, history, url)
    finally:
        await databases.drop(url)
