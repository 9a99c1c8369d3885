"""Sorted lists: whatever happens between two pages, together they are the graph of one position in one order."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from datamodel import former
from datamodel.command import Command
from datamodel.errors import Gone, Invalid
from datamodel.model import Model
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.postgres.orders import FEW
from datamodel.postgres.store import PostgresStore
from datamodel.query import ROUND_NODES, Page, Query, page
from datamodel.seeds import seed
from datamodel.selectors import field_selector, label_selector
from datamodel.sorting import BY_PATH, Sort, sort_of
from tests.databases import Databases
from tests.fuzz.budget import budget
from tests.graph import SYSTEM, done, memory_store, send
from tests.library import BOOKS, READER, SORTED, book, key_of, shelf
from tests.reading import Versions

SHELVES = ("a", "b")
SORTS = ("path", "createdAt", "version", *SORTED)


@pytest.fixture
def model() -> Model:
    return BOOKS


@pytest_asyncio.fixture
async def library(store: Store) -> Store:
    await furnish(store)
    return store


async def furnish(store: Store) -> None:
    await done(
        store, Command("create", "/library"), *(Command("create", shelf(name)) for name in SHELVES), actor=READER
    )


async def pages(store: Store, query: Query, as_of: int | None = None) -> list[Page]:
    found = [await page(store, query, as_of=as_of)]
    while found[-1].cursor:
        found.append(await page(store, query, cursor=found[-1].cursor))
    return found


async def names(store: Store, sort: str, limit: int = 2, **query: Any) -> list[str]:
    found = await pages(store, Query("Book", sort=sort_of(sort), limit=limit, **query))
    return [node.path.rpartition("/")[2] for one in found for node in one.nodes]


async def test_books_are_sorted_by_everything_and_backwards(library: Store) -> None:
    for command in (
        book("c", pages=-5, title="b", price=1.5, since="2026-01-01T01:00:00+02:00"),
        book("a", on="b", pages=1000, title="a", price=-0.5, isLent=True, since="2026-01-01T00:00:00.5Z"),
        book("d", pages=20, title="A", since="2026-01-01T00:00:00Z"),
        book("b", pages=20, price=1e300),
    ):
        await done(library, command, actor=READER)
    await done(library, Command("patchStatus", f"{shelf('a')}/books/c", {"phase": "read"}), actor=SYSTEM)
    for sort, order in (
        ("path", "bcda"),
        ("createdAt", "cadb"),
        ("version", "adbc"),
        ("spec.title", "dacb"),
        ("spec.pages", "cbda"),
        ("spec.price", "acbd"),
        ("spec.isLent", "bcda"),
        ("spec.since", "cdab"),
        ("status.phase", "bdac"),
        ("path", "bcda"),
    ):
        assert await names(library, sort) == [*order], sort
        if sort:
            assert await names(library, f"-{sort}", limit=3) == [*reversed(order)], sort


async def test_numbers_and_times_of_any_size_are_in_order(library: Store) -> None:
    numbers = [-1e30, -256, -255.5, -1, -0.0, 1e-300, 1, 2, 9, 10, 99, 100, 2**53, 1e30]
    commands = [book(f"b{(7 * n) % 30:02}", on=SHELVES[n % 2], price=number) for n, number in enumerate(numbers)]
    await done(library, *commands, actor=READER)
    found = await pages(library, Query("Book", sort=sort_of("spec.price"), limit=4))
    assert [node.spec["price"] for one in found for node in one.nodes] == numbers


async def test_a_sort_key_is_that_of_the_position(library: Store) -> None:
    """Books that change their place between two pages, go, or come, and books of the past."""
    for number, name in enumerate("abcdef"):
        await done(library, book(name, pages=number), actor=READER)
    query = Query("Book", sort=sort_of("-spec.pages"), limit=2)
    before = (await library.head()).position
    first = await page(library, query)
    for name, pages_ in (("a", 9), ("d", -1), ("f", 7)):
        await done(library, Command("patchSpec", f"{shelf('a')}/books/{name}", {"pages": pages_}), actor=READER)
    await done(library, Command("delete", f"{shelf('a')}/books/c"), book("g", pages=1), actor=READER)
    second = await page(library, query, cursor=first.cursor)
    third = await page(library, query, cursor=second.cursor)
    found = [node for one in (first, second, third) for node in one.nodes]
    assert [(node.path[-1], node.spec["pages"]) for node in found] == [*zip("fedcba", range(5, -1, -1), strict=True)]
    assert {one.position for one in (first, second, third)} == {before}
    assert [node for one in await pages(library, query, as_of=before) for node in one.nodes] == found
    assert await names(library, "-spec.pages") == [*"afegbd"]
    assert await names(library, "-version") == [*"gfdaeb"]
    assert [
        n.path[-1] for one in await pages(library, replace(query, sort=sort_of("-version")), before) for n in one.nodes
    ] == [*"fedcba"]


async def test_sorted_lists_of_places_labels_and_fields(library: Store) -> None:
    commands = [
        book(
            f"b{n:02}",
            on=SHELVES[n % 2],
            labels={"even": str(n % 2), "team": "xyz"[n % 3]},
            pages=n % 7,
            title=str(n % 2),
        )
        for n in range(40)
    ]
    await done(library, *commands, actor=READER)
    query = Query("Book", sort=sort_of("-spec.pages"), limit=7)
    cases: Sequence[tuple[Query, Callable[[int], bool]]] = (
        (replace(query, under=shelf("b")), lambda n: n % 2 == 1),
        (replace(query, labels=label_selector("team in (x,z)")), lambda n: n % 3 != 1),
        (replace(query, labels=label_selector("team!=x"), under=shelf("a")), lambda n: n % 3 != 0 and n % 2 == 0),
        (
            replace(query, fields=field_selector("spec.title=1,spec.pages!=3", SORTED)),
            lambda n: n % 2 == 1 and n % 7 != 3,
        ),
    )
    for one, fits in cases:
        expected = sorted(((n % 7, SHELVES[n % 2], n) for n in range(40) if fits(n)), reverse=True)
        found = await pages(library, one)
        assert [int(node.path[-2:]) for each in found for node in each.nodes] == [n for *_, n in expected]
        assert all(len(each.nodes) == 7 for each in found[:-1])


async def test_nodes_of_all_kinds_are_sorted_by_what_all_have(library: Store) -> None:
    await done(library, book("a"), book("b", on="b"), actor=READER)
    await done(library, Command("patchSpec", shelf("a"), {}, labels={"n": "1"}), actor=READER)
    for sort in ("path", "createdAt", "version"):
        for text in (sort, f"-{sort}"):
            found = [n for one in await pages(library, Query(sort=sort_of(text), limit=3)) for n in one.nodes]
            assert found == sorted(found, key=lambda node: key_of(sort, node), reverse=text != sort)
            assert len(found) == await library.count_nodes()


async def test_a_long_list_is_walked_and_no_node_is_left_out(library: Store) -> None:
    """Of more nodes than are sorted where they are few."""
    total = 2 * FEW + 100
    commands = [
        book(f"b{(n * 7919) % 10_000:05}", on=SHELVES[n % 2], pages=n % 50, title=str(n % 3)) for n in range(total)
    ]
    for first in range(0, total, 1_000):
        await done(library, *commands[first : first + 1_000], actor=READER)
    everything = [n for one in await pages(library, Query("Book", limit=1_000)) for n in one.nodes]
    for text in ("spec.pages", "-spec.pages", "-createdAt", "version", "-path"):
        sort = sort_of(text)
        for query in (
            Query("Book", sort=sort, limit=400),
            Query("Book", under=shelf("a"), sort=sort, limit=400),
            Query("Book", fields=field_selector("spec.title=1", SORTED), sort=sort, limit=200),
        ):
            fitting = [
                n
                for n in everything
                if n.path.startswith(query.under or "/") and (not query.fields.requirements or n.spec["title"] == "1")
            ]
            expected = sorted(fitting, key=lambda node: key_of(sort.name, node), reverse=sort.descending)
            found = await pages(library, query)
            assert [node for one in found for node in one.nodes] == expected, query
            assert all(len(one.nodes) == query.limit for one in found[:-1])


async def test_nothing_is_overtaken_by_what_is_found_sooner(library: Store) -> None:
    """Where most of what is looked at does not fit, neither another kind nor a former image comes before its turn."""
    skipped = [book(f"b{n:03}", labels={"skip": "1"}, pages=n) for n in range(2 * ROUND_NODES + 50)]
    await done(library, *skipped, book("y", pages=2_000), book("z", pages=1_000), actor=READER)
    shelves = [Command("create", shelf(f"s{n:03}")) for n in range(ROUND_NODES + 50)]
    await done(library, *shelves, actor=READER)
    position = (await library.head()).position
    by_creation = Query(under="/library", labels=label_selector("skip!=1"), sort=sort_of("createdAt"), limit=7)
    found = [node.path for one in await pages(library, by_creation) for node in one.nodes]
    assert found == [*map(shelf, SHELVES), f"{shelf('a')}/books/y", f"{shelf('a')}/books/z", *(c.path for c in shelves)]
    await done(library, Command("patchSpec", f"{shelf('a')}/books/y", {"pages": 0}), actor=READER)
    by_pages = Query("Book", labels=label_selector("skip!=1"), sort=sort_of("spec.pages"), limit=1)
    found = [node.path[-1] for one in await pages(library, by_pages, position) for node in one.nodes]
    assert found == ["z", "y"]


async def test_an_order_that_is_none_is_refused_by_name(library: Store) -> None:
    for query in (
        *(
            Query("Book", sort=sort_of(text))
            for text in ("none", "spec.none", "-", "--path", "+path", "metadata.name", "é\x00")
        ),
        Query("Shelf", sort=sort_of("spec.title")),
        Query(sort=sort_of("spec.title")),
        Query("Book", sort=Sort("")),
    ):
        with pytest.raises(Invalid) as refused:
            await page(library, query)
        assert refused.value.field == "/sort"


async def test_a_cursor_belongs_to_one_order(library: Store) -> None:
    await done(library, *(book(name, pages=number) for number, name in enumerate("abc")), actor=READER)
    query = Query("Book", sort=sort_of("spec.pages"), limit=1)
    first = await page(library, query)
    for other in ("path", "-spec.pages", "spec.price", "version"):
        with pytest.raises(Invalid, match="another query") as refused:
            await page(library, replace(query, sort=sort_of(other)), cursor=first.cursor)
        assert refused.value.field == "/cursor"
    rest = await page(library, replace(query, limit=9), cursor=first.cursor)
    assert [node.path[-1] for node in rest.nodes] == ["b", "c"]


async def test_a_list_that_is_too_old_says_where_to_go_on(library: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(former, "SINCE_MAX", 3)
    await done(library, *(book(name, pages=number) for number, name in enumerate("abcd")), actor=READER)
    query = Query("Book", sort=sort_of("spec.pages"), limit=1)
    first = await page(library, query)
    for number in (10, 0, 11):
        await done(library, Command("patchSpec", f"{shelf('a')}/books/b", {"pages": number}), actor=READER)
    second = await page(library, query, cursor=first.cursor)
    assert [node.spec["pages"] for node in second.nodes] == [1]
    await done(library, Command("patchSpec", f"{shelf('a')}/books/b", {"pages": 12}), actor=READER)
    with pytest.raises(Gone) as gone:
        await page(library, query, cursor=second.cursor)
    assert (gone.value.field, gone.value.oldest) == ("/sort", first.position + 1)
    onward = await page(library, replace(query, limit=9), cursor=gone.value.cursor)
    assert [(node.path[-1], node.spec["pages"]) for node in onward.nodes] == [("c", 2), ("d", 3), ("b", 12)]
    with pytest.raises(Gone):
        await page(library, query, as_of=first.position)


_Move = tuple[str, int, int]
_MOVES = ("create", "create", "create", "pages", "price", "lent", "since", "title", "phase", "label", "delete")
_moves = st.lists(st.tuples(st.sampled_from(_MOVES), st.integers(0, 9), st.integers(0, 4)), min_size=1, max_size=25)
_NARROWED: Sequence[tuple[Query, Callable[[Node], bool]]] = (
    (Query("Book"), lambda _: True),
    (Query("Book", under=shelf("a")), lambda node: node.path.startswith(shelf("a"))),
    (Query("Book", labels=label_selector("n in (0,1)")), lambda node: node.labels.get("n") in ("0", "1")),
    (Query("Book", labels=label_selector("n!=1")), lambda node: node.labels.get("n") != "1"),
    (Query("Book", fields=field_selector("spec.price=", SORTED)), lambda node: node.spec.get("price") is None),
)
_begun = st.tuples(
    st.sampled_from(SORTS), st.booleans(), st.integers(0, len(_NARROWED) - 1), st.integers(1, 3), st.booleans()
)
_histories = st.tuples(_moves, st.lists(_begun, min_size=1, max_size=4), st.lists(_moves, max_size=5))
_History = tuple[list[_Move], list[tuple[str, bool, int, int, bool]], list[list[_Move]]]

_VALUES: dict[str, tuple[Any, ...]] = {
    "pages": (-3, 0, 7, 10, 200),
    "price": (None, -1.5, 0.0, 2, 1e9),
    "isLent": (False, True, True, False, True),
    "since": (
        None,
        "2026-01-01T00:00:00Z",
        "2026-01-01T01:00:00+02:00",
        "2026-01-01T00:00:00.5Z",
        "2026-01-01T00:00:01Z",
    ),
    "title": ("", "a", "Z", "é", "\U0001f600"),
}


async def change(store: Store, move: _Move) -> None:
    """A refusal changes nothing."""
    name, which, value = move
    path = f"{shelf(SHELVES[which % 2])}/books/b{which // 2}"
    field = {"lent": "isLent"}.get(name, name)
    match name:
        case "create":
            spec = {each: values[(value + which) % 5] for each, values in _VALUES.items() if (value + which) % 4}
            await send(store, Command("create", path, spec, {"n": str(value % 3)}), actor=READER)
        case "phase":
            phases = ("new", "read", "torn")
            await send(store, Command("patchStatus", path, {"phase": phases[value % 3]}), actor=SYSTEM)
        case "label":
            await send(store, Command("patchSpec", path, {}, {"n": str(value % 3)}), actor=READER)
        case "delete":
            await send(store, Command("delete", path), actor=READER)
        case _:
            await send(store, Command("patchSpec", path, {field: _VALUES[field][value]}), actor=READER)


async def walk_while_it_changes(store: Store, history: _History) -> None:
    before, begun, between = history
    await seed(store)
    await furnish(store)
    versions = Versions(store)

    async def take(moves: list[_Move]) -> None:
        for move in moves:
            await change(store, move)
            await versions.note()

    await versions.note()
    await take(before)
    lists: list[tuple[Query, Callable[[Node], bool], list[Page]]] = []
    for sort, descending, number, limit, in_the_past in begun:
        query, fits = _NARROWED[number]
        query = replace(query, sort=Sort(sort, descending), limit=limit)
        positions = sorted(position for position in versions.at if position)
        as_of = positions[len(positions) // 2] if in_the_past else None
        lists.append((query, fits, [await page(store, query, as_of=as_of)]))
    for moves in [*between, *[[]] * 1_000]:
        await take(moves)
        for query, _, found in lists:
            if found[-1].cursor:
                found.append(await page(store, query, cursor=found[-1].cursor))
        if not moves and not any(found[-1].cursor for *_, found in lists):
            break
    for query, fits, found in lists:
        (position,) = {one.position for one in found}
        nodes = [node for node in versions.at[position].values() if node.kind == "Book" and fits(node)]
        name, descending = query.sort.name, query.sort.descending
        expected = sorted(nodes, key=lambda node: key_of(name, node), reverse=descending)
        assert [node for one in found for node in one.nodes] == expected
        assert all(len(one.nodes) == query.limit for one in found[:-1])
        assert query.sort != BY_PATH or name == "path"
    await versions.check()


@budget(150)
@given(history=_histories)
async def test_sorted_pages_in_the_fake_are_of_one_position(history: _History) -> None:
    await walk_while_it_changes(memory_store(BOOKS), history)


@budget(8)
@given(history=_histories)
async def test_sorted_pages_in_the_database_are_of_one_position(databases: Databases, history: _History) -> None:
    url = await databases.create()
    try:
        async with PostgresStore(url, BOOKS) as store:
            await walk_while_it_changes(store, history)
    finally:
        await databases.drop(url)
