"""The relay on a real log and a real stream: what is in one is in the other, whoever races and whatever is lost."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from datamodel.command import Command
from datamodel.errors import Conflict
from datamodel.feed.bus import Bus
from datamodel.feed.message import decode
from datamodel.feed.ports import Stream
from datamodel.feed.stream import graph_subject, newest_stream, stream_name
from datamodel.ports import Store
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from migrations.upgrade import seed
from reconcilers.relay import BATCH, KEY
from tests.feed import Publisher, connected, following
from tests.graph import SYSTEM, done, memory_store, new_job
from tests.services import PrivateNats
from tests.waiting import until

GROUPS = "/config/job-groups"


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(database_url, MODEL) as store:
        yield store


async def put(store: Store, *names: str, description: str = "") -> None:
    await done(store, *(Command("apply", f"{GROUPS}/{name}", {"description": description}) for name in names))


async def stream_of(bus: Bus) -> Stream:
    stream = await newest_stream(bus)
    assert stream is not None
    return stream


async def paths(store: Store) -> list[str]:
    found: list[str] = []
    while living := await store.living(found[-1] if found else "", 1000):
        found += [change.path for change in living]
    return found


async def assert_equal(store: Store, bus: Bus, *, rebuilt: bool = False) -> None:
    """The stream ends where the log ends, and its last message for every node is that node's present."""
    stream = await stream_of(bus)
    assert stream.last == (await store.head()).position
    nodes = await store.nodes(await paths(store))
    for path, node in nodes.items():
        message = await bus.client.jsm().get_last_msg(stream_name(stream.epoch), graph_subject(stream.epoch, path))
        assert decode(message.data or b"").version == node.version
        if not rebuilt:
            assert message.seq == node.version


async def test_a_sequence_is_a_position(store: PostgresStore, bus: Bus) -> None:
    publisher = Publisher(store, bus)
    await publisher.publish()
    await put(store, *(f"g{number}" for number in range(3 * BATCH // 2)))
    await put(store, "g1", "g2", description="changed")
    await done(store, Command("delete", f"{GROUPS}/g3"))
    await publisher.publish()
    stream = await stream_of(bus)
    assert stream.last == (await store.head()).position
    for path in (f"{GROUPS}/g0", f"{GROUPS}/g1", f"{GROUPS}/g700"):
        message = await bus.client.jsm().get_last_msg(stream_name(stream.epoch), graph_subject(stream.epoch, path))
        assert message.seq == (await store.nodes([path]))[path].version
    gone = await bus.client.jsm().get_last_msg(stream_name(stream.epoch), graph_subject(stream.epoch, f"{GROUPS}/g3"))
    assert decode(gone.data or b"").deleted
    assert (gone.headers or {})["Nats-TTL"]


async def test_every_node_of_a_quiet_log_is_in_a_new_stream(store: PostgresStore, bus: Bus) -> None:
    """The migration's log is the tightest there is: as many nodes as positions, so there is no room for a filler."""
    assert (await store.head()).position == await store.count_nodes()
    await Publisher(store, bus).publish()
    await assert_equal(store, bus, rebuilt=True)
    async with following(bus, "/config", "/desired-config", "/inventory") as seen:
        await until(lambda: seen.syncs == 1)
        assert sorted(seen.present) == await paths(store)


async def test_a_restarted_relay_goes_on_in_the_same_stream(store: PostgresStore, bus: Bus) -> None:
    await Publisher(store, bus).publish()
    before = await stream_of(bus)
    await put(store, "a")
    await Publisher(store, bus, token=2).publish()
    assert (await stream_of(bus)).epoch == before.epoch
    await assert_equal(store, bus, rebuilt=True)


async def test_a_stale_relay_is_refused(store: PostgresStore, bus: Bus) -> None:
    stale, fresh = Publisher(store, bus), Publisher(store, bus, token=2)
    await stale.publish()
    await put(store, "a")
    await fresh.publish()
    with pytest.raises(Conflict):
        await stale.relay.reconcile(KEY, stale.fence)
    assert (await stream_of(bus)).last == (await store.head()).position
    await put(store, "b")
    await fresh.publish()
    await assert_equal(store, bus, rebuilt=True)


async def test_racing_relays_lose_and_double_nothing(store: PostgresStore, bus: Bus, server: PrivateNats) -> None:
    async with connected(server.url()) as other, following(bus, "/config") as seen:
        relays = [Publisher(store, bus), Publisher(store, other, token=2)]
        await relays[0].publish()
        for turn in range(15):
            await put(store, *(f"g{number}" for number in range(turn % 5, 60, 5)), description=str(turn))
            await asyncio.gather(*(relay.publish() for relay in relays))
        head = (await store.head()).position
        nodes = {path: node.version for path, node in (await store.nodes(await paths(store))).items()}
        wanted = {path: version for path, version in nodes.items() if path.startswith("/config")}
        await until(lambda: {path: message.version for path, message in seen.nodes.items()} == wanted)
        assert (await stream_of(bus)).last == head
        assert seen.restarts == 1, "no epoch was begun for nothing"


async def test_a_lost_stream_is_rebuilt_while_the_log_goes_on(
    store: PostgresStore, bus: Bus, server: PrivateNats
) -> None:
    publisher = Publisher(store, bus)
    await put(store, *(f"g{number}" for number in range(2 * BATCH)))
    await publisher.publish()
    await server.kill()
    server.wipe()
    await server.start()
    rebuilding = asyncio.create_task(publisher.publish())
    turn = 0
    while not rebuilding.done():
        turn += 1
        await put(store, *(f"g{number}" for number in range(turn % 7, 2 * BATCH, 49)), description=str(turn))
        await done(store, Command("delete", f"{GROUPS}/g{2 * BATCH - turn}"))
    await rebuilding
    await publisher.publish()
    stream = await stream_of(bus)
    assert (stream.epoch, stream.last) == (2, (await store.head()).position)
    async with following(bus, "/config") as seen:
        await until(lambda: seen.syncs == 1)
        nodes = await store.nodes([path for path in await paths(store) if path.startswith("/config")])
        assert {path: m.version for path, m in seen.nodes.items()} == {path: n.version for path, n in nodes.items()}


async def test_an_unfinished_stream_is_not_gone_on_with(store: PostgresStore, bus: Bus) -> None:
    publisher = Publisher(store, bus)
    await publisher.publish()
    await publisher.relay._streams.create(7, 1, 5)  # as a relay that died while it rebuilt
    await Publisher(store, bus, token=2).publish()
    assert (await stream_of(bus)).epoch == 8
    await assert_equal(store, bus, rebuilt=True)
    assert len(await bus.client.jsm().streams_info()) == 1


async def test_an_older_copy_of_the_database_begins_a_new_epoch(bus: Bus) -> None:
    store, older = memory_store(), memory_store()
    for one in (store, older):
        await seed(one)
    await put(store, "a", "b")
    publisher = Publisher(store, bus)
    await publisher.publish()
    publisher.relay._store = older  # as a restore that happens between two reads
    publisher.store = older
    await publisher.publish()
    assert (await stream_of(bus)).epoch == 2
    await assert_equal(older, bus, rebuilt=True)


async def test_a_database_with_another_history_begins_a_new_epoch_even_where_it_is_longer(bus: Bus) -> None:
    store, other = memory_store(), memory_store()
    for one in (store, other):
        await seed(one)
    await put(store, "a")
    await done(other, Command("delete", f"{GROUPS}/default"))
    await put(other, "x", "y", "z")
    publisher = Publisher(store, bus)
    await publisher.publish()
    publisher.relay._store = other
    await publisher.publish()
    assert (await stream_of(bus)).epoch == 2
    await assert_equal(other, bus, rebuilt=True)


async def test_the_largest_nodes_pass(store: PostgresStore, bus: Bus) -> None:
    publisher = Publisher(store, bus)
    await publisher.publish()
    step = {"image": "busybox", "script": "é" * 25_050}
    for number in range(5):
        node = await new_job(store, f"j{number}", steps=[{**step, "name": f"s{n}"} for n in range(3)])
        status = {"outputs": {"text": '"' * 47_950}}
        await done(store, Command("patchStatus", node.path, status), actor=SYSTEM)
    await publisher.publish()
    async with following(bus, "/config") as seen:
        await until(lambda: seen.syncs == 1)
        sizes = [len(bytes(m.spec)) + len(bytes(m.status)) for m in seen.nodes.values() if m.kind == "Job"]
        assert len(sizes) == 5
        assert min(sizes) > 240 * 1024


async def test_a_commit_is_relayed_after_a_server_that_was_away(
    store: PostgresStore, bus: Bus, server: PrivateNats
) -> None:
    publisher = Publisher(store, bus)
    await publisher.publish()
    await put(store, *(f"g{number}" for number in range(300)))
    publishing = asyncio.create_task(publisher.publish())
    await server.kill()
    await server.start()
    began = asyncio.get_running_loop().time()
    await publishing
    assert asyncio.get_running_loop().time() - began < 4.0, "it did not sit out the acknowledgements' timeout"
    await assert_equal(store, bus, rebuilt=True)
