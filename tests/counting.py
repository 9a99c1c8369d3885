"""A real store that counts the queries that its database is asked."""

from typing import Any

from datamodel.model import Model
from datamodel.postgres.database import Database
from datamodel.postgres.store import PostgresStore


class CountingDatabase(Database):
    """The real database, which counts what it is asked."""

    queries = 0

    async def fetch(self, query: str, *arguments: Any) -> Any:
        self.queries += 1
        return await super().fetch(query, *arguments)

    async def look_up(self, query: str, *arguments: Any) -> Any:
        self.queries += 1
        return await super().look_up(query, *arguments)


class CountingStore(PostgresStore):
    """The real store over it."""

    def __init__(self, url: str, model: Model) -> None:
        super().__init__(url, model)
        self._database = self.database = CountingDatabase(url, broken=lambda: None)
