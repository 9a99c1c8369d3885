"""Watchers that a change wakes together ask the store once."""

import asyncio
from collections import Counter
from collections.abc import Collection
from contextlib import aclosing
from datetime import UTC, datetime

import pytest

from datamodel.errors import Transient
from datamodel.memory import MemoryStore
from datamodel.node import Node
from datamodel.plan import Query
from datamodel.ports import Head
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from datamodel.walk import Paths, Span
from datamodel.watching import Seen, watch
from gateway.shared import Shared
from tests.graph import counted_ids, done, job
from tests.waiting import until

WATCHERS = 50


class Counting(MemoryStore):
    """A store that counts what it is asked, and answers or fails when it is told to."""

    def __init__(self) -> None:
        super().__init__(MODEL, lambda: datetime.now(UTC), counted_ids())
        self.asked: Counter[str] = Counter()
        self.fails = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def head(self) -> Head:
        await self._note("head")
        return await super().head()

    async def changed(self, span: Span, after: int, through: int, limit: int) -> Paths:
        await self._note("changed")
        return await super().changed(span, after, through, limit)

    async def nodes_at(self, paths: Collection[str], position: int) -> dict[str, Node]:
        await self._note("nodes_at")
        return await super().nodes_at(paths, position)

    async def _note(self, what: str) -> None:
        self.asked[what] += 1
        await self.answers.wait()
        if self.fails:
            raise Transient("it does not answer")


@pytest.fixture
async def store() -> Counting:
    store = Counting()
    await seed(store)
    return store


async def test_a_change_costs_the_store_as_much_for_many_as_for_one(store: Counting) -> None:
    shared, waiting = Shared(store), [asyncio.Event() for _ in range(WATCHERS)]
    head = (await store.head()).position

    async def first_seen(grown: asyncio.Event) -> str:
        async with aclosing(watch(shared, Query("Job"), head, grown=grown, poll_s=60.0)) as told:
            async for seen in told:
                assert isinstance(seen, Seen)
                return seen.node.path
        raise AssertionError

    watching = [asyncio.create_task(first_seen(grown)) for grown in waiting]
    await asyncio.sleep(0.05)
    await done(store, job("a"))
    store.asked.clear()
    for grown in waiting:
        grown.set()
    assert set(await asyncio.gather(*watching)) == {"/config/job-groups/default/jobs/a"}
    assert store.asked == {"head": 1, "changed": 1, "nodes_at": 1}


async def test_a_question_that_is_on_its_way_is_asked_anew(store: Counting) -> None:
    shared = Shared(store)
    store.answers.clear()
    before = asyncio.create_task(shared.head())
    await until(lambda: store.asked["head"] == 1)
    store.asked.clear()
    later = asyncio.create_task(shared.head())
    await until(lambda: store.asked["head"] == 1)
    store.answers.set()
    await asyncio.gather(before, later)
    assert store.asked == {"head": 1}


async def test_who_goes_away_takes_nobodys_answer_along(store: Counting) -> None:
    shared = Shared(store)
    first, second = (asyncio.create_task(shared.head()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == await store.head()
    assert first.cancelled()


async def test_a_failure_is_everybodys(store: Counting) -> None:
    shared, store.fails = Shared(store), True
    told = await asyncio.gather(*(shared.head() for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in told] == [Transient] * 3
    assert store.asked == {"head": 1}
