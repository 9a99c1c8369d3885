"""The feed on a real server: the present, then the changes, through restarts, losses and new epochs."""

import pytest
import pytest_asyncio

from datamodel.command import Command
from datamodel.feed.bus import Bus
from datamodel.feed.follow import NatsFeed
from datamodel.feed.stream import JetStreams, newest_stream, stream_name
from datamodel.memory import MemoryStore
from datamodel.ports import Message
from datamodel.seeds import seed
from tests.feed import Publisher, following
from tests.graph import done, memory_store
from tests.services import PrivateNats
from tests.waiting import until

GROUPS = "/config/job-groups"


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


async def put(store: MemoryStore, *names: str, description: str = "") -> None:
    await done(store, *(Command("apply", f"{GROUPS}/{name}", {"description": description}) for name in names))


async def remove(store: MemoryStore, *names: str) -> None:
    await done(store, *(Command("delete", f"{GROUPS}/{name}") for name in names))


def version(store: MemoryStore, name: str) -> int:
    return store.state.nodes[f"{GROUPS}/{name}"].version


async def test_it_goes_on_after_the_server_was_killed(
    store: MemoryStore, bus: Bus, publisher: Publisher, server: PrivateNats
) -> None:
    async with following(NatsFeed(bus), "/config") as seen:
        await until(lambda: seen.syncs == 1)
        await server.kill()
        await put(store, "a")
        await server.start()
        await publisher.publish()
        await until(lambda: f"{GROUPS}/a" in seen.nodes)
        assert (seen.restarts, seen.syncs) == (1, 1)


async def test_it_goes_on_where_it_was_after_its_consumer_was_lost(
    store: MemoryStore, bus: Bus, publisher: Publisher
) -> None:
    async with following(NatsFeed(bus), "/config") as seen:
        await until(lambda: seen.syncs == 1)
        stream = await newest_stream(bus)
        assert stream is not None
        (consumer,) = await bus.client.jsm().consumers_info(stream_name(stream.epoch))
        assert await bus.client.jsm().delete_consumer(stream_name(stream.epoch), consumer.name)
        await put(store, "a")
        await publisher.publish()
        await until(lambda: f"{GROUPS}/a" in seen.nodes)
        assert (seen.restarts, seen.syncs) == (1, 1)
        messages = [item for item in seen.items if isinstance(item, Message)]
        assert len({(message.path, message.version) for message in messages}) == len(messages), "nothing came twice"


async def test_a_lost_store_is_a_new_epoch_whose_present_shows_what_was_deleted(
    store: MemoryStore, bus: Bus, publisher: Publisher, server: PrivateNats
) -> None:
    await put(store, "a", "b")
    await publisher.publish()
    async with following(NatsFeed(bus), "/config") as seen:
        await until(lambda: seen.syncs == 1)
        before = await newest_stream(bus)
        await server.kill()
        server.wipe()
        await remove(store, "a")
        await server.start()
        await publisher.publish()
        await until(lambda: seen.syncs == 2)
        assert seen.restarts == 2
        assert seen.present == {path for path in store.state.nodes if path.startswith("/config")}
        after = await newest_stream(bus)
        assert before is not None
        assert after is not None
        assert after.epoch > before.epoch


@pytest.mark.parametrize(
    "body", [b"{", b'{"event":"\xff"}', b'{"a":' + b"[" * 200_000], ids=["broken", "no UTF-8", "deep"]
)
async def test_a_message_that_cannot_be_read_stops_nobody(
    store: MemoryStore, bus: Bus, publisher: Publisher, body: bytes
) -> None:
    stream = await newest_stream(bus)
    assert stream is not None
    async with following(NatsFeed(bus), "/config") as seen:
        await until(lambda: seen.syncs == 1)
        await bus.client.jetstream().publish(f"graph.{stream.epoch}.config.job-groups.odd", body)
        await put(store, "a")
        await publisher.publish()  # somebody else wrote to the stream: a new epoch
        await until(lambda: f"{GROUPS}/a" in seen.nodes)
