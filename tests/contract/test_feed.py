"""The feed and the messages, over the fakes and over NATS: what the relay writes is what followers get."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

import pytest
import pytest_asyncio

from datamodel.command import Command
from datamodel.errors import Conflict, Transient
from datamodel.feed.follow import NatsFeed
from datamodel.feed.memory import MemoryFeed, MemoryMessages, MemoryStreams
from datamodel.feed.ports import Messages, Stream, Streams
from datamodel.feed.stream import JetStreams
from datamodel.memory import MemoryStore
from datamodel.ports import Change, Feed, Message, Restarted, Store, Synced
from datamodel.seeds import seed
from reconcilers.relay import BATCH, BATCHES, KEY
from tests.conftest import StartNats
from tests.feed import Publisher, connected, following
from tests.graph import done, memory_store
from tests.waiting import until

GROUPS = "/config/job-groups"
ROOTS = ("/config", "/desired-config", "/inventory")


@dataclass
class Broker:
    """One server, as two programs see it."""

    messages: Messages
    streams: Streams
    others_streams: Streams
    feed: Feed


@pytest_asyncio.fixture
async def memory() -> Broker:
    streams = MemoryStreams()
    return Broker(MemoryMessages(), streams, streams, MemoryFeed(streams))


@pytest_asyncio.fixture
async def nats(nats_server: StartNats) -> AsyncIterator[Broker]:
    url = (await nats_server()).access()
    async with connected(url) as bus, connected(url) as other:
        yield Broker(bus, JetStreams(bus), JetStreams(other), NatsFeed(other))


@pytest.fixture(params=["memory", "nats"])
def broker(request: pytest.FixtureRequest) -> Broker:
    found: Broker = request.getfixturevalue(request.param)
    return found


@pytest_asyncio.fixture
async def store() -> MemoryStore:
    store = memory_store()
    await seed(store)
    return store


async def put(store: MemoryStore, *names: str, description: str = "") -> None:
    await done(store, *(Command("apply", f"{GROUPS}/{name}", {"description": description}) for name in names))


async def remove(store: MemoryStore, *names: str) -> None:
    await done(store, *(Command("delete", f"{GROUPS}/{name}") for name in names))


async def newest(broker: Broker) -> Stream:
    stream = await broker.streams.newest()
    assert stream is not None
    return stream


async def assert_equal(store: MemoryStore, broker: Broker) -> None:
    """The stream ends where the log ends, and who begins to follow it gets the graph."""
    stream = await newest(broker)
    assert (stream.complete, stream.last) == (True, (await store.head()).position)
    assert await broker.streams.last_event(stream) == await store.event_id(stream.last)
    async with following(broker.feed, *ROOTS) as seen:
        await until(lambda: seen.syncs == 1)
        assert {path: message.version for path, message in seen.nodes.items()} == {
            path: node.version for path, node in store.state.nodes.items()
        }


async def test_the_present_comes_first_and_then_what_happens(broker: Broker, store: MemoryStore) -> None:
    publisher = Publisher(store, broker.streams)
    await put(store, "a", "b")
    await publisher.publish()
    async with following(broker.feed, "/config") as seen:
        await until(lambda: seen.syncs == 1)
        assert isinstance(seen.items[0], Restarted)
        assert isinstance(seen.items[-1], Synced)
        assert seen.present == {path for path in store.state.nodes if path.startswith("/config")}

        await put(store, "a", description="changed")
        await put(store, "c")
        await publisher.publish()
        await until(lambda: f"{GROUPS}/c" in seen.nodes)
        message = seen.nodes[f"{GROUPS}/a"]
        assert message.version == store.state.nodes[f"{GROUPS}/a"].version
        assert b"changed" in bytes(message.spec)
        assert (seen.restarts, seen.syncs) == (1, 1)


async def test_who_follows_before_there_is_a_stream_gets_it_when_it_is_whole(
    broker: Broker, store: MemoryStore
) -> None:
    async with following(broker.feed, "/config") as seen:
        await broker.streams.create(1, 1, 5)
        await Publisher(store, broker.streams).publish()
        await until(lambda: seen.syncs == 1)
        assert seen.restarts == 1
        assert seen.present == {path for path in store.state.nodes if path.startswith("/config")}


async def test_a_deletion_is_a_tombstone_and_gone_from_the_next_present(broker: Broker, store: MemoryStore) -> None:
    publisher = Publisher(store, broker.streams)
    await put(store, "a", "b")
    await publisher.publish()
    async with following(broker.feed, "/config") as seen:
        await until(lambda: f"{GROUPS}/a" in seen.nodes)
        uid = seen.nodes[f"{GROUPS}/a"].uid
        await remove(store, "a")
        await publisher.publish()
        await until(lambda: f"{GROUPS}/a" not in seen.nodes)
        last = seen.items[-1]
        assert isinstance(last, Message)
        assert (last.deleted, last.uid, last.version) == (True, uid, (await store.head()).position)
    async with following(broker.feed, GROUPS) as later:
        await until(lambda: later.syncs == 1)
        assert later.present == {f"{GROUPS}/b", f"{GROUPS}/default"}


async def test_a_prefix_is_a_node_and_what_is_below_it(broker: Broker, store: MemoryStore) -> None:
    publisher = Publisher(store, broker.streams)
    await put(store, "a", "ab", "b")
    await publisher.publish()
    async with (
        following(broker.feed, f"{GROUPS}/a", f"{GROUPS}/b") as seen,
        following(broker.feed, f"{GROUPS}/none") as nothing,
    ):
        await until(lambda: seen.syncs == 1 and nothing.syncs == 1)
        assert seen.present == {f"{GROUPS}/a", f"{GROUPS}/b"}
        assert nothing.present == frozenset()
        await put(store, "none", "ab", description="2")
        await publisher.publish()
        await until(lambda: f"{GROUPS}/none" in nothing.nodes)
        assert f"{GROUPS}/ab" not in seen.nodes


async def test_nothing_is_missing_from_a_present_that_is_read_while_it_changes(
    broker: Broker, store: MemoryStore
) -> None:
    publisher = Publisher(store, broker.streams)
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
        for _ in range(60):
            async with following(broker.feed, GROUPS) as seen:
                await until(lambda: seen.syncs == 1)
                assert before <= seen.present
        stop.set()


async def test_a_restarted_relay_goes_on_in_the_same_stream(broker: Broker, store: MemoryStore) -> None:
    await Publisher(store, broker.streams).publish()
    before = await newest(broker)
    await put(store, "a")
    await Publisher(store, broker.others_streams, token=2).publish()
    assert (await newest(broker)).epoch == before.epoch
    await assert_equal(store, broker)


async def test_a_stale_relay_is_refused(broker: Broker, store: MemoryStore) -> None:
    stale, fresh = Publisher(store, broker.streams), Publisher(store, broker.others_streams, token=2)
    await stale.publish()
    await put(store, "a")
    await fresh.publish()
    with pytest.raises(Conflict):
        await stale.relay.reconcile(KEY, stale.fence)
    await put(store, "b")
    await fresh.publish()
    await assert_equal(store, broker)


async def test_an_unfinished_stream_is_not_gone_on_with(broker: Broker, store: MemoryStore) -> None:
    await Publisher(store, broker.streams).publish()
    await broker.streams.create(7, 1, 5)  # as a relay that died while it rebuilt
    await Publisher(store, broker.streams, token=2).publish()
    assert (await newest(broker)).epoch == 8
    await assert_equal(store, broker)


async def test_an_older_copy_of_the_database_begins_a_new_epoch(broker: Broker, store: MemoryStore) -> None:
    older = memory_store()
    await seed(older)
    await put(store, "a", "b")
    publisher = Publisher(store, broker.streams)
    await publisher.publish()
    publisher.relay._store = older  # as a restore that happens between two reads
    publisher.store = older
    await publisher.publish()
    assert (await newest(broker)).epoch == 2
    await assert_equal(older, broker)


async def test_a_database_with_another_history_begins_a_new_epoch_even_where_it_is_longer(
    broker: Broker, store: MemoryStore
) -> None:
    other = memory_store()
    await seed(other)
    await put(store, "a")
    await remove(other, "default")
    await put(other, "x", "y", "z")
    publisher = Publisher(store, broker.streams)
    await publisher.publish()
    publisher.relay._store = other
    await publisher.publish()
    assert (await newest(broker)).epoch == 2
    await assert_equal(other, broker)


async def test_who_follows_is_moved_to_a_new_epoch_and_told_a_new_present(broker: Broker, store: MemoryStore) -> None:
    await put(store, *(f"g{number}" for number in range(BATCH + 10)))
    publisher = Publisher(store, broker.streams)
    await publisher.publish()
    async with following(broker.feed, "/config") as seen:
        await until(lambda: seen.syncs == 1)
        await remove(store, "g1")
        await broker.streams.create(7, 1, 5)  # whatever came of the one before
        await Publisher(store, broker.others_streams, token=2).publish()
        await until(lambda: seen.syncs == 2)
        assert seen.restarts == 2
        assert seen.present == {path for path in store.state.nodes if path.startswith("/config")}


async def test_a_read_that_fails_while_a_batch_is_published_loses_nothing(broker: Broker, store: MemoryStore) -> None:
    reads = itertools.count(1)

    class Failing:
        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        async def changes(self, after: int, limit: int) -> list[Change]:
            if next(reads) in (2, 4):
                raise Transient("the connection was cut")
            return await store.changes(after, limit)

    publisher = Publisher(cast("Store", Failing()), broker.streams)
    await publisher.publish()
    await put(store, *(f"g{number}" for number in range(3 * BATCH)))
    await publisher.publish()
    assert next(reads) > 6
    assert (await newest(broker)).epoch == 1
    await assert_equal(store, broker)


async def test_a_turn_is_bounded(broker: Broker, store: MemoryStore) -> None:
    publisher = Publisher(store, broker.streams)
    await publisher.publish()
    await put(store, *(f"g{number}" for number in range(BATCH)))
    for turn in range(BATCHES):
        await put(store, *(f"g{number}" for number in range(BATCH)), description=str(turn))
    before = (await newest(broker)).last
    assert await publisher.relay.reconcile(KEY, publisher.fence) == 0
    assert (await newest(broker)).last == before + BATCH * BATCHES
    await publisher.publish()
    assert (await newest(broker)).last == (await store.head()).position


async def test_messages_reach_whoever_listens(broker: Broker) -> None:
    seen: list[tuple[str, str, bytes]] = []
    await broker.messages.subscribe("report.*.*", lambda subject, body: seen.append(("any", subject, body)))
    await broker.messages.subscribe("report.s.e", lambda subject, body: seen.append(("one", subject, body)))
    assert broker.messages.connected
    for subject in ("report.s", "report.s.e.x", "beat.s.e", "report.s.f", "report.s.e"):
        await broker.messages.publish(subject, subject.encode())
    await until(lambda: len(seen) >= 3)
    assert sorted(seen) == [
        ("any", "report.s.e", b"report.s.e"),
        ("any", "report.s.f", b"report.s.f"),
        ("one", "report.s.e", b"report.s.e"),
    ]


async def test_what_one_sender_sends_arrives_in_order(broker: Broker) -> None:
    seen: list[int] = []
    await broker.messages.subscribe("beat.s", lambda _, body: seen.append(int(body)))
    for number in range(1000):
        await broker.messages.publish("beat.s", str(number).encode())
    await until(lambda: len(seen) >= 1000)
    assert seen == list(range(1000))
