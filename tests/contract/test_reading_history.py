"""The past: what nodes were at any position or time, and what happened to them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given

from datamodel.command import Command
from datamodel.difference import difference
from datamodel.errors import Gone, Invalid
from datamodel.moments import position_of
from datamodel.ports import Store
from datamodel.postgres.store import PostgresStore
from datamodel.query import Query, count, page
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from tests.databases import Databases
from tests.fuzz.budget import budget
from tests.graph import JOBS, SYSTEM, done, job, memory_store, new_edge, new_job, place, present, report
from tests.reading import Move, Versions, moves
from tests.waiting import until

GROUP = "/config/job-groups/g"


async def test_a_node_is_what_it_was_at_each_position(store: Store) -> None:
    node = await new_job(store)
    seen = [node]
    for command, actor in (
        (Command("patchStatus", node.path, {"phase": "running"}), SYSTEM),
        (Command("patchSpec", node.path, {"retries": 5}), None),
        (Command("patchSpec", node.path, {}, labels={"team": "a"}), None),
        (Command("patchSpec", node.path, {"retries": 6}), None),
        (Command("delete", node.path), None),
    ):
        await done(store, command, **({"actor": actor} if actor else {}))
        seen.append(await present(store, node.path))
    await done(store, Command("finalize", node.path, {"finalizer": "attempts"}), actor=SYSTEM)
    for version in seen:
        assert await store.nodes_at([node.path], version.version) == {node.path: version}
    end = (await store.head()).position
    assert await store.nodes_at([node.path], end) == {}
    assert await store.nodes_at([node.path], node.version - 1) == {}
    assert await store.nodes_at([node.path], 0) == {}
    assert (await store.nodes_at([node.path], end - 1))[node.path].finalizers == ()


async def test_a_new_node_has_nothing_of_the_former_one(store: Store) -> None:
    seen = []
    for changes in (3, 2, 0, 1):
        node = await new_job(store)
        for number in range(changes):
            await done(store, Command("patchSpec", node.path, {"retries": 10 + number}, labels={"n": str(number)}))
            await done(store, Command("patchStatus", node.path, {"percentCompleted": float(number)}), actor=SYSTEM)
            seen.append(await present(store, node.path))
        seen.append(await present(store, node.path))
        await done(store, Command("delete", node.path))
        await done(store, Command("finalize", node.path, {"finalizer": "attempts"}), actor=SYSTEM)
    for version in seen:
        assert await store.nodes_at([version.path], version.version) == {version.path: version}
    assert {version.generation for version in seen} == {1, 2, 3, 4}


async def test_links_were_there_too(store: Store) -> None:
    await new_edge(store)
    node = await new_job(store)
    path = await place(store, node)
    before = await present(store, path)
    await report(store, path, phase="succeeded")
    assert await store.nodes_at([path], before.version) == {path: before}
    assert before.links


async def test_a_time_stands_for_the_last_event_at_or_before_it(store: Store) -> None:
    await new_job(store)
    await new_job(store, "k")
    events = await store.events(0, 1_000)
    for event in events:
        last = max(other.position for other in events if other.at <= event.at)
        assert await store.position_at(event.at) == last
        assert await position_of(store, event.at) == last
    assert await store.position_at(events[0].at - timedelta(seconds=1)) == 0
    assert await store.position_at(datetime(9999, 1, 1, tzinfo=UTC)) == len(events)


async def test_a_moment_that_is_none_is_refused(store: Store) -> None:
    end = (await store.head()).position
    assert await position_of(store, end) == end
    assert await position_of(store, 0) == await store.oldest()
    with pytest.raises(Invalid, match="the log ends at"):
        await position_of(store, end + 1)
    with pytest.raises(Invalid, match="offset from UTC"):
        await position_of(store, datetime(2026, 1, 1))  # noqa: DTZ001 - that is what is wrong with it
    with pytest.raises(Gone) as refused:
        await position_of(store, -1, "/cursor")
    assert (refused.value.oldest, refused.value.field) == (0, "/cursor")


async def test_a_time_is_a_moment_wherever_a_position_is(store: Store) -> None:
    await new_job(store, "a")
    then = await store.head()
    await until(lambda: datetime.now(UTC) > then.at)
    await done(store, Command("patchSpec", f"{JOBS}/a", {"retries": 7}), job("b"))
    query = Query("Job")
    for moment in (then.position, then.at):
        found = await page(store, query, as_of=moment)
        assert [(node.path, node.generation, found.position) for node in found.nodes] == [
            (f"{JOBS}/a", 1, then.position)
        ]
        assert await count(store, query, as_of=moment) == 1
        changes = await difference(store, JOBS.removesuffix("/jobs"), moment, (await store.head()).at)
        assert [(one.kind, one.path) for one in changes.found] == [("changed", f"{JOBS}/a"), ("created", f"{JOBS}/b")]
        assert changes.first == then.position


async def test_history_tells_of_all_who_lived_there(store: Store) -> None:
    await done(store, Command("create", GROUP))
    first = await present(store, GROUP)
    await done(store, Command("delete", GROUP), Command("create", GROUP, {"description": "second"}))
    await new_job(store)
    second = await present(store, GROUP)
    events = [event for event in await store.events(0, 1_000) if event.path == GROUP]
    assert [event.op for event in events] == ["created", "deleted", "created"]
    assert (await store.history(GROUP)).events == events
    assert (await store.history(GROUP, limit=2)).events == events[:2]
    assert (await store.history(GROUP, after=events[0].position, limit=1)).events == events[1:2]
    assert (await store.history(GROUP, before=events[2].position)).events == events[1::-1]
    assert (await store.history(GROUP, before=events[2].position, limit=1)).events == [events[1]]
    assert (await store.history(GROUP, uid=first.uid)).events == events[:2]
    assert (await store.history(GROUP, uid=second.uid, before=1_000_000)).events == events[2:]
    assert (await store.history(f"{JOBS}/none")).events == []


async def test_the_history_of_several_paths_is_that_of_each(store: Store) -> None:
    for name in "abc":
        node = await new_job(store, name)
        await done(store, Command("patchSpec", node.path, {"retries": 5}))
        await done(store, Command("patchStatus", node.path, {"phase": "running"}), actor=SYSTEM)
    paths = [f"{JOBS}/{name}" for name in ("c", "none", "a", "b")]
    middle = (await store.head()).position - 4
    for after, before in ((0, None), (middle, None), (0, middle), (0, 2**62)):
        for limit in (1, 2, 9):
            found = await store.history_each(paths, after=after, before=before, limit=limit)
            assert found == {path: await store.history(path, after=after, before=before, limit=limit) for path in paths}
    assert await store.history_each([]) == {}


async def recorded(store: Store, moves: list[Move]) -> Versions:
    await seed(store)
    versions = Versions(store)
    await versions.note()
    await versions.take(moves)
    await versions.check()
    return versions


async def compare(versions: Versions) -> None:
    store = versions.store
    paths = {path for nodes in versions.at.values() for path in nodes}
    for position, nodes in versions.at.items():
        assert await store.nodes_at(paths, position) == nodes


@budget(150)
@given(moves=moves)
async def test_the_fake_tells_every_version(moves: list[Move]) -> None:
    await compare(await recorded(memory_store(), moves))


@budget(8)
@given(moves=moves)
async def test_the_database_tells_every_version(databases: Databases, moves: list[Move]) -> None:
    url = await databases.create()
    try:
        async with PostgresStore(url, MODEL) as store:
            await compare(await recorded(store, moves))
    finally:
        await databases.drop(url)
