"""What a feed missed is made good, and what it may still bring is waited for: with the hub's real side, on virtual time."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from agents.comparing import COMPARE_S, SURE_S, Comparing
from datamodel.command import Command, Fence
from datamodel.feed.memory import MemoryFeed, MemoryMessages, MemoryStreams
from datamodel.node import Node
from datamodel.ports import FeedItem, Message
from datamodel.scheduling import digest, wire
from datamodel.seeds import seed
from reconcilers.digests import Digests
from reconcilers.runtime.metrics import Metrics
from tests.graph import EDGE, SYSTEM, attempt, attempt_path, done, memory_store, new_edge, new_job, present
from tests.universe import on_virtual_time

HEALED_S = 1.2 * COMPARE_S + 2 * 1.5 * SURE_S + 2
"""A look, another one once it is sure, and one that asks for what was missed."""


class Stand:
    """A store, its feed, and an agent with the edges `e-0` and `e-1` that follows it; `lose` and `hold` are what is wrong."""

    def __init__(self) -> None:
        self.store, self.streams, self.messages = memory_store(), MemoryStreams(), MemoryMessages()
        self.metrics = Metrics()
        self.comparing = Comparing(self.messages, "s", "e", 2)
        self.told: list[FeedItem] = []
        self.looks = 0
        self.lost = False
        self._held: list[FeedItem] | None = None
        self._take = self.comparing.following(self.told.append)
        self._relayed = 0
        self._tasks: set[asyncio.Task[object]] = set()

    async def open(self) -> Node:
        """Everything runs; a job whose attempts may be written."""

        def hosts(_: str, agent: str, edge: str) -> bool:
            return wire.is_hosted(agent, edge, 2)

        digests = Digests(self.store, self.streams, self.messages, self.metrics, hosts)

        def wake(key: str) -> bool:
            self.looks += 1
            self._start(digests.reconcile(key, Fence("digests/0", 1)))
            return True

        await digests.listen(wake)
        await self.streams.create(1, 1, 0)
        await seed(self.store)
        await new_edge(self.store, "e-0", cpu=100.0, powerW=1000.0)
        await new_edge(self.store, "e-7", cpu=100.0, powerW=1000.0)
        job = await new_job(self.store, chunks=100)
        await self.relay()
        self._start(MemoryFeed(self.streams).follow(["/desired-config/sites/s/edges/e-0/attempts"], self._deliver))
        self._start(self.comparing.run())
        await asyncio.sleep(0.01)
        return job

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def relay(self) -> None:
        """Publishes what was written."""
        changes = await self.store.changes(self._relayed, 1_000)
        await self.streams.publish(1, self._relayed, changes)
        self._relayed += len(changes)

    @contextmanager
    def losing(self) -> Iterator[None]:
        self.lost = True
        yield
        self.lost = False

    @contextmanager
    def holding(self) -> Iterator[None]:
        """What the feed has comes late."""
        held: list[FeedItem] = []
        self._held = held
        yield
        self._held = None
        for item in held:
            self._take(item)

    async def versions(self) -> dict[str, int]:
        """What there is of the agent's edges."""
        found = await self.store.list_nodes("Attempt", under="/desired-config/sites/s/edges/e-0", limit=1_000)
        return {node.path.removeprefix("/desired-config/sites/s/edges/"): node.version for node in found}

    def say(self, item: FeedItem) -> None:
        """The feed has this to say, whatever is wrong with it."""
        self._take(item)

    def _deliver(self, item: FeedItem) -> None:
        if self._held is not None:
            self._held.append(item)
        elif not (self.lost and isinstance(item, Message)):
            self._take(item)

    def _start(self, main: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(main)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@on_virtual_time
async def test_an_attempt_that_the_feed_missed_is_fetched_and_one_that_changed_too() -> None:
    stand = Stand()
    job = await stand.open()
    await done(stand.store, attempt(job, 0, edge="e-0"), actor=SYSTEM)
    await stand.relay()
    with stand.losing():
        await done(stand.store, attempt(job, 1, edge="e-0"), actor=SYSTEM)
        stop = Command("patchSpec", attempt_path(job, 0, edge="e-0"), {"intent": "stop"})
        await done(stand.store, stop, actor=SYSTEM)
        await stand.relay()
    assert stand.comparing.versions != await stand.versions()
    stand.told.clear()
    await asyncio.sleep(HEALED_S)
    assert stand.comparing.versions == await stand.versions()
    assert stand.comparing.healed == 2
    healed = {item.path: item for item in stand.told if isinstance(item, Message)}
    stopped = await present(stand.store, attempt_path(job, 0, edge="e-0"))
    assert healed[stopped.path].version == stopped.version
    assert b'"stop"' in bytes(healed[stopped.path].spec)
    await asyncio.sleep(1.2 * COMPARE_S + 1)
    assert stand.metrics.counts["digests", "healed"] == 2, "the hub is told, since it is a defect"
    await stand.close()


@on_virtual_time
async def test_a_delete_that_the_feed_missed_is_made_good() -> None:
    stand = Stand()
    job = await stand.open()
    for index in range(3):
        await done(stand.store, attempt(job, index, edge="e-0"), actor=SYSTEM)
    await stand.relay()
    gone = attempt_path(job, 1, edge="e-0")
    await done(stand.store, Command("patchSpec", gone, {"intent": "abandon"}), actor=SYSTEM)
    await done(stand.store, Command("patchStatus", gone, {"phase": "stopped"}), actor=EDGE)
    await stand.relay()
    with stand.losing():
        await done(stand.store, Command("delete", gone), actor=SYSTEM)
        await stand.relay()
    stand.told.clear()
    await asyncio.sleep(HEALED_S)
    assert stand.comparing.versions == await stand.versions()
    (told,) = stand.told
    assert isinstance(told, Message)
    assert (told.path, told.deleted) == (gone, True)
    await stand.close()


@on_virtual_time
async def test_a_feed_that_is_behind_has_missed_nothing() -> None:
    stand = Stand()
    job = await stand.open()
    with stand.holding():
        for index in range(90):  # as long as it has something to say, and says what is older than what differs
            await done(stand.store, attempt(job, index, edge="e-0"), actor=SYSTEM)
            await stand.relay()
            await asyncio.sleep(SURE_S / 2)
            stand.say(_older())
    await asyncio.sleep(0.0)
    assert stand.looks > 3, "it did look, and found differences"
    assert stand.comparing.healed == 0
    assert stand.comparing.versions.keys() - {"e-0/attempts/older"} == (await stand.versions()).keys()
    await stand.close()


def _older() -> Message:
    return Message("/desired-config/sites/s/edges/e-0/attempts/older", "u", "Attempt", 1)


@on_virtual_time
async def test_who_has_everything_looks_seldom_and_in_few_bytes() -> None:
    stand = Stand()
    job = await stand.open()
    for index in range(100):
        await done(stand.store, attempt(job, index, edge="e-0"), actor=SYSTEM)
    await stand.relay()
    sizes: list[int] = []
    for subject in (digest.look_subject("s", "e"), digest.differences_subject("s", "e")):
        await stand.messages.subscribe(subject, lambda _, body: sizes.append(len(body)))
    await asyncio.sleep(3000.0)
    assert stand.looks <= 3000 / (0.8 * COMPARE_S)
    assert len(sizes) == 2 * stand.looks
    assert max(sizes) < 200
    assert stand.metrics.counts["digests", "same"] == stand.looks
    assert stand.comparing.healed == 0
    await stand.close()


def test_the_hub_answers_for_the_edges_of_the_agent_alone() -> None:
    assert wire.is_hosted("e", "e-1", 2)
    for edge in ("e", "e-2", "e-01", "f-0", "e-0-0", "e-"):
        assert not wire.is_hosted("e", edge, 2)
    assert wire.is_hosted("e", "e", 1)
    assert not wire.is_hosted("e", "e-0", 1)
