"""Watching: what becomes of the nodes that a query finds, from a position on, for as long as somebody listens.

Each look at the log compares two positions of it and tells the last state of what changed between: so it makes no difference
whether a watcher was away for a moment or for a hundred thousand changes, and nothing is buffered for a slow one.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from datamodel.bookmark import Bookmark, Known, bookmark_at, check_bookmark
from datamodel.errors import not_kept
from datamodel.model import Model
from datamodel.moments import Kept, position_of
from datamodel.node import Node
from datamodel.query import Plan, Query
from datamodel.walk import END, Paths, Span

FIELD = "/after"
"""What is wrong with the position that a watch begins at."""
STRETCH = 100_000
"""Positions that are looked through at a time."""
PATHS = 10_000
"""Found in a stretch at a time; it is looked through once for so many."""
NODES = 500
"""Read at a time."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A node as the query sees it: it is found now (`added`), is found still (`modified`), or is not found any more
    (`deleted`), with its last state: that before it went, or if it is there still, the one that does not fit."""

    what: Literal["added", "modified", "deleted"]
    node: Node


class Watched(Kept, Known, Protocol):
    """The reads that a watch takes, as the ports mean them."""

    @property
    def model(self) -> Model: ...

    async def changed(self, span: Span, after: int, through: int, limit: int) -> Paths: ...

    async def nodes_at(self, paths: Collection[str], position: int) -> dict[str, Node]: ...

    async def departed(self, paths: Collection[str], after: int, through: int) -> dict[str, tuple[int, Node]]: ...


async def watch(
    store: Watched, query: Query, after: int | Bookmark, *, grown: asyncio.Event, poll_s: float, stretch: int = STRETCH
) -> AsyncGenerator[Seen | Bookmark, None]:
    """What changed after a position, in no order but with a bookmark after all of it, and then what changes. A bookmark says
    that all changes up to it have been told: what was told since the one before counts from there on, and a watch can be begun
    again with it. `grown` is set by who hears that the log has grown; `poll_s` is how soon a change is seen of which no word
    came.

    Raises `Gone` where the position is not kept any more, or the log is another one than it was (restored, failed over):
    then the nodes must be listed again. Raises `Transient`, after which a watch goes on from its last bookmark, and `Invalid`
    for a query or position that makes no sense.
    """
    plan = Plan(store.model, query)
    known = after if isinstance(after, Bookmark) else await bookmark_at(store, await position_of(store, after, FIELD))
    while True:
        grown.clear()
        position, end = known.position, (await store.head()).position
        if known.event is None or await store.event_id(position) != known.event:
            await check_bookmark(store, known, FIELD)
        if end > position:
            last = await bookmark_at(store, end)
            for begin in range(position, end, stretch):
                async for seen in _told(store, plan, position, end, (begin, min(begin + stretch, end))):
                    yield seen
            oldest = await check_bookmark(store, last, FIELD)  # so it had not become another log's,
            if position < oldest:  # and nothing of what was looked through was gone already
                raise not_kept(position, oldest, FIELD)
            known = last
            yield known
        else:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(poll_s):
                    await grown.wait()


async def _told(store: Watched, plan: Plan, start: int, end: int, stretch: tuple[int, int]) -> AsyncIterator[Seen]:
    """What is different at `end` from what was so at `start`, of the nodes whose last change or end is in a stretch between."""
    after = ""
    while after != END:
        changed = await store.changed(plan.walk.span.between(after, END), *stretch, PATHS)
        after = changed.through
        paths = [path for path in changed.paths if store.model.locate(path)[0].__name__ in plan.kinds]
        for first in range(0, len(paths), NODES):
            for seen in await _compared(store, plan, start, end, stretch, paths[first : first + NODES]):
                yield seen


async def _compared(
    store: Watched, plan: Plan, start: int, end: int, stretch: tuple[int, int], paths: list[str]
) -> list[Seen]:
    begin, through = stretch
    present = await store.nodes_at(paths, end)
    fresh = [path for path in paths if path not in present or present[path].created_version > start]
    went = {
        path: node
        for path, (position, node) in (await store.departed(fresh, start, end)).items()
        if node.created_version <= start and begin < position <= through
    }
    present = {path: node for path, node in present.items() if begin < node.version <= through}
    found = await _found_before(store, plan, start, [*went, *(path for path in present if path not in fresh)])
    return [seen for path in paths for seen in _seen(plan, went.get(path), present.get(path), found, path, start)]


async def _found_before(store: Watched, plan: Plan, start: int, paths: list[str]) -> set[str]:
    """Those of these paths, at all of which there was a node, whose node was found. Without selectors, that is all of them."""
    if not plan.selects:
        return set(paths)
    return {path for path, node in (await store.nodes_at(paths, start)).items() if plan.fits(node)}


def _seen(plan: Plan, went: Node | None, node: Node | None, found: set[str], path: str, start: int) -> Iterator[Seen]:
    """Of one path: the node that went, and the one that is there."""
    if went is not None and path in found:
        yield Seen("deleted", went)
    if node is not None:
        was_found = node.created_version <= start and path in found
        if plan.fits(node):
            yield Seen("modified" if was_found else "added", node)
        elif was_found:
            yield Seen("deleted", node)
