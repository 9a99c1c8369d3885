"""What the log tells of a node of any kind, a page at a time: its events, and what differs between two moments."""

import base64
import binascii
import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import msgspec

from datamodel.bookmark import Bookmark, bookmark_at, check_bookmark, read_bookmark
from datamodel.difference import Difference, difference
from datamodel.errors import Invalid, NotFound
from datamodel.event import Event
from datamodel.history import NodeEvents
from datamodel.moments import Moment
from datamodel.query import Listed
from gateway.backend import Backend

_LAST = 2**62
"""After every position."""
_CURSOR_LIMIT = 2_048


@dataclass(frozen=True, slots=True)
class Past:
    """Events of all nodes that have lived at a path. Where there may have been more before the oldest position that is kept,
    `kept_from` is that; else it is 0."""

    events: list[Event]
    cursor: str | None
    kept_from: int


@dataclass(frozen=True, slots=True)
class Changed:
    """Differences between two positions, in order of path."""

    found: list[Difference]
    cursor: str | None
    first: int
    second: int


class _DiffCursor(msgspec.Struct, array_like=True, frozen=True):
    """Where a page of differences goes on: both positions, the event of the second one, the last path, and of which query."""

    first: int
    second: int
    event: str
    path: str
    query: str


class Told(Listed, Protocol):
    """What is read of the past, as the ports mean it."""

    async def history_each(
        self, paths: Collection[str], *, after: int = 0, before: int | None = None, limit: int = 100
    ) -> dict[str, NodeEvents]: ...


async def history_of(
    backend: Backend,
    path: str,
    *,
    limit: int,
    cursor: str | None,
    oldest_first: bool,
    field: str,
    reads: Told | None = None,
) -> Past:
    """A page of events. Raises `NotFound` where no node has lived at the path, as far as the log is kept, and what is wrong
    with a cursor, naming `field`. Through `reads` it goes together with what others ask there."""
    reads, after = reads or backend.store, None
    query = _digest(path, oldest_first)
    if cursor:
        place, _, of = cursor.rpartition("-")
        bookmark = read_bookmark(place, field)
        _check_query(of, query, field)
        await check_bookmark(reads, bookmark, field)
        after = bookmark.position
    if oldest_first:
        told = await reads.history_each([path], after=after or 0, limit=limit + 1)
    else:
        told = await reads.history_each([path], before=_LAST if after is None else after, limit=limit + 1)
    found = told[path]
    if not found.events and after is None:
        await backend.node(path)
    events = found.events[:limit]
    onward = f"{Bookmark(events[-1].position, events[-1].id).text}-{query}" if len(found.events) > limit else None
    return Past(events, onward, found.kept_from)


async def difference_of(
    backend: Backend,
    path: str,
    moments: tuple[Moment, Moment | None],
    *,
    below: bool,
    limit: int,
    cursor: str | None,
    field: str,
    reads: Told | None = None,
) -> Changed:
    """A page of what is different at a path, and with `below` everywhere below it, from one moment to a later one (None: now).
    Raises `NotFound` where there is a node at neither, and what is wrong with a cursor, naming `field`."""
    store, (first, second), after = reads or backend.store, moments, ""
    query = _digest(path, below)
    if cursor:
        known = _read_cursor(cursor, field)
        _check_query(known.query, query, field)
        await check_bookmark(store, Bookmark(known.second, known.event), field)
        first, second, after = known.first, known.second, known.path
    if second is None:
        second = (await store.head()).position
    try:
        found = await difference(store, path, first, second, below=below, after=after, limit=limit)
    except Invalid as error:
        raise Invalid(error.message, field=error.field if after == "" else field) from error
    if not found.found and not after:
        await _check_there(store, path, found.first, found.second)
    onward = None
    if found.after:
        event = (await bookmark_at(store, found.second)).event or ""
        onward = _written_cursor(_DiffCursor(found.first, found.second, event, found.after, query))
    return Changed(found.found, onward, found.first, found.second)


async def _check_there(store: Told, path: str, *positions: int) -> None:
    """Raises `NotFound` where there is a node at neither position: nothing is no difference of it."""
    for position in positions:
        if path in await store.nodes_at([path], position):
            return
    raise NotFound(f"{path} does not exist at position {positions[-1]}")


def _digest(path: str, flag: bool) -> str:  # noqa: FBT001 -- what of a query must be the same for all its pages
    return hashlib.blake2b(f"{path} {flag}".encode(), digest_size=8).hexdigest()


def _check_query(of: str, query: str, field: str) -> None:
    if of != query:
        raise Invalid("this cursor belongs to another query", field=field)


def _written_cursor(cursor: _DiffCursor) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def _read_cursor(text: str, field: str) -> _DiffCursor:
    try:
        if len(text) > _CURSOR_LIMIT:
            raise Invalid("this is no cursor", field=field)
        encoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = msgspec.json.decode(encoded, type=_DiffCursor)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise Invalid("this is no cursor", field=field) from error
    if not 0 <= cursor.first <= cursor.second < _LAST or "\x00" in cursor.path:
        raise Invalid("this is no cursor", field=field)
    return cursor
