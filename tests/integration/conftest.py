"""Fixtures of tests that have a NATS server of their own."""

from collections.abc import AsyncIterator

import pytest_asyncio

from datamodel.feed.bus import Bus
from tests.conftest import StartNats
from tests.feed import connected
from tests.services import PrivateNats


@pytest_asyncio.fixture
async def server(nats_server: StartNats) -> PrivateNats:
    """A server that the test may kill and wipe."""
    return await nats_server()


@pytest_asyncio.fixture
async def bus(server: PrivateNats) -> AsyncIterator[Bus]:
    """A connection to it that may do everything."""
    async with connected(server.url()) as bus:
        yield bus
