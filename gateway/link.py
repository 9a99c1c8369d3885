"""The gateway's connection to NATS, which may come late and go: what is stored and read does not depend on it."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import structlog

from datamodel.errors import Transient
from datamodel.feed.bus import NATS_FAILURES, Bus, connect, honour_cancellation
from datamodel.feed.follow import NatsFeed
from datamodel.ports import FeedItem
from datamodel.wire import POKE

RETRY_S = 2.0
_log = structlog.get_logger("link")


class Link:
    """One connection, one follower of the feed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._bus: Bus | None = None
        self._pokes: set[asyncio.Task[None]] = set()

    @property
    def connected(self) -> bool:
        return self._bus is not None and self._bus.client.is_connected

    async def run(self, prefixes: Sequence[str], deliver: Callable[[FeedItem], None]) -> None:
        """Connects, and follows the nodes at and below these paths until it is cancelled."""
        while self._bus is None:
            try:
                self._bus = await connect(self._url, "gateway")
            except Transient as error:
                _log.warning("not connected", error=error.message)
                honour_cancellation()
                await asyncio.sleep(RETRY_S)
        try:
            await NatsFeed(self._bus).follow(prefixes, deliver)
        finally:
            await self._bus.close()

    def poke(self) -> None:
        """Tells the relay that the log has grown. A poke that is lost costs latency and nothing else."""
        if self._bus is not None and self.connected:
            task = asyncio.create_task(self._poke(self._bus))
            self._pokes.add(task)
            task.add_done_callback(self._pokes.discard)

    async def _poke(self, bus: Bus) -> None:
        with contextlib.suppress(*NATS_FAILURES):
            await bus.client.publish(POKE, b"")
