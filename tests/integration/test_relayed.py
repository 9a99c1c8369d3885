"""The newest message of each node, compared with the audit: right ones are passed, wrong and missing ones are told."""

from collections.abc import AsyncIterator

import pytest_asyncio
from msgspec import structs

from datamodel.audit import Audit
from datamodel.command import Command
from datamodel.feed.bus import Bus
from datamodel.feed.message import encode
from datamodel.feed.relayed import Relayed
from datamodel.feed.stream import JetStreams, graph_subject, newest_stream, stream_name
from datamodel.memory import MemoryStore
from datamodel.node import Node
from datamodel.ports import Change
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from tests.feed import Publisher, arrived
from tests.graph import done, memory_store

GROUPS = "/config/job-groups"


class Scene:
    """A log that is relayed, and an audit of it beside the stream."""

    def __init__(self, store: MemoryStore, bus: Bus) -> None:
        self.store, self.bus = store, bus
        self.audit, self.relayed = Audit(MODEL), Relayed(bus)
        self.publisher = Publisher(store, JetStreams(bus))

    async def put(self, name: str, description: str = "") -> Node:
        await done(self.store, Command("apply", f"{GROUPS}/{name}", {"description": description}))
        return (await self.store.nodes([f"{GROUPS}/{name}"]))[f"{GROUPS}/{name}"]

    async def publish(self, path: str, change: Change) -> None:
        """A message that no relay sent."""
        stream = await newest_stream(self.bus)
        assert stream is not None
        await self.bus.client.publish(graph_subject(stream.epoch, path), encode(change))
        await arrived(self.bus)

    async def compare(self) -> list[str]:
        """What is told of all nodes that changed since the last time."""
        events = await self.store.events(self.audit.head.position, 1_000)
        for event in events:
            assert self.audit.step(event) == []
        return await self.relayed.compare(self.audit, {event.path for event in events})


@pytest_asyncio.fixture
async def scene(bus: Bus) -> AsyncIterator[Scene]:
    store = memory_store()
    await seed(store)
    scene = Scene(store, bus)
    await scene.publisher.publish()
    yield scene


async def test_what_was_relayed_is_what_the_log_says(scene: Scene) -> None:
    await scene.put("a")
    await scene.put("gone")
    await done(scene.store, Command("delete", f"{GROUPS}/gone"))
    await scene.put("a", "changed")
    await scene.publisher.publish()
    assert await scene.compare() == []
    assert scene.relayed.compared == 7
    assert scene.relayed.behind == 0


async def test_what_the_relay_has_not_passed_yet_is_waited_for(scene: Scene) -> None:
    await scene.compare()
    await scene.put("a")
    assert await scene.compare() == []
    assert (scene.relayed.behind, scene.relayed.compared) == (1, 5)
    await scene.publisher.publish()
    assert await scene.compare() == []
    assert (scene.relayed.behind, scene.relayed.compared) == (0, 6)


async def test_a_message_that_is_not_the_newest_state_is_told(scene: Scene) -> None:
    old = await scene.put("a", "old")
    new = await scene.put("a", "new")
    await scene.publisher.publish()
    await scene.publish(new.path, Change(new.version, "x", new.path, new.uid, new.kind, old))
    assert await scene.compare() == [
        f"feed {new.path}, version: {old.version} is stored, {new.version} follows",
        f"feed {new.path}, generation: 1 is stored, 2 follows",
        f"feed {new.path}, spec: {{'description': 'old'}} is stored, {{'description': 'new'}} follows",
    ]


async def test_a_message_of_what_is_gone_is_told(scene: Scene) -> None:
    node = await scene.put("a")
    await done(scene.store, Command("delete", node.path))
    await scene.publisher.publish()
    await scene.publish(node.path, Change(node.version, "x", node.path, node.uid, node.kind, node))
    assert await scene.compare() == [f"feed {node.path}: lives in its newest message, and is gone in the log"]


async def test_a_node_without_a_message_is_told(scene: Scene) -> None:
    node = await scene.put("a")
    await scene.publisher.publish()
    stream = await newest_stream(scene.bus)
    assert stream is not None
    await scene.bus.client.jsm().purge_stream(stream_name(stream.epoch), subject=graph_subject(stream.epoch, node.path))
    assert await scene.compare() == [f"feed {node.path}: has no message, and is at version {node.version} in the log"]


async def test_a_tombstone_of_what_lives_is_doubted_once(scene: Scene) -> None:
    """The relay reads a change's node as it is then: gone, by an event that the audit is yet to hear of."""
    node = await scene.put("a")
    await scene.publisher.publish()
    await scene.publish(node.path, Change(node.version, "x", node.path, node.uid, node.kind, None))
    assert await scene.compare() == []
    assert "deleted: True is stored, False follows" in "".join(await scene.compare())


async def test_what_changed_since_is_left_for_later(scene: Scene) -> None:
    node = await scene.put("a")
    await scene.publisher.publish()
    later = structs.replace(node, version=node.version + 1, generation=2)
    await scene.publish(node.path, Change(later.version, "x", node.path, node.uid, node.kind, later))
    assert await scene.compare() == []


async def test_a_new_epoch_is_compared_as_the_old_one(scene: Scene) -> None:
    await scene.put("a")
    await scene.publisher.publish()
    assert await scene.compare() == []
    compared = scene.relayed.compared
    stream = await newest_stream(scene.bus)
    assert stream is not None
    await scene.bus.client.jsm().delete_stream(stream_name(stream.epoch))
    await scene.put("b")
    assert await scene.compare() == []
    assert scene.relayed.compared == compared
    await scene.publisher.publish()
    assert await scene.compare() == []
    assert scene.relayed.compared == compared + 1
