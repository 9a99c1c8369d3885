"""Fixtures of tests that have a NATS server of their own, and of those of a gateway on either store."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from datamodel.feed.bus import Bus
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from tests.conftest import StartNats
from tests.databases import Databases
from tests.feed import connected
from tests.gateway import Gateway, open_gateway
from tests.graph import memory_store
from tests.services import PrivateNats


@pytest_asyncio.fixture
async def server(nats_server: StartNats) -> PrivateNats:
    """A server that the test may kill and wipe."""
    return await nats_server()


@pytest_asyncio.fixture
async def bus(server: PrivateNats) -> AsyncIterator[Bus]:
    """A connection to it that may do everything."""
    async with connected(server.access()) as bus:
        yield bus


@pytest_asyncio.fixture(params=["fake", "real"])
async def gateway(request: pytest.FixtureRequest, databases: Databases) -> AsyncIterator[Gateway]:
    """On the fake store, and on the real one."""
    if request.param == "fake":
        store = memory_store()
        await seed(store)
        async with open_gateway(store) as gateway:
            yield gateway
        return
    url = await databases.create()
    async with PostgresStore(url, MODEL) as real, open_gateway(real) as gateway:
        yield gateway
    await databases.drop(url)
