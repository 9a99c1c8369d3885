"""Anti-entropy with real servers: a follower drops what it was sent, and the agent has it soon after, or rid of it."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from agents.link import Link
from agents.memory_journal import Disk, MemoryJournal
from agents.outbox import Outbox
from datamodel.command import Command
from datamodel.feed.bus import Bus
from datamodel.feed.follow import NatsFeed
from datamodel.feed.signing import Signing
from datamodel.ports import FeedItem, Message
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from tests.graph import EDGE, SYSTEM, attempt, attempt_path, done, new_edge, new_job
from tests.hub import running_hub
from tests.services import PrivateNats, agent_key
from tests.waiting import until


class Dropping:
    """The feed, but for the messages that `drops` names."""

    def __init__(self, feed: NatsFeed) -> None:
        self._feed = feed
        self.drops: Callable[[Message], bool] = lambda _: False
        self.dropped: set[tuple[str, bool]] = set()
        """Paths, and whether they were told to be gone."""

    async def follow(self, prefixes: Sequence[str], deliver: Callable[[FeedItem], None]) -> None:
        def take(item: FeedItem) -> None:
            if isinstance(item, Message) and self.drops(item):
                self.dropped.add((item.path, item.deleted))
            else:
                deliver(item)

        await self._feed.follow(prefixes, take)


async def test_what_a_follower_dropped_is_fetched_and_what_it_kept_is_dropped(
    bus: Bus, server: PrivateNats, database_url: str
) -> None:
    feed, seen = Dropping(NatsFeed(bus)), dict[str, Message]()

    def deliver(item: FeedItem) -> None:
        if isinstance(item, Message) and item.deleted:
            seen.pop(item.path, None)
        elif isinstance(item, Message):
            seen[item.path] = item

    async with (
        PostgresStore(database_url, MODEL) as store,
        running_hub(database_url, server.access(), suspect_after_s=600.0, disconnected_after_s=700.0),
        Outbox(MemoryJournal(Disk())) as outbox,
    ):
        await new_edge(store, cpu=8.0, powerW=100.0)
        await done(store, Command("patchSpec", "/config/scheduler", {"paused": True}))
        job = await new_job(store, chunks=3)
        kept, gone, new = (attempt_path(job, index) for index in range(3))
        link = Link(Signing(bus, agent_key("s", "e")), feed, outbox, "s", "e", ["e"], compare_s=(0.3, 0.3))
        task = asyncio.create_task(link.run(deliver, lambda: None))
        try:
            await done(store, attempt(job, 0), attempt(job, 1), actor=SYSTEM)
            await until(lambda: seen.keys() == {kept, gone})
            feed.drops = lambda _: True
            await done(store, Command("patchSpec", gone, {"intent": "stop"}), attempt(job, 2), actor=SYSTEM)
            await done(store, Command("patchStatus", gone, {"phase": "stopped"}), actor=EDGE)
            await done(store, Command("delete", gone), actor=SYSTEM)
            await until(lambda: feed.dropped >= {(gone, True), (new, False)})
            feed.drops = lambda _: False
            await until(lambda: seen.keys() == {kept, new}, timeout_s=30.0)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    assert link.comparing.healed >= 2, "and what else changed meanwhile"
