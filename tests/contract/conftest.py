"""The store that a suite runs against: the fake, the real, and the real as two processes use it in turn; each with the
model's seeds."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio

from datamodel.memory import MemoryStore
from datamodel.model import Model
from datamodel.ports import Store
from datamodel.postgres.store import PostgresStore
from datamodel.seeds import seed
from tests.graph import memory_store
from tests.isolation import working_bubblewrap, writable_groups
from tests.kubernetes_cluster import KubernetesCluster, kubernetes_cluster
from tests.plants import GARDEN


class InTurn:
    """One database behind two stores: each call goes to the other one. What a store remembers is old then, most of the time."""

    def __init__(self, *stores: PostgresStore) -> None:
        self.model = stores[0].model  # to ask for it is no call
        self._stores = itertools.cycle(stores)

    def __getattr__(self, name: str) -> Any:
        return getattr(next(self._stores), name)


@pytest.fixture
def model() -> Model:
    """What the stores are of: the scheduling model and that of `tests/plants.py` beside it, unless a module says otherwise."""
    return GARDEN


@pytest_asyncio.fixture
async def memory(model: Model) -> MemoryStore:
    store = memory_store(model)
    await seed(store)
    return store


@pytest_asyncio.fixture
async def postgres(database_url: str, model: Model) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(database_url, model) as store:
        yield store


@pytest_asyncio.fixture
async def in_turn(database_url: str, model: Model) -> AsyncIterator[InTurn]:
    async with PostgresStore(database_url, model) as first, PostgresStore(database_url, model) as second:
        yield InTurn(first, second)


@pytest.fixture(params=["memory", "postgres", "in_turn"])
def store(request: pytest.FixtureRequest) -> Store:
    return cast("Store", request.getfixturevalue(request.param))


@pytest_asyncio.fixture
async def another(store: Store, model: Model, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """The same store as another process sees it."""
    if isinstance(store, MemoryStore):
        yield store
        return
    async with PostgresStore(request.getfixturevalue("database_url"), model) as other:
        yield other


@pytest.fixture
def garden(store: Store) -> Store:
    """The same, for who works with plants."""
    return store


@pytest.fixture(scope="session")
def bubblewrap() -> str:
    return working_bubblewrap()


@pytest.fixture(scope="session")
def groups() -> Path:
    return writable_groups()


@pytest.fixture(scope="session", name="kubernetes_cluster")
def _kubernetes_cluster() -> KubernetesCluster:
    return kubernetes_cluster()
