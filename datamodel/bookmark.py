"""Bookmarks: a position of a log, with what tells that log from another one that has come to be in its place."""

import re
from dataclasses import dataclass
from typing import Protocol

from datamodel.errors import Gone, Invalid, not_kept

_TEXT = re.compile(r"([0-9]{1,18})-([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A position and the id of its event, by which the log is known again: a database that was restored, or has failed over to
    an older one, has another event there, or none. `event` is None at position 0."""

    position: int
    event: str | None

    @property
    def text(self) -> str:
        """As those keep it who are outside, such as the id of a server-sent event."""
        return f"{self.position}-{self.event or '0' * 32}"


def read_bookmark(text: str, field: str) -> Bookmark:
    """The bookmark that a text is. Raises `Invalid` naming `field`."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise Invalid("this is no position of a log", field=field)
    position = int(found[1])
    return Bookmark(position, found[2] if position else None)


class Known(Protocol):
    """The reads by which a log is known again, as the ports mean them."""

    async def oldest(self) -> int: ...

    async def event_id(self, position: int) -> str | None: ...


async def bookmark_at(store: Known, position: int) -> Bookmark:
    """The bookmark of a position that is kept."""
    return Bookmark(position, await store.event_id(position))


async def check_bookmark(store: Known, bookmark: Bookmark, field: str) -> int:
    """The oldest position that is kept. Raises `Gone` naming `field` where that of the bookmark is not any more, or the log is
    another one than it was."""
    oldest = await store.oldest()
    if bookmark.position < oldest:
        raise not_kept(bookmark.position, oldest, field)
    unknown = bookmark.position > 0 and bookmark.event is None
    if unknown or await store.event_id(bookmark.position) != bookmark.event:
        raise Gone("the log is another one than before: list again", oldest=await store.oldest(), field=field)
    return oldest
