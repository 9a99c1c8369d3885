"""Pages: whatever happens between two of them, together they are the graph of one position."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.command import Command
from datamodel.errors import Gone, Invalid
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.postgres.store import PostgresStore
from datamodel.query import LIMIT_MAX, LOOKED_MAX, RECENT, ROUND_MAX, ROUND_NODES, Page, Query, count, page
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from datamodel.selectors import field_selector, label_selector
from tests.databases import Databases
from tests.fuzz.budget import budget
from tests.graph import JOBS, STEPS, SYSTEM, done, job, memory_store, new_edge, present
from tests.reading import Move, Versions, moves

GROUP = "/config/job-groups/g"
FIELDS = ("status.phase", "metadata.name", "spec.chunks")


def fields(text: str) -> Query:
    return Query("Job", fields=field_selector(text, FIELDS))


async def everything(store: Store, query: Query) -> list[str]:
    found = await page(store, query)
    paths = [node.path for node in found.nodes]
    while found.cursor:
        found = await page(store, query, cursor=found.cursor)
        paths += [node.path for node in found.nodes]
    return paths


async def test_nodes_are_found_by_place_kind_and_depth(store: Store) -> None:
    await new_edge(store)
    await done(store, Command("create", GROUP), Command("create", f"{GROUP}0"), Command("create", f"{GROUP}-x"))
    for group in (GROUP, f"{GROUP}0", f"{GROUP}-x"):
        await done(store, Command("create", f"{group}/jobs/a", {"steps": STEPS}))
    jobs = [f"{GROUP}-x/jobs/a", f"{GROUP}/jobs/a", f"{GROUP}0/jobs/a"]
    assert await everything(store, Query("Job")) == jobs
    assert await everything(store, Query("Job", under=GROUP)) == [f"{GROUP}/jobs/a"]
    assert await everything(store, Query(under=GROUP)) == [f"{GROUP}/jobs/a"]
    assert await everything(store, Query("Job", under="/inventory")) == []
    assert await everything(store, Query("Scheduler")) == ["/config/scheduler"]
    assert await everything(store, Query(depth=1)) == ["/config", "/desired-config", "/inventory"]
    groups = [path for path in await everything(store, Query(under="/config", depth=1)) if "/job-groups/" in path]
    assert groups == [f"{GROUP.rpartition('/')[0]}/{name}" for name in ("default", "g", "g-x", "g0")]
    assert set(jobs) < set(await everything(store, Query(under="/config", depth=2)))
    assert await everything(store, Query("Job", under="/config", depth=1)) == []
    assert await count(store, Query("Job")) == 3
    assert await count(store, Query("Job", under=GROUP)) == 1
    assert await count(store, Query()) == await store.count_nodes()


async def test_nodes_are_found_by_labels_and_fields(store: Store) -> None:
    labelled = {"a": {"team": "red"}, "b": {"team": "blue", "tier": "1"}, "c": {}, "d": {"team": "red", "tier": ""}}
    for name, labels in labelled.items():
        await done(store, Command("create", f"{JOBS}/{name}", {"steps": STEPS}, labels))
    await done(store, Command("patchStatus", f"{JOBS}/b", {"phase": "running"}), actor=SYSTEM)
    await done(store, Command("patchStatus", f"{JOBS}/c", {"phase": "failed"}), actor=SYSTEM)
    for text, names in (
        ("team=red", "ad"),
        ("team in (red,blue)", "abd"),
        ("team in (red,blue),tier", "bd"),
        ("team!=red", "bc"),
        ("tier=", "d"),
        ("!team", "c"),
        ("team=green", ""),
    ):
        found = await everything(store, Query("Job", labels=label_selector(text)))
        assert found == [f"{JOBS}/{name}" for name in names], text
        assert await everything(store, Query(under=JOBS.rpartition("/")[0], labels=label_selector(text))) == found
        assert await count(store, Query("Job", labels=label_selector(text))) == len(names)
    for text, names in (
        ("status.phase=pending", "ad"),
        ("status.phase!=pending", "bc"),
        ("status.phase=running,metadata.name=b", "b"),
        ("metadata.name=c", "c"),
        ("metadata.name!=c,status.phase=failed", ""),
    ):
        assert await everything(store, fields(text)) == [f"{JOBS}/{name}" for name in names], text
        assert await count(store, fields(text)) == len(names)
    both = replace(fields("status.phase=pending"), labels=label_selector("tier"))
    assert await everything(store, both) == [f"{JOBS}/d"]


async def test_fields_and_labels_of_edges(store: Store) -> None:
    for name in ("a", "b"):
        await new_edge(store, name)
    known = ("spec.runtime", "status.phase")
    for text, number in (("spec.runtime=simulated", 2), ("spec.runtime=docker", 0), ("status.phase=online", 2)):
        assert await count(store, Query("Edge", fields=field_selector(text, known))) == number


async def test_pages_go_on_at_their_position_whatever_happens(store: Store) -> None:
    for name in "abcdef":
        await done(store, Command("create", f"{JOBS}/{name}", {"steps": STEPS}, {"n": name}))
    query = replace(fields("status.phase=pending"), limit=2)
    first = await page(store, query)
    before = {name: await present(store, f"{JOBS}/{name}") for name in "abcdef"}
    for name, status in (("c", "running"), ("a", "failed")):
        await done(store, Command("patchStatus", f"{JOBS}/{name}", {"phase": status}), actor=SYSTEM)
    await done(store, Command("delete", f"{JOBS}/d"))
    await done(store, Command("finalize", f"{JOBS}/d", {"finalizer": "attempts"}), actor=SYSTEM)
    await done(store, job("d"), job("cc"), job("g"))
    second = await page(store, query, cursor=first.cursor)
    third = await page(store, query, cursor=second.cursor)
    assert [*first.nodes, *second.nodes, *third.nodes] == list(before.values())
    assert {first.position, second.position, third.position} == {first.position}
    assert third.cursor == ""
    assert await everything(store, query) == [f"{JOBS}/{name}" for name in ("b", "cc", "d", "e", "f", "g")]


@pytest.mark.parametrize("recent", [0, RECENT])
async def test_more_may_come_and_go_than_a_page_looks_at(store: Store, recent: int) -> None:
    edges = [f"/desired-config/sites/s/edges/e{number:04}" for number in range(2 * ROUND_NODES + 50)]
    create = [Command("create", path) for path in edges]
    await done(store, Command("create", "/desired-config/sites/s"), *create, actor=SYSTEM)
    query = Query("DesiredEdge", limit=50)
    found = await page(store, query)
    newcomers = [Command("create", f"{edges[49]}-{number:03}") for number in range(2 * ROUND_NODES + 50)]
    await done(store, *newcomers, actor=SYSTEM)
    gone = [*(command.path for command in newcomers), *edges[3:-3]]
    await done(store, *(Command("delete", path) for path in gone), actor=SYSTEM)
    paths = [node.path for node in found.nodes]
    while found.cursor:
        found = await page(store, query, cursor=found.cursor, recent=recent)
        paths += [node.path for node in found.nodes]
    assert paths == edges


async def test_what_makes_no_sense_is_refused_by_name(store: Store) -> None:
    phase = field_selector("status.phase=pending", FIELDS)
    for query, field in (
        (Query("None"), "/kind"),
        (Query(fields=phase), "/kind"),
        (Query("JobGroup", fields=phase), "/fieldSelector"),
        (Query("Job", limit=0), "/limit"),
        (Query("Job", limit=LIMIT_MAX + 1), "/limit"),
        (Query("Job", depth=0), "/depth"),
        (Query("Job", under="/none"), "/metadata/path"),
    ):
        with pytest.raises(Invalid) as refused:
            await page(store, query)
        assert refused.value.field == field


async def test_a_cursor_that_is_none_is_refused(store: Store) -> None:
    await done(store, job("a"), job("b"))
    query = Query("Job", limit=1)
    first = await page(store, query)

    def encoded(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).decode()

    decoded = base64.urlsafe_b64decode(first.cursor + "==").decode()
    for cursor in (
        *("x", "é", "!", first.cursor[:-2], "A" * 4_096, encoded("{}"), encoded("[1]")),
        encoded(decoded.replace("[3,", "[2,")),
        encoded(decoded.replace(f"[3,{first.position},", "[3,-1,")),
        encoded(decoded.replace(f"[3,{first.position},", f"[3,{2**63},")),
        encoded(decoded.replace("/jobs/a", "\\u0000")),
        encoded(decoded.replace('"",', "7,")),
    ):
        with pytest.raises(Invalid) as refused:
            await page(store, query, cursor=cursor)
        assert refused.value.field == "/cursor"
    for other in (Query("Job", limit=1, under="/config"), replace(query, labels=label_selector("a"))):
        with pytest.raises(Invalid, match="another query"):
            await page(store, other, cursor=first.cursor)
    assert [n.path for n in (await page(store, replace(query, limit=9), cursor=first.cursor)).nodes] == [f"{JOBS}/b"]


@pytest.mark.parametrize("grown", [0, 1, 5])
async def test_a_list_of_a_log_that_was_put_back_does_not_go_on_in_the_new_one(grown: int) -> None:
    """Whether that is shorter than the old one was, as long or longer."""
    store = memory_store()
    await seed(store)
    copy = store.copy()
    await done(store, job("a"), job("b"))
    query = Query("Job", limit=1)
    first = await page(store, query)
    store.put_back(copy)
    await done(store, *(job(f"c{number}") for number in range(grown)))
    with pytest.raises(Gone) as refused:
        await page(store, query, cursor=first.cursor)
    assert refused.value.field == "/cursor"
    onward = await page(store, replace(query, limit=9), cursor=refused.value.cursor)
    assert [node.path for node in onward.nodes] == [f"{JOBS}/c{number}" for number in range(grown)]


_QUERIES: Sequence[tuple[Query, Callable[[Node], bool]]] = (
    (Query("Job"), lambda node: node.kind == "Job"),
    (Query(), lambda _: True),
    (Query(under=GROUP), lambda node: node.path.startswith(f"{GROUP}/")),
    (Query("Job", under=GROUP), lambda node: node.path.startswith(f"{GROUP}/")),
    (Query("Job", labels=label_selector("team=red")), lambda n: n.kind == "Job" and n.labels.get("team") == "red"),
    (Query(labels=label_selector("team in (red,blue)")), lambda node: node.labels.get("team") in ("red", "blue")),
    (Query(labels=label_selector("!team")), lambda node: "team" not in node.labels),
    (fields("status.phase=pending"), lambda n: n.kind == "Job" and n.status.get("phase", "pending") == "pending"),
    (fields("status.phase!=running"), lambda n: n.kind == "Job" and n.status.get("phase") != "running"),
    (fields("metadata.name=a"), lambda node: node.kind == "Job" and node.path.endswith("/a")),
)

histories = st.tuples(
    moves,
    st.lists(
        st.tuples(st.sampled_from(range(len(_QUERIES))), st.integers(1, 3), st.sampled_from([0, RECENT])), max_size=4
    ),
    st.lists(moves, max_size=6),
)
_History = tuple[list[Move], list[tuple[int, int, int]], list[list[Move]]]


async def walk_while_it_changes(store: Store, history: _History) -> None:
    """Lists are begun, of the present and of the past, and each goes on by one page after every few changes."""
    before, begun, between = history
    await seed(store)
    versions = Versions(store)
    await versions.note()
    await versions.take(before)
    lists: list[tuple[Query, int, int, list[Page]]] = []
    for number, limit, recent in begun:
        query = replace(_QUERIES[number][0], limit=limit)
        positions = sorted(versions.at)
        as_of = [None, positions[len(positions) // 2]][limit % 2]
        lists.append((query, number, recent, [await page(store, query, as_of=as_of, recent=recent)]))
    for moved in [*between, *[[]] * 1_000]:
        await versions.take(moved)
        for query, _, recent, pages in lists:
            if pages[-1].cursor:
                pages.append(await page(store, query, cursor=pages[-1].cursor, recent=recent))
        if not moved and not any(pages[-1].cursor for *_, pages in lists):
            break
    for query, number, _, pages in lists:
        (position,) = {found.position for found in pages}
        nodes = versions.at[position]
        expected = [nodes[path] for path in sorted(nodes) if _QUERIES[number][1](nodes[path])]
        assert [node for found in pages for node in found.nodes] == expected
        assert all(len(found.nodes) <= query.limit for found in pages)
        assert await count(store, query, as_of=position) == len(expected)
        assert await count(store, query) == sum(map(_QUERIES[number][1], versions.at[versions.last].values()))
    await versions.check()


@budget(200)
@given(history=histories)
async def test_pages_in_the_fake_are_of_one_position(history: _History) -> None:
    await walk_while_it_changes(memory_store(), history)


@budget(8)
@given(history=histories)
async def test_pages_in_the_database_are_of_one_position(databases: Databases, history: _History) -> None:
    url = await databases.create()
    try:
        async with PostgresStore(url, MODEL) as store:
            await walk_while_it_changes(store, history)
    finally:
        await databases.drop(url)


async def test_a_page_looks_at_a_bounded_part(store: Store) -> None:
    """Where few nodes fit what no index tells, a page is short and the next one goes on."""
    edges = [f"/desired-config/sites/s/edges/e{number:04}" for number in range(LOOKED_MAX + ROUND_MAX)]
    create = [Command("create", path) for path in ("/desired-config/sites/s", *edges)]
    for first in range(0, len(create), 2_000):
        await done(store, *create[first : first + 2_000], actor=SYSTEM)
    last = edges[-1].rpartition("/")[2]
    query = Query("DesiredEdge", fields=field_selector(f"metadata.name={last}", ["metadata.name"]), limit=1)
    found = await page(store, query)
    assert (found.nodes, bool(found.cursor)) == ([], True)
    assert await everything(store, query) == [edges[-1]]


async def test_a_page_is_full_where_more_follow(store: Store) -> None:
    """Also where most of what an index finds does not fit."""
    names = [f"j{number:04}" for number in range(6 * ROUND_NODES)]
    await done(
        store, *(Command("create", f"{JOBS}/{n}", {"steps": STEPS}, {"even": str(int(n[1:]) % 2)}) for n in names)
    )
    query = Query("Job", labels=label_selector("even!=0"), limit=ROUND_NODES)
    found = await page(store, query)
    assert [len(found.nodes)] == [ROUND_NODES]
    while found.cursor:
        found = await page(store, query, cursor=found.cursor)
        assert len(found.nodes) == ROUND_NODES or not found.cursor
