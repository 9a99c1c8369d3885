"""Watches: all that a query finds, and then what becomes of it, for as long as somebody listens."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from datamodel.bookmark import Bookmark, bookmark_at, check_bookmark, read_bookmark
from datamodel.moments import Moment, position_of
from datamodel.plan import LIMIT_MAX, Plan, Query
from datamodel.query import page
from datamodel.watching import Seen, watch
from gateway.backend import Backend

LOOK_S = 60.0
"""Without word of a change it is looked all the same: so the bookmark of who hears nothing does not grow too old."""


async def watch_from(
    backend: Backend, query: Query, bookmark: str, as_of: Moment | None, field: str
) -> Bookmark | None:
    """Where a watch goes on: at a bookmark, which `field` is named for, or at a moment; None where it is to tell what there is,
    first. Raises `Invalid`, `NotFound` where nothing can be found, and `Gone` where that is not kept any more or was another
    log's: then it must be listed again."""
    Plan(backend.model, query)
    if bookmark:
        after = read_bookmark(bookmark, field)
        await check_bookmark(backend.store, after, field)
        return after
    if as_of is not None:
        return await bookmark_at(backend.store, await position_of(backend.store, as_of))
    if query.under:
        await backend.node_at(query.under, (await backend.store.head()).position)
    return None


async def watched(backend: Backend, query: Query, after: Bookmark | None) -> AsyncGenerator[Seen | Bookmark, None]:
    """What is seen from there on, with a bookmark after all that is told at once. Raises `Gone`, and `Transient`, after which a
    watch goes on from its last bookmark."""
    with backend.growth.watch(query.kind, query.under) as grown:
        if after is None:
            whole = replace(query, limit=LIMIT_MAX)
            found = await page(backend.store, whole)
            while True:
                for node in found.nodes:
                    yield Seen("added", node)
                if not found.cursor:
                    break
                found = await page(backend.store, whole, cursor=found.cursor)
            after = found.bookmark
            yield after
        changes = watch(backend.growth.reads, query, after, grown=grown, poll_s=LOOK_S)
        async with aclosing(changes):
            async for change in changes:
                yield change
