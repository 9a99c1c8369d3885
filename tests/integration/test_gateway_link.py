"""The gateway's link over a real NATS: the feed is followed while somebody watches, and only then."""

import asyncio

import pytest_asyncio

from datamodel.command import Command
from datamodel.feed.bus import Bus
from datamodel.feed.message import POKE
from datamodel.feed.stream import JetStreams, newest_stream, stream_name
from datamodel.memory import MemoryStore
from datamodel.seeds import seed
from gateway.changes import Changes
from tests.feed import Publisher
from tests.gateway import linked
from tests.graph import done, memory_store
from tests.services import PrivateNats
from tests.waiting import eventually, until

GROUP = "/config/job-groups/g"
LINGER_S = 0.3


@pytest_asyncio.fixture
async def store() -> MemoryStore:
    store = memory_store()
    await seed(store)
    return store


@pytest_asyncio.fixture
async def publisher(store: MemoryStore, bus: Bus) -> Publisher:
    publisher = Publisher(store, JetStreams(bus))
    await publisher.publish()
    return publisher


async def describe(publisher: Publisher, description: str) -> None:
    await done(publisher.store, Command("apply", GROUP, {"description": description}))
    await publisher.publish()


async def followers(bus: Bus) -> int:
    stream = await newest_stream(bus)
    assert stream is not None
    return len(await bus.client.jsm().consumers_info(stream_name(stream.epoch)))


async def followed_by(bus: Bus, count: int) -> None:
    async def reached() -> bool:
        return await followers(bus) == count

    await eventually(reached)


async def woken(wake: asyncio.Event) -> None:
    async with asyncio.timeout(30):
        await wake.wait()
    wake.clear()


async def test_nobody_follows_until_somebody_watches(server: PrivateNats, bus: Bus, publisher: Publisher) -> None:
    changes = Changes()
    async with linked(server.access("gateway"), changes, linger_s=LINGER_S) as link:
        await until(lambda: link.connected)
        assert await followers(bus) == 0
        with changes.watch(GROUP) as wake:
            await woken(wake)  # the present was delivered: what happened before the consumer began is in it
            assert await followers(bus) == 1
            await describe(publisher, "a")
            await woken(wake)
        await followed_by(bus, 0)
        assert link.connected
        with changes.watch(GROUP) as wake:
            await woken(wake)
            await describe(publisher, "b")
            await woken(wake)


async def test_one_that_comes_back_soon_or_joins_finds_the_feed_followed(
    server: PrivateNats, bus: Bus, publisher: Publisher
) -> None:
    changes = Changes()
    async with linked(server.access("gateway"), changes, linger_s=60.0):
        with changes.watch("/config/scheduler") as wake:
            await woken(wake)
        with changes.watch(GROUP) as first, changes.watch(GROUP) as second:
            await describe(publisher, "a")
            await woken(first)
            await woken(second)
            assert await followers(bus) == 1


async def test_ending_while_somebody_watches_leaves_no_consumer(
    server: PrivateNats, bus: Bus, publisher: Publisher
) -> None:
    changes = Changes()
    async with linked(server.access("gateway"), changes):
        with changes.watch(GROUP) as wake:
            await woken(wake)
            assert await followers(bus) == 1
    assert await followers(bus) == 0


async def test_word_that_the_log_has_grown_is_passed_on(bus: Bus, server: PrivateNats) -> None:
    grown = asyncio.Event()
    async with linked(server.access("gateway"), Changes(), grown=grown.set) as link:
        await until(lambda: link.connected)
        await bus.publish(POKE, b"somebody")
        await woken(grown)
        link.poke()
        await woken(grown)
