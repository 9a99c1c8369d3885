"""Watches: what a list finds as server-sent events, and then what becomes of it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from datamodel.bookmark import Bookmark
from datamodel.errors import Gone, Transient
from datamodel.kinds import Document
from datamodel.node import Node
from datamodel.watching import Seen
from gateway.backend import Backend
from gateway.problem import document_of
from gateway.rest.query import LAST_EVENT, Asked, naming_parameters
from gateway.watches import watch_from, watched

HEARTBEAT_S = 10.0
TOGETHER = 100
"""Events that are sent as one part."""

_COMMENT = b": nothing new\n\n"
_encode = msgspec.json.Encoder().encode

Shown = Callable[[Node], Document]


async def answer_watch(backend: Backend, request: Request, asked: Asked, document: Shown) -> Response:
    """The stream: with a `Last-Event-ID` or a moment, what has changed since; else what there is, first. Raises `Invalid`, and
    `Gone` where that is not kept any more or was another log's: then it must be listed again."""
    with naming_parameters():
        after = await watch_from(backend, asked.query, request.headers.get(LAST_EVENT, ""), asked.as_of, LAST_EVENT)
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
        async with aclosing(watched(backend, asked.query, after)) as changes:
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
