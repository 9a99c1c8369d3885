"""The store that a suite runs against: the fake, the real, and the real as two processes use it in turn; each with the
model's seeds."""

import itertools
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
import pytest_asyncio

from datamodel.memory import MemoryStore
from datamodel.ports import Store
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from tests.graph import memory_store
from tests.plants import GARDEN, garden_store


class InTurn:
    """One database behind two stores: each call goes to the other one. What a store remembers is old then, most of the time."""

    def __init__(self, *stores: PostgresStore) -> None:
        self.model = stores[0].model  # to ask for it is no call
        self._stores = itertools.cycle(stores)

    def __getattr__(self, name: str) -> Any:
        return getattr(next(self._stores), name)


@pytest_asyncio.fixture
async def memory() -> MemoryStore:
    store = memory_store()
    await seed(store)
    return store


@pytest_asyncio.fixture
async def postgres(database_url: str) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(database_url, MODEL) as store:
        yield store


@pytest_asyncio.fixture
async def in_turn(database_url: str) -> AsyncIterator[InTurn]:
    async with PostgresStore(database_url, MODEL) as first, PostgresStore(database_url, MODEL) as second:
        yield InTurn(first, second)


@pytest.fixture(params=["memory", "postgres", "in_turn"])
def store(request: pytest.FixtureRequest) -> Store:
    return cast("Store", request.getfixturevalue(request.param))


@pytest_asyncio.fixture
async def another(store: Store, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """The same store as another process sees it."""
    if isinstance(store, MemoryStore):
        yield store
        return
    async with PostgresStore(request.getfixturevalue("database_url"), MODEL) as other:
        yield other


@pytest_asyncio.fixture
async def garden_in_memory() -> MemoryStore:
    store = garden_store()
    await seed(store)
    return store


@pytest_asyncio.fixture
async def garden_in_postgres(database_url: str) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(database_url, GARDEN) as store:
        yield store


@pytest_asyncio.fixture
async def garden_in_turn(database_url: str) -> AsyncIterator[InTurn]:
    async with PostgresStore(database_url, GARDEN) as first, PostgresStore(database_url, GARDEN) as second:
        yield InTurn(first, second)


@pytest.fixture(params=["in_memory", "in_postgres", "in_turn"])
def garden(request: pytest.FixtureRequest) -> Store:
    """The same three, with the model of `tests/plants.py`."""
    return cast("Store", request.getfixturevalue(f"garden_{request.param}"))
