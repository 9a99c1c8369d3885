"""The relay on a real log and a real stream: what is in one is in the other, whoever races and whatever is lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest
import pytest_asyncio

from datamodel.command import Command
from datamodel.errors import Transient
from datamodel.feed.bus import Bus
from datamodel.feed.follow import NatsFeed
from datamodel.feed.message import decode
from datamodel.feed.ports import Stream
from datamodel.feed.stream import JetStreams, graph_subject, newest_stream, stream_name
from datamodel.ports import Change, Store
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from migrations.upgrade import migrate
from reconcilers.relay import BATCH, KEY
from tests.feed import Publisher, connected, following
from tests.graph import SYSTEM, done, new_job
from tests.segments import SIZE, based, compacted, in_small_segments
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
    publisher = Publisher(store, JetStreams(bus))
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
    await Publisher(store, JetStreams(bus)).publish()
    await assert_equal(store, bus, rebuilt=True)
    async with following(NatsFeed(bus), "/config", "/desired-config", "/inventory") as seen:
        await until(lambda: seen.syncs == 1)
        assert sorted(seen.present) == await paths(store)


async def test_racing_relays_lose_and_double_nothing(store: PostgresStore, bus: Bus, server: PrivateNats) -> None:
    async with connected(server.access()) as other, following(NatsFeed(bus), "/config") as seen:
        relays = [Publisher(store, JetStreams(bus)), Publisher(store, JetStreams(other), token=2)]
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
    publisher = Publisher(store, JetStreams(bus))
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
    async with following(NatsFeed(bus), "/config") as seen:
        await until(lambda: seen.syncs == 1)
        nodes = await store.nodes([path for path in await paths(store) if path.startswith("/config")])
        assert {path: m.version for path, m in seen.nodes.items()} == {path: n.version for path, n in nodes.items()}


async def test_a_store_that_was_restored_gets_a_stream_of_a_new_epoch(store: PostgresStore, bus: Bus) -> None:
    """Though its log is the stream's: who followed the other store must list again."""
    await Publisher(store, JetStreams(bus)).publish()
    await store.set_epoch(7)
    await Publisher(store, JetStreams(bus)).publish()
    stream = await stream_of(bus)
    assert (stream.epoch, stream.last) == (8, (await store.head()).position)
    await assert_equal(store, bus, rebuilt=True)


class CutShort(JetStreams):
    """Does not get as far as to remove older streams the first time."""

    removals = 0

    async def delete_older(self, epoch: int) -> None:
        self.removals += 1
        if self.removals == 1:
            raise Transient("the connection was lost")
        await super().delete_older(epoch)


async def test_nobody_goes_on_in_a_stream_that_a_rebuild_left_behind(store: PostgresStore, bus: Bus) -> None:
    former = Publisher(store, JetStreams(bus))
    await former.publish()
    await store.set_epoch(7)
    await Publisher(store, CutShort(bus), token=2).publish()
    await put(store, "g")
    await former.publish()
    stream = await stream_of(bus)
    assert (stream.epoch, stream.last) == (8, (await store.head()).position)


class Overtaken(JetStreams):
    """Somebody else does something while a rebuild begins."""

    def __init__(self, bus: Bus, meanwhile: Callable[[], Awaitable[None]]) -> None:
        super().__init__(bus)
        self._meanwhile = [meanwhile]

    async def create(self, epoch: int, first: int, present: int) -> Stream:
        while self._meanwhile:
            await self._meanwhile.pop()()
        return await super().create(epoch, first, present)


async def test_what_changes_while_a_stream_is_rebuilt_is_in_its_present(store: PostgresStore, bus: Bus) -> None:
    class Stopped(Overtaken):
        """Takes nothing beyond what was there when it was made."""

        async def create(self, epoch: int, first: int, present: int) -> Stream:
            self.present = present
            return await super().create(epoch, first, present)

        async def publish(self, epoch: int, after: int, changes: Sequence[Change]) -> None:
            if after >= self.present:
                raise Transient("the connection was lost")
            await super().publish(epoch, after, changes)

    await put(store, "a", "b")
    before = await paths(store)

    async def meanwhile() -> None:
        await put(store, "a", "new", description="changed")

    stopped = Publisher(store, Stopped(bus, meanwhile))
    with pytest.raises(Transient):
        await stopped.relay.reconcile(KEY, stopped.fence)
    async with following(NatsFeed(bus), "/config", "/desired-config", "/inventory") as seen:
        await until(lambda: seen.syncs == 1)
        assert seen.present == {*before}
        await Publisher(store, JetStreams(bus), token=2).publish()
        await until(lambda: f"{GROUPS}/new" in seen.nodes)
    await assert_equal(store, bus, rebuilt=True)


async def test_who_was_overtaken_by_another_rebuild_goes_on_in_the_newest_stream(
    store: PostgresStore, bus: Bus
) -> None:
    await Publisher(store, JetStreams(bus)).publish()
    await store.set_epoch(7)
    faster = Publisher(store, JetStreams(bus), token=3)
    slower = Publisher(store, Overtaken(bus, faster.publish), token=2)
    await slower.publish()
    await put(store, "g")
    await slower.publish()
    stream = await stream_of(bus)
    assert (stream.epoch, stream.last) == (9, (await store.head()).position)


@pytest.mark.parametrize("another", [False, True])
async def test_who_is_behind_what_is_kept_of_the_log_lists_again(
    store: PostgresStore, database_url: str, bus: Bus, *, another: bool
) -> None:
    """The same relay, or one that finds the stream as the former left it: nobody misses what is gone."""
    await in_small_segments(store, database_url)
    publisher = Publisher(store, JetStreams(bus))
    await put(store, "a", "b", "c")
    await publisher.publish()
    async with following(NatsFeed(bus), "/config") as seen:
        await until(lambda: seen.syncs == 1)
        async with PostgresStore(database_url, MODEL) as other:  # what a process wrote itself it remembers
            await put(other, *(f"g{number}" for number in range(3 * SIZE)))
            await put(other, "a", description="changed")
            await done(other, Command("delete", f"{GROUPS}/b"))
            await put(other, *(f"h{number}" for number in range(3 * SIZE)))
            assert await compacted(other, (await other.head()).position) > 6 * SIZE
        await (Publisher(store, JetStreams(bus), token=2) if another else publisher).publish()
        await assert_equal(store, bus, rebuilt=True)
        nodes = await store.nodes([path for path in await paths(store) if path.startswith("/config")])
        await until(
            lambda: {path: m.version for path, m in seen.nodes.items()} == {p: n.version for p, n in nodes.items()}
        )
        assert (seen.restarts, (await stream_of(bus)).epoch) == (2, 2)


async def test_a_stream_of_an_empty_log_is_behind_too(empty_database_url: str, bus: Bus) -> None:
    """It ends at position 0, which has no event to compare."""
    await migrate(empty_database_url, MODEL)
    async with PostgresStore(empty_database_url, MODEL) as store:
        await JetStreams(bus).create(1, 1, 0)
        head = (await store.head()).position
        await in_small_segments(store, empty_database_url)
        await put(store, *(f"g{number}" for number in range(2 * SIZE)))
        assert await compacted(store, (await store.head()).position) > head
        await Publisher(store, JetStreams(bus)).publish()
        await assert_equal(store, bus, rebuilt=True)
        assert (await stream_of(bus)).epoch == 2


async def test_the_last_that_is_kept_is_enough_to_go_on_from(store: PostgresStore, database_url: str, bus: Bus) -> None:
    await in_small_segments(store, database_url)
    publisher = Publisher(store, JetStreams(bus))
    await put(store, *(f"g{number}" for number in range(2 * SIZE)))
    await publisher.publish()
    head = (await store.head()).position
    await based(store, head)
    await Publisher(store, JetStreams(bus), token=2).publish()
    await put(store, "z")
    await publisher.publish()
    stream = await stream_of(bus)
    assert (stream.epoch, stream.last) == (1, head + 1)


async def test_the_largest_nodes_pass(store: PostgresStore, bus: Bus) -> None:
    publisher = Publisher(store, JetStreams(bus))
    await publisher.publish()
    step = {"image": "busybox", "script": "é" * 25_050}
    for number in range(5):
        node = await new_job(store, f"j{number}", steps=[{**step, "name": f"s{n}"} for n in range(3)])
        status = {"outputs": {"text": '"' * 47_950}}
        await done(store, Command("patchStatus", node.path, status), actor=SYSTEM)
    await publisher.publish()
    async with following(NatsFeed(bus), "/config") as seen:
        await until(lambda: seen.syncs == 1)
        sizes = [len(bytes(m.spec)) + len(bytes(m.status)) for m in seen.nodes.values() if m.kind == "Job"]
        assert len(sizes) == 5
        assert min(sizes) > 240 * 1024


async def test_a_commit_is_relayed_after_a_server_that_was_away(
    store: PostgresStore, bus: Bus, server: PrivateNats
) -> None:
    publisher = Publisher(store, JetStreams(bus))
    await publisher.publish()
    await put(store, *(f"g{number}" for number in range(300)))
    publishing = asyncio.create_task(publisher.publish())
    await server.kill()
    await server.start()
    began = asyncio.get_running_loop().time()
    await publishing
    assert asyncio.get_running_loop().time() - began < 4.0, "it did not sit out the acknowledgements' timeout"
    await assert_equal(store, bus, rebuilt=True)
