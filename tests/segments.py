"""Logs in small segments, which tests can compact."""

import asyncpg

from datamodel.keeping.compact import compact
from datamodel.memory import MemoryStore
from datamodel.ports import Store
from datamodel.postgres.segments import attach_segment
from datamodel.segments import FOLD_EVENTS, Segment

SIZE = 7
"""Positions of a small segment."""


async def in_small_segments(store: Store, url: str = "", *, count: int = 30, size: int = SIZE) -> None:
    """The log so far becomes one segment, and so many small ones wait for what comes. `url` is of the database, if the store is
    on one."""
    head = (await store.head()).position
    segments = [Segment(first, first + size - 1) for first in range(head + 1, head + 1 + count * size, size)]
    if isinstance(store, MemoryStore):
        store._segments = [Segment(1, head), *segments]
        return
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "ALTER TABLE events DETACH PARTITION segments.events_1;"
            f" ALTER TABLE events ATTACH PARTITION segments.events_1 FOR VALUES FROM (1) TO ({head + 1})"
        )
        async with connection.transaction():
            for segment in segments:
                await attach_segment(connection, segment)
    finally:
        await connection.close()


async def compacted(store: Store, before: int) -> int:
    """The oldest position that is kept, once as much as can be is forgotten of what is before a position."""
    return await compact(store, before, "test")


async def based(store: Store, position: int, *, limit: int = FOLD_EVENTS) -> None:
    """The base is at a position, wherever segments begin, and what lies wholly before it is dropped."""
    while await store.fold_base(position, limit) < position:
        pass
    for segment in await store.segments():
        if segment.last < position:
            await store.drop_segment(segment)
