"""Moments: the positions and times of which a reader may ask what was so then."""

from datetime import UTC, datetime
from typing import Protocol

from datamodel.errors import Gone, Invalid, not_kept
from datamodel.ports import Head

Moment = int | datetime
"""A position of the log, or a time, which stands for the last event at or before it."""


def read_moment(text: str, field: str) -> Moment:
    """The moment that a text is. Raises `Invalid` naming `field`."""
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            raise Invalid("a time needs its offset from UTC", field=field)
        return time.astimezone(UTC)
    except (ValueError, OverflowError) as error:  # there are times near the ends of the calendar that have none in UTC
        raise Invalid("a position of the log, or a time as 2026-01-31T12:00:00Z", field=field) from error


class Kept(Protocol):
    """The reads that tell which moments there are, as the ports mean them."""

    async def head(self) -> Head: ...

    async def oldest(self) -> int: ...

    async def position_at(self, time: datetime) -> int: ...


async def position_of(store: Kept, moment: Moment, field: str = "/asOf") -> int:
    """The position that a moment stands for. Raises `Gone` where it is not kept any more, and `Invalid` for a position after
    the log's end and for a time without a zone."""
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise Invalid("a time needs its offset from UTC", field=field)
        try:
            return await store.position_at(moment)
        except Gone as error:
            raise Gone(error.message, oldest=error.oldest, field=field) from error
    if moment > (end := (await store.head()).position):
        raise Invalid(f"the log ends at {end}, before {moment}", field=field)
    oldest = await store.oldest()
    if moment < oldest:
        raise not_kept(moment, oldest, field)
    return moment
