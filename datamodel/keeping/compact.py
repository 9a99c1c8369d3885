"""Compaction: what is before a moment is folded into the base, and the log's segments before it are dropped.

It goes segment by segment: the segment is exported, the base moves over it in bounded steps, and then it is dropped. Each step
finds out what is left to do, so whoever was cut off anywhere is followed by somebody who goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from datamodel.errors import Conflict, Gone, Transient
from datamodel.keeping.export import export
from datamodel.moments import Moment, position_of
from datamodel.ports import Store
from datamodel.segments import FOLD_EVENTS

LEASE = "compaction"
LEASE_TTL_S = 5.0
"""How long whoever was cut off keeps others from going on. It is renewed before every step, and while one takes long."""


async def compact(
    store: Store,
    before: Moment,
    holder: str,
    *,
    directory: Path | None = None,
    told: Callable[[str], object] = lambda _: None,
) -> int:
    """Forgets the segments that lie wholly before the one which holds a moment, each of them after it was written to a file in
    a `directory`, where one is given; returns the oldest position that can be read then. `holder` names who does it, uniquely;
    `told` gets a line for each segment.

    Raises `Conflict` while somebody else does so, `Transient`, and `Invalid` where the moment is none or a file cannot be
    written; then it is done up to a segment, and can be done again.
    """

    async def hold() -> None:
        if LEASE not in await store.acquire([LEASE], holder, LEASE_TTL_S):
            raise Conflict(
                f"somebody else compacts the log, or was cut off while doing so in the last {LEASE_TTL_S:g} s"
            )

    await hold()
    renewing = asyncio.create_task(_renew(hold))
    try:
        position = await _position(store, before)
        for segment, following in pairwise(await store.segments()):
            if following.first > position:
                break
            if directory is not None:
                told(f"exported {await export(store, segment, directory, hold)}")
            while await _fold(store, following.first) < following.first:
                await hold()
            await store.drop_segment(segment)
            told(f"dropped positions {segment.first} to {segment.last}")
            await hold()
        return await store.oldest()
    finally:
        renewing.cancel()
        await asyncio.wait([renewing])  # else the lease could be taken again after it was released
        await store.release([LEASE], holder)


async def _renew(hold: Callable[[], Awaitable[None]]) -> None:
    """What goes wrong, the next step is told when it asks itself."""
    while True:
        await asyncio.sleep(LEASE_TTL_S / 3)
        with suppress(Conflict, Transient):
            await hold()


async def _position(store: Store, moment: Moment) -> int:
    """Of a moment that is gone already, the oldest that is not: somebody may have been cut off before it dropped what is
    older."""
    try:
        return await position_of(store, moment, "/before")
    except Gone as error:
        return error.oldest


async def _fold(store: Store, through: int) -> int:
    before = await store.oldest()
    after = await store.fold_base(through, FOLD_EVENTS)
    if before == after < through:
        raise Conflict(f"the log does not go on after position {after}: it is another one than before")
    return after
