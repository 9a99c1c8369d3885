"""One database as its readers use it: two small pools of connections, for rows by key and for queries of any shape."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import asyncpg

from datamodel.errors import Transient
from datamodel.postgres.connect import open_pool, transient

CONNECTIONS = 4
"""Of each pool."""


class Database:
    """Open it with `async with`. Reading raises `Transient` where the database does not answer. `broken()` is called then, and
    for every new connection: what it leads to may be another database."""

    def __init__(self, url: str, broken: Callable[[], None]) -> None:
        self.url = url
        self._broken = broken
        self._any: asyncpg.Pool[asyncpg.Record] | None = None
        self._keyed: asyncpg.Pool[asyncpg.Record] | None = None

    async def __aenter__(self) -> Self:
        self._any = await open_pool(self.url, CONNECTIONS, keyed=False, connected=self._broken)
        self._keyed = await open_pool(self.url, CONNECTIONS, keyed=True, connected=self._broken)
        return self

    async def __aexit__(self, *_: object) -> None:
        for pool in (self._any, self._keyed):
            if pool is not None:
                pool.terminate()

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """The rows of a query of any shape."""
        return await self._read(self._any, query, arguments)

    async def look_up(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """The rows of a query that finds each of them by a key."""
        return await self._read(self._keyed, query, arguments)

    async def _read(
        self, pool: "asyncpg.Pool[asyncpg.Record] | None", query: str, arguments: Sequence[Any]
    ) -> list[asyncpg.Record]:
        assert pool is not None, "the database is not open"
        try:
            with transient("read"):
                return await pool.fetch(query, *arguments)
        except Transient:
            self._broken()
            raise
