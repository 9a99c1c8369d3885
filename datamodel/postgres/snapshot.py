"""A snapshot on Postgres: one read-only transaction that sees the database as it was at one position."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from datamodel.admission import Kept
from datamodel.event import Event
from datamodel.ledger import Entry, Totals
from datamodel.model import Model
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.ports import Head
from datamodel.postgres import rows
from datamodel.postgres.base_rows import ALL_ROWS, states
from datamodel.postgres.connect import Connection, connect, transient
from datamodel.rows import Keys, Rows
from datamodel.state import EntryKey, State

_BATCH_ROWS = 1_000
_LINKS = "SELECT source, name, array_agg(target ORDER BY target) AS targets FROM links"

_kept = msgspec.json.Decoder(Kept).decode


@asynccontextmanager
async def snapshot(url: str, model: Model) -> AsyncIterator["PostgresSnapshot"]:
    """Opens a connection of its own. While it is open, Postgres cannot clean up what changes: for verification and export,
    not for requests."""
    connection = await connect(url)
    transaction = connection.transaction(isolation="repeatable_read", readonly=True)
    try:
        with transient("open a snapshot"):
            await transaction.start()
            # The reader may think for as long as it likes: it holds up nobody but who wants to drop a segment, and that one
            # has to wait, for what is dropped is missing in every snapshot.
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            await connection.execute("LOCK TABLE events IN ACCESS SHARE MODE")
            heads = await connection.fetch("SELECT position, at FROM head UNION ALL SELECT position, at FROM base")
        head, oldest = (Head(position=row["position"], at=row["at"]) for row in heads)
        yield PostgresSnapshot(connection, model, head, oldest)
    finally:
        connection.terminate()  # which ends the transaction too, and cannot fail where the connection is lost


class PostgresSnapshot:
    """The tables as the transaction sees them, read in batches."""

    def __init__(self, connection: Connection, model: Model, head: Head, oldest: Head) -> None:
        self._connection = connection
        self._model = model
        self.head, self.oldest = head, oldest

    async def events(self, after: int = 0) -> AsyncIterator[Event]:
        async for row in self._rows("SELECT * FROM events WHERE position > $1 ORDER BY position", after):
            yield rows.event(self._model, row)

    def base(self) -> AsyncIterator[State]:
        return states(self._model, self._rows(ALL_ROWS))

    async def rows(self, keys: Keys) -> Rows:
        nodes = await self._among(f"SELECT {rows.NODE_COLUMNS}, phase FROM nodes WHERE path = ANY($1)", keys.nodes)
        facets = await self._among("SELECT * FROM facets WHERE path = ANY($1)", keys.nodes)
        links = await self._among(f"{_LINKS} WHERE source = ANY($1) GROUP BY source, name", keys.nodes)
        pools = await self._among("SELECT * FROM pools WHERE path = ANY($1)", keys.pools)
        entries = await self._among(
            'SELECT * FROM ledger WHERE (owner, "index") IN (SELECT * FROM unnest($1::text[], $2::integer[]))',
            [owner for owner, _ in keys.entries],
            [index for _, index in keys.entries],
        )
        totals = await self._among("SELECT * FROM totals WHERE owner = ANY($1)", keys.owners)
        return Rows(
            nodes={row["path"]: rows.node(self._model, row) for row in nodes},
            phases={row["path"]: row["phase"] for row in nodes},
            facets={(row["path"], row["facet"]): (row["kind"], row["value"]) for row in facets},
            links={(row["source"], row["name"]): tuple(row["targets"]) for row in links},
            pools={row["path"]: rows.pool(row) for row in pools},
            entries={(row["owner"], row["index"]): rows.entry(row) for row in entries},
            totals={row["owner"]: rows.totals(row) for row in totals},
        )

    async def nodes(self) -> AsyncIterator[tuple[str, Node]]:
        async for row in self._rows(f"SELECT {rows.NODE_COLUMNS} FROM nodes ORDER BY path"):
            yield row["path"], rows.node(self._model, row)

    async def phases(self) -> AsyncIterator[tuple[str, str]]:
        async for row in self._rows("SELECT path, phase FROM nodes ORDER BY path"):
            yield row["path"], row["phase"]

    async def links(self) -> AsyncIterator[tuple[tuple[str, str], tuple[str, ...]]]:
        async for row in self._rows(f"{_LINKS} GROUP BY source, name ORDER BY source, name"):
            yield (row["source"], row["name"]), tuple(row["targets"])

    async def facets(self) -> AsyncIterator[tuple[tuple[str, str], tuple[str, str]]]:
        async for row in self._rows("SELECT * FROM facets ORDER BY path, facet"):
            yield (row["path"], row["facet"]), (row["kind"], row["value"])

    async def pools(self) -> AsyncIterator[tuple[str, Pool]]:
        async for row in self._rows("SELECT * FROM pools ORDER BY path"):
            yield row["path"], rows.pool(row)

    async def entries(self) -> AsyncIterator[tuple[EntryKey, Entry]]:
        async for row in self._rows('SELECT * FROM ledger ORDER BY owner, "index"'):
            yield (row["owner"], row["index"]), rows.entry(row)

    async def totals(self) -> AsyncIterator[tuple[str, Totals]]:
        async for row in self._rows("SELECT * FROM totals ORDER BY owner"):
            yield row["owner"], rows.totals(row)

    async def epoch(self) -> int:
        with transient("read a snapshot"):
            return int(await self._connection.fetchval("SELECT epoch FROM head"))

    async def marks(self) -> AsyncIterator[tuple[str, int]]:
        async for row in self._rows("SELECT name, through FROM marks ORDER BY name"):
            yield row["name"], row["through"]

    async def tokens(self) -> AsyncIterator[tuple[str, int]]:
        async for row in self._rows("SELECT name, token FROM leases ORDER BY name"):
            yield row["name"], row["token"]

    async def replays(self) -> AsyncIterator[tuple[str, tuple[str, Kept]]]:
        async for row in self._rows("SELECT key, digest, outcome FROM idempotency ORDER BY key"):
            yield row["key"], (row["digest"], _kept(row["outcome"]))

    async def _rows(self, query: str, *arguments: Any) -> AsyncIterator[asyncpg.Record]:
        with transient("read a snapshot"):
            async for row in self._connection.cursor(query, *arguments, prefetch=_BATCH_ROWS):
                yield row

    async def _among(self, query: str, *keys: Collection[Any]) -> list[asyncpg.Record]:
        """The rows of a query that names keys; without any, nothing is asked."""
        if not keys[0]:
            return []
        with transient("read a snapshot"):
            return await self._connection.fetch(query, *keys)
