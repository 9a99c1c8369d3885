"""What is read beneath the API: never to judge the system, only to show that a fault has bitten."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from datamodel.postgres.connect import connect, transient

_AHEAD = """
SELECT extract(epoch FROM ended - at)::float8 AS ahead_s
FROM events, LATERAL (SELECT (part -> 'status' ->> 'finishedAt')::timestamptz AS ended) AS said
WHERE position > $1 AND actor = $2 AND ended IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class LogEnd:
    """The last event of the log, and the feed's epoch."""

    position: int
    event: str
    epoch: int


class Beneath:
    """The database of a machine, by a connection for each question. Everything raises `Transient` while it is away."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def end(self) -> LogEnd:
        async with self._connection() as ask:
            row = await ask.fetchrow("SELECT position, id, epoch FROM head JOIN events USING (position)")
        assert row is not None, "a migrated database has events"
        return LogEnd(row["position"], row["id"], row["epoch"])

    async def epoch(self) -> int:
        """Of the stream that the hub's relay asks for."""
        return (await self.end()).epoch

    async def event(self, position: int) -> str | None:
        """The id of the event at a position; None where there is none."""
        async with self._connection() as ask:
            found: str | None = await ask.fetchval("SELECT id FROM events WHERE position = $1", position)
        return found

    async def oldest(self) -> int:
        """The oldest position whose graph can be read."""
        async with self._connection() as ask:
            return int(await ask.fetchval("SELECT position FROM base"))

    async def tokens(self) -> int:
        """The sum of all leases' tokens: it grows whenever one is acquired anew."""
        async with self._connection() as ask:
            return int(await ask.fetchval("SELECT coalesce(sum(token), 0) FROM leases WHERE name NOT LIKE 'member/%'"))

    async def ahead_s(self, actor: str, since: int) -> list[float]:
        """By how much each end that an actor wrote after a position was later than the database's time then."""
        async with self._connection() as ask:
            found = await ask.fetch(_AHEAD, since, actor)
        return [row["ahead_s"] for row in found]

    @asynccontextmanager
    async def _connection(self) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
        connection = await connect(self._url)
        try:
            with transient("look beneath"):
                yield connection
        finally:
            connection.terminate()
