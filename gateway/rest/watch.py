"""Watches: what a list finds as server-sent events, and then what becomes of it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from datamodel.bookmark import Bookmark, bookmark_at, check_bookmark, read_bookmark
from datamodel.errors import Gone, Transient
from datamodel.kinds import Document
from datamodel.moments import position_of
from datamodel.node import Node
from datamodel.plan import LIMIT_MAX, Plan
from datamodel.query import page
from datamodel.watching import Seen, watch
from gateway.backend import Backend
from gateway.problem import document_of
from gateway.rest.query import LAST_EVENT, Asked, naming_parameters

HEARTBEAT_S = 10.0
LOOK_S = 60.0
"""Without word of a change it is looked all the same: so the bookmark of who hears nothing does not grow too old."""
TOGETHER = 100
"""Events that are sent as one part."""

_COMMENT = b": nothing new\n\n"
_encode = msgspec.json.Encoder().encode

Shown = Callable[[Node], Document]


async def answer_watch(backend: Backend, request: Request, asked: Asked, document: Shown) -> Response:
    """The stream: with a `Last-Event-ID` or a moment, what has changed since; else what there is, first. Raises `Invalid`, and
    `Gone` where that is not kept any more or was another log's: then it must be listed again."""
    resumed = request.headers.get(LAST_EVENT)
    after: Bookmark | None = None
    with naming_parameters():
        Plan(backend.model, asked.query)
        if resumed:
            after = read_bookmark(resumed, LAST_EVENT)
            await check_bookmark(backend.store, after, LAST_EVENT)
        elif asked.as_of is not None:
            after = await bookmark_at(backend.store, await position_of(backend.store, asked.as_of))
    if after is None and asked.query.under:
        await backend.node_at(asked.query.under, (await backend.store.head()).position)
    events = _together(_events(backend, asked, after, document, request.url.path))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = until_closed(events, backend.changes.closing)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def until_closed(events: AsyncGenerator[bytes, None], closing: asyncio.Event) -> AsyncIterator[bytes]:
    """What comes, and a comment now and then where nothing does, until it ends or the gateway stops."""
    closed = asyncio.ensure_future(closing.wait())
    coming = asyncio.ensure_future(anext(events, None))
    try:
        while not closed.done():
            await asyncio.wait((coming, closed), timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
            if coming.done():
                part = coming.result()
                if part is None:
                    return
                yield part
                coming = asyncio.ensure_future(anext(events, None))
            elif not closed.done():
                yield _COMMENT
    finally:
        closed.cancel()
        coming.cancel()
        with suppress(asyncio.CancelledError):
            await coming
        await events.aclose()


async def _together(events: AsyncGenerator[tuple[bytes, bool], None]) -> AsyncGenerator[bytes, None]:
    """Events as the parts in which they are sent: what is told at once goes together."""
    parts: list[bytes] = []
    async with aclosing(events):
        async for event, ends in events:
            parts.append(event)
            if ends or len(parts) == TOGETHER:
                yield b"".join(parts)
                parts.clear()


async def _events(
    backend: Backend, asked: Asked, after: Bookmark | None, document: Shown, instance: str
) -> AsyncGenerator[tuple[bytes, bool], None]:
    """Each event, and whether it had better be sent now. A store that does not answer ends the stream: the client comes
    again with the last id."""
    try:
        with backend.growth.watch(asked.query.kind, asked.query.under) as grown:
            if after is None:
                query = replace(asked.query, limit=LIMIT_MAX)
                found = await page(backend.store, query)
                while True:
                    for node in found.nodes:
                        yield _event("added", document(node)), False
                    if not found.cursor:
                        break
                    found = await page(backend.store, query, cursor=found.cursor)
                after = found.bookmark
                yield _bookmark(after), True
            changes = watch(backend.growth.reads, asked.query, after, grown=grown, poll_s=LOOK_S)
            async with aclosing(changes):
                async for change in changes:
                    if isinstance(change, Seen):
                        yield _event(change.what, document(change.node)), False
                    else:
                        yield _bookmark(change), True
    except Gone as gone:
        yield _event("gone", document_of(gone, HTTPStatus.GONE, instance)), True
    except Transient:
        return


def _event(name: str, data: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode(data))


def _bookmark(bookmark: Bookmark) -> bytes:
    data = _encode({"position": bookmark.position})
    return b"id: %b\nevent: bookmark\ndata: %b\n\n" % (bookmark.text.encode(), data)
