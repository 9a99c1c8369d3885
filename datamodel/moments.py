"""Moments: the positions and times of which a reader may ask what was so then."""

from datetime import datetime

from datamodel.errors import Gone, Invalid
from datamodel.ports import Store

Moment = int | datetime
"""A position of the log, or a time, which stands for the last event at or before it."""


async def position_of(store: Store, moment: Moment, field: str = "/asOf") -> int:
    """The position that a moment stands for. Raises `Gone` where it is not kept any more, and `Invalid` for a position after
    the log's end and for a time without a zone."""
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise Invalid("a time needs its offset from UTC", field=field)
        moment = await store.position_at(moment)
    elif moment > (end := (await store.head()).position):
        raise Invalid(f"the log ends at {end}, before {moment}", field=field)
    oldest = await store.oldest()
    if moment < oldest:
        raise Gone(f"the graph is kept from position {oldest} on, not as of {moment}", oldest=oldest, field=field)
    return moment
