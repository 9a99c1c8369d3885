"""Many walks as one question: each finds what it would find alone, in every order, by place, label, field and link."""

from dataclasses import replace

import pytest

from datamodel.command import Command
from datamodel.errors import Invalid
from datamodel.plan import Plan, Query
from datamodel.ports import Store
from datamodel.query import count, page
from datamodel.selectors import EVERYTHING, field_selector, label_selector
from datamodel.sorting import Place, sort_of
from datamodel.walk import Span, Walk
from tests.graph import STEPS, SYSTEM, done, new_edge, new_job, place, report

GROUPS = ("a", "a-b", "b", "empty", "absent")
SORTS = ("path", "-path", "createdAt", "-createdAt", "version", "-version", "status.phase", "-status.phase")
RED = label_selector("team=red")
RUNNING = field_selector("status.phase=running", ["status.phase"])


def group(name: str) -> str:
    return f"/config/job-groups/{name}"


async def fill(store: Store) -> None:
    await done(store, *(Command("create", group(name)) for name in GROUPS[:-1]))
    for number, name in enumerate("xyzuv"):
        labels = {"team": "red"} if number % 2 else {"team": "blue"}
        jobs = [Command("create", f"{group(of)}/jobs/{name}", {"steps": STEPS}, labels) for of in GROUPS[:3]]
        await done(store, *jobs)
    for of, name in (("a", "y"), ("a", "u"), ("b", "x")):
        await done(store, Command("patchStatus", f"{group(of)}/jobs/{name}", {"phase": "running"}), actor=SYSTEM)


def plans(store: Store, query: Query) -> list[Plan]:
    return [Plan(store.model, replace(query, under=group(name))) for name in GROUPS]


@pytest.mark.parametrize("labels", [EVERYTHING, RED], ids=["all", "labelled"])
@pytest.mark.parametrize("fields", [EVERYTHING, RUNNING], ids=["any", "running"])
async def test_each_walk_finds_what_it_finds_alone(store: Store, labels: object, fields: object) -> None:
    await fill(store)
    for sort in map(sort_of, SORTS):
        query = Query("Job", labels=labels, fields=fields, sort=sort)  # type: ignore[arg-type]
        walks = [plan.walk for plan in plans(store, query)]
        for limit in (1, 2, 9):
            after: list[Place | None] = [None] * len(walks)
            for _ in range(7):
                found = await store.walk_each(list(zip(walks, after, strict=True)), limit)
                alone = [await store.walk(walk, begin, limit) for walk, begin in zip(walks, after, strict=True)]
                assert found == alone
                after = [walked.through for walked in found]
        terms = [list(plan.terms()) for plan in plans(store, query)]
        counts = await store.count_each(walks, terms[0])
        assert counts == [await store.count_walk(walk, terms[0]) for walk in walks]
        assert counts == [len((await page(store, replace(query, under=group(name)))).nodes) for name in GROUPS]


async def test_the_places_of_each_span(store: Store) -> None:
    await fill(store)
    spans = [Span.below(group(name)) for name in GROUPS]
    for limit in (1, 3, 9):
        assert await store.places_each(spans, limit) == [await store.places(span, limit) for span in spans]


async def test_nodes_are_found_by_where_a_link_leads(store: Store) -> None:
    await new_edge(store, cpu=9.0, memoryBytes=2**40)
    mine, other = await new_job(store, "mine", chunks=4), await new_job(store, "other", chunks=1)
    attempts = [await place(store, mine, index) for index in range(4)]
    (others,) = [await place(store, other)]
    await done(store, Command("patchSpec", "/config/job-groups/default", {"description": "d"}))
    for sort in ("path", "-path", "createdAt", "-createdAt"):
        query = Query("Attempt", link="job", target=mine.uid, sort=sort_of(sort), limit=3)
        first = await page(store, query)
        second = await page(store, query, cursor=first.cursor)
        found = [node.path for node in (*first.nodes, *second.nodes)]
        assert (len(found), sorted(found), second.cursor) == (4, sorted(attempts), "")
        assert found == sorted(attempts, reverse=sort.startswith("-")) or sort.endswith("createdAt")
        assert await count(store, query) == 4
    walks = [Plan(store.model, Query("Attempt", link="job", target=uid)).walk for uid in (mine.uid, "none", other.uid)]
    found_each = await store.walk_each([(walk, None) for walk in walks], 9)
    assert [[node.path for node in walked.nodes] for walked in found_each] == [sorted(attempts), [], [others]]
    assert await store.count_each(walks, []) == [4, 0, 1]
    named = field_selector(f"metadata.name={attempts[2].rpartition('/')[2]}", ["metadata.name"])
    query = Query("Attempt", fields=named, link="job", target=mine.uid)
    assert [node.path for node in (await page(store, query)).nodes] == [attempts[2]]
    assert await count(store, query) == 1


async def test_a_link_is_followed_into_the_past(store: Store) -> None:
    await new_edge(store, cpu=9.0, memoryBytes=2**40)
    job = await new_job(store, chunks=2)
    first = await place(store, job, 0)
    then = (await store.head()).position
    second = await place(store, job, 1)
    await report(store, first, phase="running", percent=50.0)
    for sort in ("path", "-createdAt"):
        query = Query("Attempt", link="job", target=job.uid, sort=sort_of(sort))
        assert {node.path for node in (await page(store, query)).nodes} == {first, second}
        (was,) = (await page(store, query, as_of=then)).nodes
        assert (was.path, was.phase) == (first, "")
        assert await count(store, query, as_of=then) == 1


async def test_what_is_no_link_is_refused(store: Store) -> None:
    for query in (Query("Job", link="job", target="x"), Query(link="job", target="x")):
        with pytest.raises(Invalid) as error:
            await page(store, query)
        assert error.value.field == "/link"


async def test_more_than_is_read_is_not_counted(store: Store) -> None:
    await done(store, *(Command("create", group(f"g{number:04}")) for number in range(1_001)))
    then = (await store.head()).position
    assert await count(store, Query("JobGroup"), as_of=then, most=1_000) == 1_002
    with pytest.raises(Invalid):
        await count(store, Query("JobGroup"), as_of=then, most=900)


def test_walks_that_differ_in_more_than_their_place_are_not_alike() -> None:
    walk = Walk(("Job",), Span(), "label:a", ("b",))
    assert walk.is_like(replace(walk, span=Span("a")))
    for other in (replace(walk, kinds=("Edge",)), replace(walk, values=("c",)), replace(walk, sort=sort_of("-path"))):
        assert not walk.is_like(other)
