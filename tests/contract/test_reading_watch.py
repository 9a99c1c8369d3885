"""Watching: who follows what is told has the nodes that a list would find, from wherever it began."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.bookmark import Bookmark
from datamodel.command import Command
from datamodel.errors import Gone, Invalid
from datamodel.memory import Copy, MemoryStore
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.postgres.store import PostgresStore
from datamodel.query import Query
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from datamodel.selectors import field_selector, label_selector
from datamodel.watching import STRETCH, Seen, watch
from tests.databases import Databases
from tests.fuzz.budget import budget
from tests.graph import JOBS, STEPS, SYSTEM, done, job, memory_store, new_job, present, unit
from tests.reading import Move, Versions, moves

GROUP = "/config/job-groups/g"
FIELDS = ("status.phase",)
PATIENCE_S = 30.0
"""For what is told by waking; the time to look by itself is longer."""


def watched(
    store: Store, query: Query, after: int | Bookmark, grown: asyncio.Event | None = None, stretch: int = STRETCH
) -> AsyncIterator[Seen | Bookmark]:
    return watch(store, query, after, grown=grown or asyncio.Event(), poll_s=600.0, stretch=stretch)


async def until_bookmark(changes: AsyncIterator[Seen | Bookmark]) -> tuple[list[Seen], int]:
    seen: list[Seen] = []
    async with asyncio.timeout(PATIENCE_S):
        async for change in changes:
            if isinstance(change, Bookmark):
                return seen, change.position
            seen.append(change)
    raise AssertionError("a watch ended by itself")


def told(seen: Iterable[Seen]) -> list[tuple[str, str]]:
    return [(change.what, change.node.path.rpartition("/")[2]) for change in seen]


async def test_a_watcher_is_told_what_comes_and_woken(store: Store) -> None:
    grown = asyncio.Event()
    position = (await store.head()).position
    changes = watched(store, Query("Job"), position, grown)
    await done(store, job("a"))
    assert [(s.what, s.node) for s in (await until_bookmark(changes))[0]] == [
        ("added", await present(store, f"{JOBS}/a"))
    ]
    waiting = asyncio.ensure_future(until_bookmark(changes))
    await done(store, Command("patchSpec", f"{JOBS}/a", {"retries": 5}), job("b"))
    grown.set()
    seen, position = await waiting
    assert told(seen) == [("modified", "a"), ("added", "b")]
    assert position == (await store.head()).position


async def test_a_deletion_carries_the_last_state(store: Store) -> None:
    node = await new_job(store)
    changes = watched(store, Query(under="/config"), node.version)
    await done(store, Command("patchSpec", node.path, {"retries": 7}))
    await done(store, Command("delete", node.path))
    await done(store, Command("finalize", node.path, {"finalizer": "attempts"}), actor=SYSTEM)
    (seen,), _ = await until_bookmark(changes)
    assert (seen.what, seen.node.uid, seen.node.spec["retries"]) == ("deleted", node.uid, 7)
    assert (seen.node.generation, seen.node.finalizers) == (2, ())


async def test_changes_are_told_as_the_selector_sees_them(store: Store) -> None:
    for name, labels in (("a", {"team": "red"}), ("b", {}), ("c", {"team": "red"}), ("d", {"team": "red"})):
        await done(store, Command("create", f"{JOBS}/{name}", {"steps": STEPS}, labels))
    query = Query("Job", labels=label_selector("team=red"), fields=field_selector("status.phase=pending", FIELDS))
    changes = watched(store, query, (await store.head()).position)
    await done(store, Command("patchSpec", f"{JOBS}/a", {}, labels={"team": "blue"}))
    await done(store, Command("patchSpec", f"{JOBS}/b", {}, labels={"team": "red"}))
    await done(store, Command("patchStatus", f"{JOBS}/c", {"phase": "running"}), actor=SYSTEM)
    await done(store, Command("patchSpec", f"{JOBS}/d", {"retries": 1}))
    seen, position = await until_bookmark(changes)
    assert told(seen) == [("deleted", "a"), ("added", "b"), ("deleted", "c"), ("modified", "d")]
    assert seen[0].node == await present(store, f"{JOBS}/a")
    await done(store, Command("patchSpec", f"{JOBS}/a", {"retries": 3}))
    again = watched(store, query, position)
    assert (await until_bookmark(again))[0] == []


async def test_a_position_that_is_none_is_refused(store: Store) -> None:
    with pytest.raises(Invalid, match="the log ends at"):
        await until_bookmark(watched(store, Query("Job"), (await store.head()).position + 1))
    with pytest.raises(Gone):
        await until_bookmark(watched(store, Query("Job"), -1))
    with pytest.raises(Invalid, match="is no kind"):
        await until_bookmark(watched(store, Query("None"), 0))


async def test_a_watch_goes_on_from_its_bookmark_in_the_same_log_alone(store: Store) -> None:
    changes = watched(store, Query("Job"), (await store.head()).position)
    await done(store, job("a"))
    async with asyncio.timeout(PATIENCE_S):
        (bookmark,) = [change async for change in changes_through_bookmark(changes) if isinstance(change, Bookmark)]
    assert bookmark == Bookmark((await store.head()).position, await store.event_id(bookmark.position))
    await done(store, job("b"))
    assert told((await until_bookmark(watched(store, Query("Job"), bookmark)))[0]) == [("added", "b")]
    for position in (bookmark.position, bookmark.position + 100):
        with pytest.raises(Gone, match="the log is another one than before"):
            await until_bookmark(watched(store, Query("Job"), Bookmark(position, "0" * 32)))


async def changes_through_bookmark(changes: AsyncIterator[Seen | Bookmark]) -> AsyncIterator[Seen | Bookmark]:
    async for change in changes:
        yield change
        if isinstance(change, Bookmark):
            return


class PutBack:
    """A store that is put back before the n-th thing that it is asked, and is what it was to everybody who asks on."""

    def __init__(self, store: MemoryStore, copy: Copy, calls: int) -> None:
        self.model = store.model
        self._store, self._copy, self._left = store, copy, calls

    def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
        self._left -= 1
        if self._left == 0:
            self._store.put_back(self._copy)
        method: Callable[..., Awaitable[object]] = getattr(self._store, name)
        return method


async def test_whenever_another_log_is_put_back_nothing_counts_that_is_told_of_both(memory: MemoryStore) -> None:
    copy = memory.copy()
    await done(memory, job("a"), job("b"))
    one = memory.copy()
    memory.put_back(copy)
    await done(memory, job("c"), job("d"), job("e"))
    other = memory.copy()
    counted: set[tuple[str, ...]] = set()
    for calls in range(1, 30):
        memory.put_back(one)
        async with asyncio.timeout(PATIENCE_S):
            counted.add(await counting(cast("Store", PutBack(memory, other, calls)), copy.head.position))
    assert counted == {(), ("a", "b"), ("c", "d", "e")}


async def counting(store: Store, after: int) -> tuple[str, ...]:
    """The names of what counts, as far as a bookmark tells, until the nodes must be listed again or all is known."""
    names: list[str] = []
    staged: list[Seen] = []
    try:
        async for change in watch(store, Query("Job"), after, grown=asyncio.Event(), poll_s=0.001):
            if isinstance(change, Seen):
                staged.append(change)
                continue
            names += [name for _, name in told(staged)]
            staged.clear()
            if len(names) > 2:
                break
    except Gone:
        pass
    return tuple(names)


async def test_a_log_that_was_put_back_must_be_listed_again(memory: MemoryStore) -> None:
    copy = memory.copy()
    await done(memory, job("a"))
    changes = watched(memory, Query("Job"), copy.head.position)
    await until_bookmark(changes)
    memory.put_back(copy)
    await done(memory, job("b"), job("c"))
    with pytest.raises(Gone, match="another one"):
        await until_bookmark(changes)


_QUERIES = (
    Query("Job"),
    Query(),
    Query(under=GROUP),
    Query("Job", labels=label_selector("team=red")),
    Query(labels=label_selector("team in (red,blue)")),
    Query("Job", fields=field_selector("status.phase!=running", FIELDS)),
)


class Follower:
    """Has what it was told. It may be told of what it has, as long as that makes no difference."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes = {node.path: node for node in nodes}

    def take(self, seen: Iterable[Seen]) -> None:
        for change in seen:
            known = self.nodes.get(change.node.path)
            if change.what == "deleted":
                assert known is not None
                assert known.uid == change.node.uid
                del self.nodes[change.node.path]
            else:
                assert (change.what == "modified") == (known is not None)
                self.nodes[change.node.path] = change.node


async def follow(store: Store, history: list[list[Move]], number: int, stretch: int) -> None:
    """One follows from the beginning, one goes away and resumes, one has only the last part to catch up on."""
    await seed(store)
    versions, query = Versions(store), _QUERIES[number]
    await versions.note()
    steady, away = Follower([]), Follower([])
    position, resumed = 0, 0
    for step, part in enumerate(history):
        await versions.take(part)
        changes = watched(store, query, position, stretch=stretch)
        seen, position = await until_bookmark(changes) if position < versions.last else ([], position)
        steady.take(seen)
        if step % 2 and resumed < versions.last:
            seen, resumed = await until_bookmark(watched(store, query, resumed, stretch=stretch))
            away.take(seen)
            assert away.nodes == steady.nodes
        assert steady.nodes == {path: n for path, n in versions.at[versions.last].items() if fits(number, n)}


def fits(number: int, node: Node) -> bool:
    is_job = node.kind == "Job"
    return (
        is_job,
        True,
        node.path.startswith(f"{GROUP}/"),
        is_job and node.labels.get("team") == "red",
        node.labels.get("team") in ("red", "blue"),
        is_job and node.status.get("phase") != "running",
    )[number]


_histories = st.lists(moves, min_size=1, max_size=6)
_stretches = st.sampled_from([1, 3, STRETCH])


@budget(150)
@given(history=_histories, number=st.sampled_from(range(len(_QUERIES))), stretch=_stretches)
async def test_a_follower_of_the_fake_has_what_a_list_finds(
    history: list[list[Move]], number: int, stretch: int
) -> None:
    await follow(memory_store(), history, number, stretch)


@budget(6)
@given(history=_histories, number=st.sampled_from(range(len(_QUERIES))), stretch=_stretches)
async def test_a_follower_of_the_database_has_what_a_list_finds(
    databases: Databases, history: list[list[Move]], number: int, stretch: int
) -> None:
    url = await databases.create()
    try:
        async with PostgresStore(url, MODEL) as store:
            await follow(store, history, number, stretch)
    finally:
        await databases.drop(url)


async def test_a_large_gap_is_told_as_its_last_state(store: Store) -> None:
    """Over many stretches, each node once."""
    nodes = [await new_job(store, name) for name in ("a", "b", "gone")]
    position = (await store.head()).position
    for percent in range(1, 50):
        patches = [Command("patchStatus", node.path, {"percentCompleted": float(percent)}) for node in nodes]
        await store.append([unit(patch, actor=SYSTEM) for patch in patches])
    await done(store, Command("delete", nodes[2].path))
    await done(store, Command("finalize", nodes[2].path, {"finalizer": "attempts"}), actor=SYSTEM)
    seen, end = await until_bookmark(watched(store, Query("Job"), position, stretch=7))
    assert sorted(told(seen)) == [("deleted", "gone"), ("modified", "a"), ("modified", "b")]
    assert {s.node.path: s.node for s in seen if s.what == "modified"} == await store.nodes([n.path for n in nodes])
    assert end == (await store.head()).position
