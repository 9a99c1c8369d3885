"""The store that a suite runs against: the fake and the real, each with the model's seeds."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from datamodel.memory import MemoryStore
from datamodel.ports import Store
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from migrations.upgrade import seed
from tests.graph import memory_store


@pytest_asyncio.fixture
async def memory() -> MemoryStore:
    store = memory_store()
    await seed(store)
    return store


@pytest_asyncio.fixture
async def postgres(database_url: str) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(database_url, MODEL) as store:
        yield store


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> Store:
    store: Store = request.getfixturevalue(request.param)
    return store
