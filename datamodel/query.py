"""Queries: which nodes are asked for, and pages of them that all show one position of the log.

A page is the present rows that are not newer than the position, with the images at the position of those that have changed or
gone since. So nothing is held open between two pages: the cursor is the position and the last place that was looked at. It
knows its log again, for in another one the same position is another graph.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import attrgetter
from typing import Protocol

from datamodel.bookmark import Bookmark, Known, bookmark_at, check_bookmark
from datamodel.cursor import read_cursor, written_cursor
from datamodel.errors import Gone, Invalid
from datamodel.former import Former
from datamodel.model import Model
from datamodel.moments import Kept, Moment, position_of
from datamodel.node import Node
from datamodel.plan import LIMIT_MAX, Plan, Query
from datamodel.selectors import Requirement
from datamodel.sorting import BY_PATH, Place, place_of
from datamodel.walk import END, Paths, Span, Walk, Walked

__all__ = [
    "LIMIT_MAX",
    "LOOKED_MAX",
    "RECENT",
    "ROUND_MAX",
    "ROUND_NODES",
    "Listed",
    "Page",
    "Plan",
    "Query",
    "count",
    "cursor_after",
    "page",
]

ROUND_NODES = 200
"""Nodes that are looked at for a page, or its limit and one more, and just that where all that is walked fits. Where few do,
more are, twice as many each time."""
ROUND_MAX = 1_600
LOOKED_MAX = 5_000
"""Nodes looked at after which a page ends, full or not."""
RECENT = 10_000
"""Changes since a page's position that are sought among all changes; beyond, they are sought among all paths."""

_PATH = attrgetter("path")


@dataclass(frozen=True, slots=True)
class Page:
    """Nodes as they were at a position, and where the next page begins (empty at the end). A page that another one follows is
    full, unless 5,000 nodes and more had to be looked at for it, of which few fit. `bookmark`: a watch that begins with it
    tells what has changed since."""

    nodes: list[Node]
    cursor: str
    bookmark: Bookmark

    @property
    def position(self) -> int:
        return self.bookmark.position


class Listed(Kept, Known, Protocol):
    """The reads that pages are put together of, as the ports mean them."""

    @property
    def model(self) -> Model: ...

    async def walk(self, walk: Walk, after: Place | None, limit: int) -> Walked: ...

    async def count_walk(self, walk: Walk, terms: Sequence[Requirement]) -> int: ...

    async def changed(self, span: Span, after: int, through: int, limit: int) -> Paths: ...

    async def places(self, span: Span, limit: int) -> Paths: ...

    async def nodes_at(self, paths: Collection[str], position: int) -> dict[str, Node]: ...


async def page(
    store: Listed, query: Query, *, cursor: str = "", as_of: Moment | None = None, recent: int = RECENT
) -> Page:
    """The first page, of the present or as of a moment; or with a cursor the one that follows, of the same position. Raises
    `Invalid`, and `Gone` where the position is not kept any more, or was another log's."""
    plan = Plan(store.model, query)
    digest = _digest(query)
    bookmark, after = None, None
    if cursor:
        bookmark, after = await _resumed(store, plan, digest, cursor)
    elif as_of is not None:
        bookmark = await bookmark_at(store, await position_of(store, as_of))
    elif query.sort != BY_PATH:
        bookmark = await bookmark_at(store, (await store.head()).position)
    try:
        found, through, bookmark = await _found(store, plan, bookmark, after, query.limit, recent)
    except Gone as gone:
        raise await _with_cursor(gone, store, digest, after) from gone
    return Page(found, "" if through is None else written_cursor(digest, bookmark, through), bookmark)


def cursor_after(model: Model, query: Query, bookmark: Bookmark, node: Node) -> str:
    """The cursor of a list as of a bookmark that goes on after one of its nodes."""
    return written_cursor(_digest(query), bookmark, place_of(query.sort, model.kinds[node.kind], node))


async def count(store: Listed, query: Query, *, as_of: Moment | None = None, most: int | None = None) -> int:
    """How many nodes a query finds at one position. The store counts what is present; of a moment, and where phases are asked
    for, all are read. Raises `Invalid` where it reads more than `most`."""
    query = replace(query, limit=LIMIT_MAX, sort=BY_PATH)
    if as_of is None and not query.phases:
        plan = Plan(store.model, query)
        return await store.count_walk(plan.walk, [*plan.terms()])
    found = await page(store, query, as_of=as_of)
    total = len(found.nodes)
    while found.cursor:
        if most is not None and total > most:
            raise Invalid(f"there are more than {most} nodes, which are not counted one by one")
        found = await page(store, query, cursor=found.cursor)
        total += len(found.nodes)
    return total


async def _found(
    store: Listed, plan: Plan, bookmark: Bookmark | None, after: Place | None, limit: int, recent: int
) -> tuple[list[Node], Place | None, Bookmark]:
    """The nodes of a page as of a bookmark (of none, which is for a page by path: as they are when they are first read, and the
    bookmark of that), and the place up to which they are all that fit (None: there are no more)."""
    former = Former(store, plan, bookmark.position, after, limit + 1) if bookmark and plan.sort != BY_PATH else None
    found: list[Node] = []
    looked, look, enough = 0, max(ROUND_NODES, limit + 1), limit
    if plan.finds_all:
        look, enough = limit + 1, limit + 1
    while True:
        if bookmark is not None and former is not None:
            nodes, through = await _next_sorted(store, plan, bookmark.position, after, look, former)
        else:
            nodes, through, bookmark = await _next_by_path(store, plan, bookmark, after, look, recent)
        found += nodes
        looked += look
        if through is None or len(found) >= enough or looked >= LOOKED_MAX:
            break
        after, look = through, max(look, min(2 * look, ROUND_MAX))
    if len(found) > limit:
        through = plan.place(found[limit - 1])
    return found[:limit], through, bookmark


async def _next_by_path(
    store: Listed, plan: Plan, bookmark: Bookmark | None, after: Place | None, look: int, recent: int
) -> tuple[list[Node], Place | None, Bookmark]:
    """Nodes after a place that fit, up to another one, in their order. The present is read first: what has changed until then
    is among the changes, of which only those are looked at that are between the two."""
    present = await store.walk(plan.walk, after, look)
    assert present.bookmark is not None, "it is a walk by path"
    bookmark = bookmark or present.bookmark
    position, end = bookmark.position, present.bookmark.position
    through = present.through.path if present.through is not None else END
    nodes = [node for node in present.nodes if node.version <= position]
    if end > position:
        window = plan.walk.span.between(after.path if after is not None else "", through)
        if end - position <= recent:
            changed = await store.changed(window, position, end, look)
        else:
            changed = await store.places(window, look)
        if changed.through != END:
            through = min(through, changed.through)
        known = {node.path for node in nodes}
        others = [path for path in changed.paths if path not in known and plan.may_find(path)]
        nodes += (await store.nodes_at(others, position)).values()
        nodes.sort(key=_PATH)
    found = [node for node in nodes if node.path <= through and (not plan.selects or plan.fits(node))]
    return found, None if through == END else Place("", through), bookmark


async def _next_sorted(
    store: Listed, plan: Plan, position: int, after: Place | None, look: int, former: Former
) -> tuple[list[Node], Place | None]:
    """The same in any other order, where what changed may have been at any place."""
    present = await store.walk(plan.walk, after, look)
    await former.read((await store.head()).position)
    fitting = {plan.place(node): node for node in present.nodes if node.version <= position and plan.fits(node)}
    fitting |= former.between(after, present.through)
    places = sorted(fitting, reverse=plan.sort.descending)
    return [fitting[place] for place in places], present.through


async def _resumed(store: Listed, plan: Plan, digest: str, cursor: str) -> tuple[Bookmark, Place | None]:
    """The bookmark and place of a cursor. Of one that is too old, or of another log, `Gone` has the cursor that goes on in the
    present."""
    bookmark, after = read_cursor(cursor, digest, plan.sort)
    try:
        await check_bookmark(store, bookmark, "/cursor")
    except Gone as gone:
        raise await _with_cursor(gone, store, digest, after) from gone
    return bookmark, after


async def _with_cursor(gone: Gone, store: Listed, digest: str, after: Place | None) -> Gone:
    onward = written_cursor(digest, await bookmark_at(store, (await store.head()).position), after)
    return Gone(gone.message, oldest=gone.oldest, field=gone.field or "/cursor", cursor=onward)


@lru_cache(maxsize=1_024)
def _digest(query: Query) -> str:
    """Of what must be the same for all pages of a list; the limit need not be."""
    told = repr(replace(query, limit=0))
    return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()
