"""What is different between two moments is what two pictures of the graph say, side by side."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from datamodel.command import Command
from datamodel.difference import Difference, difference
from datamodel.errors import Invalid
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.postgres.store import PostgresStore
from datamodel.query import LIMIT_MAX
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from tests.databases import Databases
from tests.fuzz.budget import budget
from tests.graph import JOBS, SYSTEM, done, job, memory_store, new_job, present
from tests.reading import Move, Versions, moves

GROUPS = "/config/job-groups"


async def everything(store: Store, path: str, first: int, second: int, **options: Any) -> list[Difference]:
    found = await difference(store, path, first, second, **options)
    differences = list(found.found)
    while found.after:
        found = await difference(store, path, first, second, after=found.after, **options)
        differences += found.found
    return differences


async def test_nodes_come_go_change_and_are_replaced(store: Store) -> None:
    before = {name: await new_job(store, name) for name in ("changed", "gone", "other", "same")}
    first = (await store.head()).position
    await done(store, Command("patchSpec", before["changed"].path, {"retries": 9}))
    await done(store, Command("patchSpec", before["same"].path, {"retries": 9}))
    await done(store, Command("patchSpec", before["same"].path, {"retries": 2}))
    for name in ("gone", "other"):
        await done(store, Command("delete", before[name].path))
        await done(store, Command("finalize", before[name].path, {"finalizer": "attempts"}), actor=SYSTEM)
    await done(store, job("other"), job("made"))
    second = (await store.head()).position
    found = await difference(store, "/config", first, second)
    told = {one.path.rpartition("/")[2]: one.kind for one in found.found}
    assert told == {"changed": "changed", "gone": "deleted", "made": "created", "other": "replaced"}
    assert (found.first, found.second, found.after) == (first, second, "")
    for one in found.found:
        assert one.before == before.get(one.path.rpartition("/")[2])
        assert one.after == (await store.nodes([one.path])).get(one.path)
    assert (await difference(store, JOBS.rpartition("/")[0], first, second, below=False)).found == []
    (alone,) = (await difference(store, before["changed"].path, first, second, below=False)).found
    assert (alone.kind, alone.after) == ("changed", await present(store, before["changed"].path))


async def test_moments_may_be_times(store: Store) -> None:
    node = await new_job(store)
    (event,) = (await store.history(node.path)).events
    found = await difference(store, JOBS.rpartition("/")[0], 0, event.at)
    assert found.second == event.position
    assert [one.kind for one in found.found] == ["created"] * 2


async def test_what_makes_no_sense_is_refused_by_name(store: Store) -> None:
    end = (await store.head()).position
    for path, first, second, limit, field in (
        ("/none", 0, 1, 1, "/metadata/path"),
        ("/config", 2, 1, 1, "/to"),
        ("/config", end + 1, end + 1, 1, "/from"),
        ("/config", 0, end + 1, 1, "/to"),
        ("/config", 0, 1, 0, "/limit"),
        ("/config", 0, 1, LIMIT_MAX + 1, "/limit"),
    ):
        with pytest.raises(Invalid) as refused:
            await difference(store, path, first, second, limit=limit)
        assert refused.value.field == field
    with pytest.raises(Invalid):
        await difference(store, "/config", 0, 1, after="/x\x00")


async def compare(store: Store, history: list[Move], limit: int) -> None:
    await seed(store)
    versions = Versions(store)
    await versions.note()
    await versions.take(history)
    positions = sorted(versions.at)
    pairs = [*pairwise(positions[:: max(1, len(positions) // 4)]), (positions[0], positions[-1]), (0, 0)]
    for first, second in pairs:
        for path in ("/config", f"{GROUPS}/g", f"{GROUPS}/g/jobs/a"):
            expected = expected_between(versions.at[first], versions.at[second], path)
            for recent in (0, 10_000):
                found = await everything(store, path, first, second, limit=limit, recent=recent)
                assert found == expected
            alone = await everything(store, path, first, second, limit=limit, below=False)
            assert alone == [one for one in expected if one.path == path]


def expected_between(before: Mapping[str, Node], after: Mapping[str, Node], root: str) -> list[Difference]:
    paths = sorted({*before, *after})
    found = [Difference(p, before.get(p), after.get(p)) for p in paths if p == root or p.startswith(f"{root}/")]
    return [one for one in found if same(one.before) != same(one.after)]


def same(node: Node | None) -> Node | None:
    return node and structs.replace(node, version=0, generation=0)


@budget(100)
@given(history=moves, limit=st.integers(1, 5))
async def test_differences_in_the_fake_are_those_of_its_versions(history: list[Move], limit: int) -> None:
    await compare(memory_store(), history, limit)


@budget(6)
@given(history=moves, limit=st.integers(1, 5))
async def test_differences_in_the_database_are_those_of_its_versions(
    databases: Databases, history: list[Move], limit: int
) -> None:
    url = await databases.create()
    try:
        async with PostgresStore(url, MODEL) as store:
            await compare(store, history, limit)
    finally:
        await databases.drop(url)
