"""Segments on Postgres: partitions of the log by position, each a table of its own in the schema `segments`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from datamodel.errors import Conflict, Invalid, Transient
from datamodel.model import Model
from datamodel.postgres import rows
from datamodel.postgres.base_rows import fold_events
from datamodel.postgres.connect import Connection, connect, connect_writer, transient
from datamodel.postgres.database import Database
from datamodel.segments import SEGMENT_POSITIONS, Segment
from datamodel.upcast import restamped

KEEPERS_LOCK = 7_316_552
"""An advisory lock: of those who need the log from the base on as it is, and of those who change where that is."""
DROP_TIMEOUT_S = 0.2
"""How long readers and writers of the log may stand behind who drops a segment, which waits for the readers before it."""

_MAKERS_LOCK = 7_316_553
_LISTED = """
SELECT substring(bound FROM 'FROM \\(''(\\d+)''')::bigint AS first, substring(bound FROM 'TO \\(''(\\d+)''')::bigint - 1 AS last
FROM (SELECT pg_get_expr(relpartbound, oid) AS bound FROM pg_inherits JOIN pg_class ON oid = inhrelid
  WHERE inhparent = 'public.events'::regclass) AS partitions
WHERE bound IS NOT NULL ORDER BY 1
"""
"""Of a segment that somebody drops just now, there is no bound."""


class PostgresSegments:
    """The steps. What they mean is said at the port."""

    _database: Database
    _model: Model

    async def segments(self) -> list[Segment]:
        return [Segment(row["first"], row["last"]) for row in await self._database.fetch(_LISTED)]

    async def extend(self, positions: int) -> None:
        (row,) = await self._database.fetch(f"SELECT max(last) AS last FROM ({_LISTED}) AS listed")
        if row["last"] is None or row["last"] < (await self._head()) + positions:
            await make_segments(self._database.url, positions)

    async def fold_base(self, through: int, limit: int) -> int:
        async with _keeping(self._database.url, "fold the base") as connection:
            at = int(await connection.fetchval("SELECT position FROM base FOR UPDATE"))
            query = "SELECT * FROM events WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3"
            found = await connection.fetch(query, at, through, limit)
            events = [restamped(self._model, rows.event(self._model, row)) for row in found]
            if not events:
                return at
            if events[0].position != at + 1:
                raise Invalid(f"event {events[0].position} follows the base, which is at {at}", field="position")
            await fold_events(connection, self._model, events)
            return events[-1].position

    async def drop_segment(self, segment: Segment) -> None:
        async with _keeping(self._database.url, "drop a segment") as connection:
            there = await _listed(connection)
            if segment not in there:
                return
            if segment != there[0] or segment.last >= await connection.fetchval("SELECT position FROM base"):
                raise Conflict(f"positions {segment.first} to {segment.last} are still needed")
            await _drop(connection, segment)

    async def _head(self) -> int:
        (row,) = await self._database.look_up("SELECT position FROM head")
        return int(row["position"])


async def make_segments(url: str, positions: int = SEGMENT_POSITIONS) -> None:
    """Makes segments of so many positions after the last one, until as many are free. Nobody who reads or appends waits."""
    connection = await connect(url)
    try:
        with transient("make a segment"):
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", _MAKERS_LOCK)
                head = await connection.fetchval("SELECT position FROM head")
                there = await _listed(connection)
                last = there[-1].last if there else head
                while last < head + positions:
                    await attach_segment(connection, Segment(last + 1, last + positions))
                    last += positions
    finally:
        connection.terminate()


async def attach_segment(connection: Connection, segment: Segment) -> None:
    """Makes an empty segment. To attach a table locks out nobody, and to make it as a partition would."""
    table = _table(segment.first)
    await connection.execute(
        f"CREATE TABLE {table} (LIKE public.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS);"
        f" ALTER TABLE public.events ATTACH PARTITION {table} FOR VALUES FROM ({segment.first}) TO ({segment.last + 1})"
    )


async def lay_out(connection: Connection, first: int) -> None:
    """Gives an empty log a segment for events from a position on, in the place of those that it had."""
    for segment in await _listed(connection):
        await connection.execute(f"DROP TABLE {_table(segment.first)}")
    await attach_segment(connection, Segment(first, _end(first)))


async def make_room(connection: Connection, position: int) -> None:
    """Makes the segments that are missing up to a position."""
    last = (await _listed(connection))[-1].last
    while last < position:
        await attach_segment(connection, Segment(last + 1, _end(last + 1)))
        last = _end(last + 1)


def _end(first: int) -> int:
    """The last position of the segment that begins at one."""
    return (first // SEGMENT_POSITIONS + 1) * SEGMENT_POSITIONS - 1


def lacks_segment(error: asyncpg.PostgresError) -> bool:
    """Whether an event found no segment for its position."""
    return isinstance(error, asyncpg.CheckViolationError) and error.constraint_name is None


async def _listed(connection: Connection) -> list[Segment]:
    return [Segment(row["first"], row["last"]) for row in await connection.fetch(_LISTED)]


async def _drop(connection: Connection, segment: Segment) -> None:
    try:
        await connection.execute(f"SET LOCAL lock_timeout = '{DROP_TIMEOUT_S}s'; DROP TABLE {_table(segment.first)}")
    except asyncpg.LockNotAvailableError as error:
        raise Transient("the log is read without a gap; end what reads for long") from error


@asynccontextmanager
async def _keeping(url: str, doing: str) -> AsyncIterator[Connection]:
    """A transaction of one keeper of the log at a time."""
    connection = await connect_writer(url, "SELECT")  # the base's rows are found by key, however few or many there are
    try:
        with transient(doing):
            async with connection.transaction():
                if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", KEEPERS_LOCK):
                    raise Conflict("somebody else works on the base, or needs it to stay as it is")
                yield connection
    finally:
        connection.terminate()


def _table(first: int) -> str:
    return f"segments.events_{first}"
