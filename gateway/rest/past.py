"""What the log tells of a node of any kind: as it was, the events that made it so, and what differs between two moments."""

import base64
import binascii
from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from datamodel.bookmark import Bookmark, bookmark_at, check_bookmark, read_bookmark
from datamodel.difference import Difference, difference
from datamodel.errors import Invalid
from datamodel.kinds import Document
from datamodel.moments import Moment, position_of
from datamodel.node import Node
from gateway.backend import Backend
from gateway.page import LIMIT_DEFAULT, LIMIT_MAX, checked_limit
from gateway.rest.answer import json_answer, node_document
from gateway.rest.query import check_declared, flag_of, moment_of, naming_parameters, number_of

HISTORY: tuple[Document, ...] = (
    {
        "name": "sort",
        "in": "query",
        "schema": {"enum": ["position", "-position"], "default": "-position"},
        "description": "the newest first, or the oldest",
    },
    {
        "name": "limit",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT},
    },
    {"name": "cursor", "in": "query", "schema": {"type": "string"}, "description": "the `cursor` of the page before"},
)
_MOMENT: Document = {"type": "string", "description": "a position of the log or a time (RFC 3339)"}
DIFF: tuple[Document, ...] = (
    {"name": "from", "in": "query", "required": True, "schema": _MOMENT},
    {"name": "to", "in": "query", "schema": _MOMENT, "description": "the present, where there is none"},
    {
        "name": "below",
        "in": "query",
        "schema": {"type": "boolean", "default": False},
        "description": "everything below the node too",
    },
    *HISTORY[1:],
)
_LAST = 2**62
"""After every position."""
_CURSOR_LIMIT = 2_048


class _DiffCursor(msgspec.Struct, array_like=True, frozen=True):
    """Where a page of differences goes on: both positions, the event of the second one, and the last path."""

    first: int
    second: int
    event: str
    path: str


async def node_as_of(backend: Backend, path: str, moment: Moment | None) -> Node:
    """The node as it was at a moment, None for the present. Raises `NotFound`, `Invalid` and `Gone`."""
    if moment is None:
        return await backend.node(path)
    with naming_parameters():
        return await backend.node_at(path, await position_of(backend.store, moment))


async def answer_history(backend: Backend, path: str, request: Request) -> Response:
    """The events of all nodes that have lived at a path. Raises `NotFound` where none has, as far as the log is kept."""
    given = request.query_params
    check_declared(given, [parameter["name"] for parameter in HISTORY])
    limit, sort = _limit(given), given.get("sort", "-position")
    if sort not in ("position", "-position"):
        raise Invalid("position or -position", field="?sort")
    after: int | None = None
    if cursor := given.get("cursor"):
        bookmark = read_bookmark(cursor, "?cursor")
        await check_bookmark(backend.store, bookmark, "?cursor")
        after = bookmark.position
    if sort == "position":
        found = await backend.store.history(path, after=after or 0, limit=limit + 1)
    else:
        found = await backend.store.history(path, before=_LAST if after is None else after, limit=limit + 1)
    if not found.events and after is None:
        await backend.node(path)
    events = found.events[:limit]
    more = len(found.events) > limit
    onward = Bookmark(events[-1].position, events[-1].id).text if more else None
    return json_answer({"items": events, "cursor": onward, "keptFrom": found.kept_from})


async def answer_difference(backend: Backend, path: str, request: Request) -> Response:
    """What is different at a path, and with `below` everywhere below it, from one moment to a later one."""
    given = request.query_params
    check_declared(given, [parameter["name"] for parameter in DIFF])
    limit, below = _limit(given), flag_of(given, "below")
    first, second = moment_of(given, "from"), moment_of(given, "to")
    if first is None:
        raise Invalid("from which moment?", field="?from")
    after = ""
    if cursor := given.get("cursor"):
        known = _read_cursor(cursor)
        await check_bookmark(backend.store, Bookmark(known.second, known.event), "?cursor")
        first, second, after = known.first, known.second, known.path
    store = backend.store
    with naming_parameters():
        if second is None:
            second = (await store.head()).position
        try:
            found = await difference(store, path, first, second, below=below, after=after, limit=limit)
        except Invalid as error:
            raise Invalid(error.message, field=error.field if after == "" else "/cursor") from error
    if not found.found and not after:
        await _check_there(backend, path, found.first, found.second)
    onward = None
    if found.after:
        event = (await bookmark_at(store, found.second)).event or ""
        onward = _written_cursor(_DiffCursor(found.first, found.second, event, found.after))
    items = [_difference_document(backend, one) for one in found.found]
    return json_answer({"items": items, "cursor": onward, "from": found.first, "to": found.second})


async def _check_there(backend: Backend, path: str, *positions: int) -> None:
    """Raises `NotFound` where there is a node at neither position: nothing is no difference of it."""
    for position in positions[:-1]:
        if path in await backend.store.nodes_at([path], position):
            return
    await backend.node_at(path, positions[-1])


def _difference_document(backend: Backend, found: Difference) -> Document:
    return {
        "path": found.path,
        "change": found.kind,
        "before": node_document(backend.model, found.before) if found.before is not None else None,
        "after": node_document(backend.model, found.after) if found.after is not None else None,
    }


def _limit(given: Mapping[str, str]) -> int:
    limit = given.get("limit")
    return LIMIT_DEFAULT if limit is None else checked_limit(number_of(limit), "?limit")


def _written_cursor(cursor: _DiffCursor) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def _read_cursor(text: str) -> _DiffCursor:
    try:
        if len(text) > _CURSOR_LIMIT:
            raise Invalid("this is no cursor", field="?cursor")
        encoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = msgspec.json.decode(encoded, type=_DiffCursor)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise Invalid("this is no cursor", field="?cursor") from error
    if not 0 <= cursor.first <= cursor.second < _LAST or "\x00" in cursor.path:
        raise Invalid("this is no cursor", field="?cursor")
    return cursor
