"""The feed on a real server: the present, then the changes, through restarts, losses and new epochs."""

import asyncio

import pytest_asyncio

from datamodel.command import Command
from datamodel.feed.bus import Bus
from datamodel.feed.stream import newest_stream, stream_name
from datamodel.memory import MemoryStore
from datamodel.ports import Message, Restarted, Synced
from migrations.upgrade import seed
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
    publisher = Publisher(store, bus)
    await publisher.publish()
    return publisher


async def put(store: MemoryStore, *names: str, description: str = "") -> None:
    await done(store, *(Command("apply", f"{GROUPS}/{name}", {"description": description}) for name in names))


async def remove(store: MemoryStore, *names: str) -> None:
    await done(store, *(Command("delete", f"{GROUPS}/{name}") for name in names))


def version(store: MemoryStore, name: str) -> int:
    return store.state.nodes[f"{GROUPS}/{name}"].version


async def test_the_present_comes_first_and_then_what_happens(
    store: MemoryStore, bus: Bus, publisher: Publisher
) -> None:
    await put(store, "a", "b")
    await publisher.publish()
    async with following(bus, "/config") as seen:
        await until(lambda: seen.syncs == 1)
        assert isinstance(seen.items[0], Restarted)
        assert isinstance(seen.items[-1], Synced)
        assert seen.present == {path for path in store.state.nodes if path.startswith("/config")}

        await put(store, "a", description="changed")
        await put(store, "c")
        await publisher.publish()
        await until(lambda: f"{GROUPS}/c" in seen.nodes)
        message = seen.nodes[f"{GROUPS}/a"]
        assert message.version == version(store, "a")
        assert b"changed" in bytes(message.spec)
        assert (seen.restarts, seen.syncs) == (1, 1)


async def test_a_deletion_is_a_tombstone_and_gone_from_the_next_present(
    store: MemoryStore, bus: Bus, publisher: Publisher
) -> None:
    await put(store, "a", "b")
    await publisher.publish()
    async with following(bus, "/config") as seen:
        await until(lambda: f"{GROUPS}/a" in seen.nodes)
        uid = seen.nodes[f"{GROUPS}/a"].uid
        await remove(store, "a")
        await publisher.publish()
        await until(lambda: f"{GROUPS}/a" not in seen.nodes)
        last = seen.items[-1]
        assert isinstance(last, Message)
        assert (last.deleted, last.uid, last.version) == (True, uid, (await store.head()).position)
    async with following(bus, GROUPS) as later:
        await until(lambda: later.syncs == 1)
        assert later.present == {f"{GROUPS}/b", f"{GROUPS}/default"}


async def test_a_prefix_is_a_node_and_what_is_below_it(store: MemoryStore, bus: Bus, publisher: Publisher) -> None:
    await put(store, "a", "ab", "b")
    await publisher.publish()
    async with following(bus, f"{GROUPS}/a", f"{GROUPS}/b") as seen, following(bus, f"{GROUPS}/none") as nothing:
        await until(lambda: seen.syncs == 1 and nothing.syncs == 1)
        assert seen.present == {f"{GROUPS}/a", f"{GROUPS}/b"}
        assert nothing.present == frozenset()
        await put(store, "none", "ab", description="2")
        await publisher.publish()
        await until(lambda: f"{GROUPS}/none" in nothing.nodes)
        assert f"{GROUPS}/ab" not in seen.nodes


async def test_nothing_is_missing_from_a_present_that_is_read_while_it_changes(
    store: MemoryStore, bus: Bus, publisher: Publisher
) -> None:
    names = [f"g{number}" for number in range(200)]
    await put(store, *names)
    await publisher.publish()
    before = {f"{GROUPS}/{name}" for name in names}
    stop = asyncio.Event()

    async def change() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            await put(store, *names[turn % 7 :: 7], f"new{turn}", description=str(turn))
            await publisher.publish()
            await asyncio.sleep(0.005)  # as long as a database takes for a transaction

    async with asyncio.TaskGroup() as group:
        group.create_task(change())
        for _ in range(10):
            async with following(bus, GROUPS) as seen:
                await until(lambda: seen.syncs == 1)
                assert before <= seen.present
        stop.set()


async def test_it_goes_on_after_the_server_was_killed(
    store: MemoryStore, bus: Bus, publisher: Publisher, server: PrivateNats
) -> None:
    async with following(bus, "/config") as seen:
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
    async with following(bus, "/config") as seen:
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
    async with following(bus, "/config") as seen:
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


async def test_a_message_that_cannot_be_read_stops_nobody(store: MemoryStore, bus: Bus, publisher: Publisher) -> None:
    stream = await newest_stream(bus)
    assert stream is not None
    async with following(bus, "/config") as seen:
        await until(lambda: seen.syncs == 1)
        await bus.client.jetstream().publish(f"graph.{stream.epoch}.config.job-groups.odd", b"{")
        await put(store, "a")
        await publisher.publish()  # somebody else wrote to the stream: a new epoch
        await until(lambda: f"{GROUPS}/a" in seen.nodes)
