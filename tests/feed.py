"""The feed in tests: a log in memory whose changes are published when the test says so, and what a follower saw of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from datamodel.command import Fence
from datamodel.errors import Conflict, Transient
from datamodel.feed.access import Access
from datamodel.feed.bus import Bus, connect
from datamodel.feed.ports import Streams
from datamodel.ports import Feed, FeedItem, Message, Restarted, Store, Synced
from reconcilers.relay import KEY, Relay


class Publisher:
    """A relay that runs until it has nothing to do."""

    def __init__(self, store: Store, streams: Streams, token: int = 1) -> None:
        self.store = store
        self.relay = Relay(store, streams)
        self.fence = Fence("relay/0", token)

    async def publish(self, *, timeout_s: float = 15.0) -> None:
        """Returns when the stream has everything that is in the log, after as many failures as it takes."""
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    if await self.relay.reconcile(KEY, self.fence) is None:
                        return
                except (Conflict, Transient):
                    await asyncio.sleep(0.02)  # a server that is away sets no event of ours


class Seen:
    """What a follower was told."""

    def __init__(self) -> None:
        self.items: list[FeedItem] = []
        self.nodes: dict[str, Message] = {}
        self.present: frozenset[str] = frozenset()
        """The nodes that were known when the last present was complete."""

    def deliver(self, item: FeedItem) -> None:
        self.items.append(item)
        match item:
            case Restarted():
                self.nodes = {}
            case Synced():
                self.present = frozenset(self.nodes)
            case Message(deleted=True):
                self.nodes.pop(item.path, None)
            case Message():
                self.nodes[item.path] = item

    @property
    def restarts(self) -> int:
        return sum(isinstance(item, Restarted) for item in self.items)

    @property
    def syncs(self) -> int:
        return sum(isinstance(item, Synced) for item in self.items)


async def arrived(bus: Bus) -> None:
    """Returns when the server has all that was sent before. The client's flush asks past what waits to be sent, and then has
    that sent: so what it asks the second time comes behind it."""
    await bus.client.flush()
    await bus.client.flush()


@asynccontextmanager
async def connected(access: Access, name: str = "test") -> AsyncIterator[Bus]:
    bus = await connect(access, name)
    try:
        yield bus
    finally:
        await bus.close()


@asynccontextmanager
async def following(feed: Feed, *prefixes: str) -> AsyncIterator[Seen]:
    """Follows these prefixes for as long as the block runs."""
    seen = Seen()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(feed.follow(prefixes, seen.deliver))
        yield seen
        task.cancel()
