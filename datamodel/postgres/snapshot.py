"""A snapshot on Postgres: one read-only transaction that sees the database as it was at one position."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from datamodel.event import Event
from datamodel.ledger import Entry, Totals
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.ports import Head
from datamodel.postgres import rows
from datamodel.postgres.connect import connect, transient
from datamodel.postgres.present import Connection
from datamodel.state import EntryKey

_BATCH_ROWS = 1_000


@asynccontextmanager
async def snapshot(url: str) -> AsyncIterator["PostgresSnapshot"]:
    """Opens a connection of its own. While it is open, Postgres cannot clean up what changes: for verification and export,
    not for requests."""
    connection = await connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            # The reader may think for as long as it likes: it holds no lock.
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            row = await connection.fetchrow("SELECT position, at FROM head")
            assert row is not None, "the database is migrated"
            yield PostgresSnapshot(connection, Head(position=row["position"], at=row["at"]))
    finally:
        connection.terminate()


class PostgresSnapshot:
    """The tables as the transaction sees them, read in batches."""

    def __init__(self, connection: Connection, head: Head) -> None:
        self._connection = connection
        self.head = head

    async def events(self) -> AsyncIterator[Event]:
        async for row in self._rows("SELECT * FROM events ORDER BY position"):
            yield rows.event(row)

    async def nodes(self) -> AsyncIterator[tuple[str, Node]]:
        async for row in self._rows(f"SELECT {rows.NODE_COLUMNS} FROM nodes ORDER BY path"):
            yield row["path"], rows.node(row)

    async def phases(self) -> AsyncIterator[tuple[str, str]]:
        async for row in self._rows("SELECT path, phase FROM nodes ORDER BY path"):
            yield row["path"], row["phase"]

    async def links(self) -> AsyncIterator[tuple[tuple[str, str], str]]:
        async for row in self._rows("SELECT * FROM links ORDER BY source, name"):
            yield (row["source"], row["name"]), row["target"]

    async def pools(self) -> AsyncIterator[tuple[str, Pool]]:
        async for row in self._rows("SELECT * FROM pools ORDER BY path"):
            yield row["path"], rows.pool(row)

    async def entries(self) -> AsyncIterator[tuple[EntryKey, Entry]]:
        async for row in self._rows('SELECT * FROM ledger ORDER BY owner, "index"'):
            yield (row["owner"], row["index"]), rows.entry(row)

    async def totals(self) -> AsyncIterator[tuple[str, Totals]]:
        async for row in self._rows("SELECT * FROM totals ORDER BY owner"):
            yield row["owner"], rows.totals(row)

    async def _rows(self, query: str) -> AsyncIterator[asyncpg.Record]:
        with transient("read a snapshot"):
            async for row in self._connection.cursor(query, prefetch=_BATCH_ROWS):
                yield row
