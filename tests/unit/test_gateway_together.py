"""Pages of many parents: each is what it would be alone, and the store is asked as often as for one."""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from datamodel.command import Command
from datamodel.memory import MemoryStore
from datamodel.node import Node
from datamodel.plan import Query
from datamodel.ports import Head
from datamodel.query import Page, count, page
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from datamodel.selectors import EVERYTHING, Requirement, Selector, field_selector, label_selector
from datamodel.sorting import Place, sort_of
from datamodel.walk import Paths, Span, Walk, Walked
from gateway.together import Together
from tests.fuzz.budget import budget
from tests.graph import STEPS, counted_ids, done, memory_store
from tests.reading import Move, Versions, moves

GROUPS = ("g", "h", "default", "absent")
SORTS = ("path", "-path", "createdAt", "-version", "status.phase", "-status.phase")
LABELS = (EVERYTHING, label_selector("team=red"), label_selector("team!=blue"))
FIELDS = (EVERYTHING, field_selector("status.phase=pending", ["status.phase"]))


def under(group: str) -> str:
    return f"/config/job-groups/{group}"


class Counting(MemoryStore):
    """A store that counts what it is asked."""

    def __init__(self) -> None:
        super().__init__(MODEL, lambda: datetime.now(UTC), counted_ids())
        self.asked: Counter[str] = Counter()

    async def head(self) -> Head:
        self.asked["head"] += 1
        return await super().head()

    async def event_id(self, position: int) -> str | None:
        self.asked["event_id"] += 1
        return await super().event_id(position)

    async def walk_each(self, walks: Sequence[tuple[Walk, Place | None]], limit: int) -> list[Walked]:
        self.asked["walk"] += 1
        return await super().walk_each(walks, limit)

    async def count_each(self, walks: Sequence[Walk], terms: Sequence[Requirement]) -> list[int]:
        self.asked["count"] += 1
        return await super().count_each(walks, terms)

    async def changed(self, span: Span, after: int, through: int, limit: int) -> Paths:
        self.asked["changed"] += 1
        return await super().changed(span, after, through, limit)

    async def places_each(self, spans: Sequence[Span], limit: int) -> list[Paths]:
        self.asked["places"] += 1
        return await super().places_each(spans, limit)

    async def nodes_at(self, paths: Collection[str], position: int) -> dict[str, Node]:
        self.asked["nodes_at"] += 1
        return await super().nodes_at(paths, position)


async def pages(store: MemoryStore, queries: Sequence[Query], as_of: int, recent: int) -> list[list[str]]:
    """All pages of each list, told together."""
    together = Together(store)

    async def listed(query: Query) -> list[str]:
        found: Page = await page(together, query, as_of=as_of, recent=recent)
        paths = [node.path for node in found.nodes]
        while found.cursor:
            found = await page(together, query, cursor=found.cursor, recent=recent)
            paths += [node.path for node in found.nodes]
        return paths

    return list(await asyncio.gather(*map(listed, queries)))


@budget(25)
@given(
    before=moves,
    after=moves,
    sort=st.sampled_from(SORTS),
    labels=st.sampled_from(LABELS),
    fields=st.sampled_from(FIELDS),
    limit=st.integers(1, 4),
    recent=st.sampled_from((0, 10_000)),
)
async def test_pages_together_are_what_each_is_alone(
    before: list[Move],
    after: list[Move],
    sort: str,
    labels: Selector,
    fields: Selector,
    limit: int,
    recent: int,
) -> None:
    store = memory_store()
    await seed(store)
    versions = Versions(store)
    await versions.note()
    await versions.take(before)
    then, order = versions.last, sort_of(sort)
    await versions.take(after)
    query = Query("Job", labels=labels, fields=fields, sort=order, limit=limit)
    queries = [replace(query, under=under(group)) for group in GROUPS]
    alone = [[node.path for node in (await page(store, replace(q, limit=99), as_of=then)).nodes] for q in queries]
    assert await pages(store, queries, then, recent) == alone


async def test_many_parents_cost_the_store_as_much_as_two() -> None:
    asked = []
    for groups in (2, 40):
        store = Counting()
        await seed(store)
        names = [under(f"g{number:02}") for number in range(groups)]
        await done(store, *(Command("create", name) for name in names))
        jobs = [Command("create", f"{name}/jobs/{job}", {"steps": STEPS}) for name in names for job in "abc"]
        await done(store, *jobs)
        then = (await store.head()).position
        await done(store, *(Command("patchSpec", f"{name}/jobs/b", {"retries": 2}) for name in names))
        store.asked.clear()
        together = Together(store)
        for as_of, sort in ((None, "path"), (then, "path"), (then, "-status.phase")):
            queries = [Query("Job", name, sort=sort_of(sort), limit=2) for name in names]
            found = await asyncio.gather(*(page(together, query, as_of=as_of) for query in queries))
            assert all(len(one.nodes) == 2 and one.cursor for one in found)
        assert await asyncio.gather(*(count(together, query) for query in queries)) == [3] * groups
        asked.append(store.asked)
    assert asked[0] == asked[1]
    assert asked[0]["walk"] == 3
