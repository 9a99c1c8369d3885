"""Cursors: where a list goes on, as text for whoever asked: the list's bookmark, and the last place that was looked at."""

import base64
import binascii

import msgspec

from datamodel.bookmark import Bookmark
from datamodel.errors import Invalid
from datamodel.sorting import NUMBERED, Place, Sort

CURSOR_LIMIT = 2_048

_VERSION = 3
_NUMBER_LIMIT = 2**63


class _Cursor(msgspec.Struct, array_like=True):
    version: int
    position: int
    after: str
    query: str
    key: int | str = ""
    event: str | None = None


def written_cursor(query: str, of: Bookmark, after: Place | None) -> str:
    """The cursor of a query (by its digest) as of a bookmark, that goes on after a place, None for the beginning."""
    key, path = after or ("", "")
    cursor = _Cursor(_VERSION, of.position, path, query, key, of.event)
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def read_cursor(text: str, query: str, sort: Sort) -> tuple[Bookmark, Place | None]:
    """The bookmark and place of a cursor. Raises `Invalid` naming `/cursor`, also where it belongs to another query."""
    try:
        if len(text) > CURSOR_LIMIT:
            raise Invalid("this is no cursor", field="/cursor")
        encoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = msgspec.json.decode(encoded, type=_Cursor)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise Invalid("this is no cursor", field="/cursor") from error
    if cursor.version != _VERSION:
        raise Invalid(f"this cursor is of version {cursor.version}, not {_VERSION}: list again", field="/cursor")
    if cursor.query != query:
        raise Invalid("this cursor belongs to another query", field="/cursor")
    if not _makes_sense(cursor, sort):
        raise Invalid("this is no cursor", field="/cursor")
    return Bookmark(cursor.position, cursor.event), Place(cursor.key, cursor.after) if cursor.after else None


def _makes_sense(cursor: _Cursor, sort: Sort) -> bool:
    if not 0 <= cursor.position < _NUMBER_LIMIT or "\x00" in cursor.after:
        return False
    if isinstance(cursor.key, int):
        return sort.name in NUMBERED and 0 <= cursor.key < _NUMBER_LIMIT
    return (not cursor.after or sort.name not in NUMBERED) and "\x00" not in cursor.key
