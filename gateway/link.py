"""The gateway's connection to NATS, which may come late and go: what is stored and read does not depend on it."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import structlog

from datamodel.artifacts.jetstream import JetPieces
from datamodel.artifacts.ports import KeptPieces
from datamodel.errors import Forbidden, Invalid, Transient
from datamodel.feed.access import Access
from datamodel.feed.bus import Bus, connect, honour_cancellation
from datamodel.feed.follow import NatsFeed
from datamodel.feed.message import POKE
from datamodel.transcripts.jetstream import JetTranscripts
from datamodel.transcripts.ports import Transcripts
from gateway.changes import Changes

RETRY_S = 2.0
LINGER_S = 5.0
"""How long the feed is followed after the last watcher has gone: one that comes back soon does not start it anew."""

_log = structlog.get_logger("link")


class Link:
    """One connection for as long as the process lives, and one follower of the feed while somebody watches."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._bus: Bus | None = None
        self._transcripts: JetTranscripts | None = None
        self._artifacts: JetPieces | None = None
        self._pokes: set[asyncio.Task[None]] = set()

    @property
    def connected(self) -> bool:
        return self._bus is not None and self._bus.connected

    @property
    def transcripts(self) -> Transcripts:
        """What is kept beside the log. Raises `Transient` before the first connection."""
        if self._transcripts is None:
            raise Transient("NATS has not been reached yet")
        return self._transcripts

    @property
    def artifacts(self) -> KeptPieces:
        """The files that are kept there. Raises `Transient` before the first connection."""
        if self._artifacts is None:
            raise Transient("NATS has not been reached yet")
        return self._artifacts

    async def run(
        self, prefixes: Sequence[str], changes: Changes, grown: Callable[[], None], *, linger_s: float = LINGER_S
    ) -> None:
        """Connects, and tells of what changes at and below these paths while somebody watches, until it is cancelled.
        `grown()` is called whenever anybody says that the log has grown."""
        while True:
            try:
                self._bus = bus = await connect(self._access, "gateway")
                await bus.subscribe(POKE, lambda _, __: grown())
                self._transcripts, self._artifacts = JetTranscripts(bus), JetPieces(bus)
                try:
                    await bus.while_admitted(self._follow(NatsFeed(bus), prefixes, changes, linger_s))
                finally:
                    await bus.close()
            except (Forbidden, Invalid, Transient) as error:
                _log.warning("not connected", error=error.message)
                honour_cancellation()
                await asyncio.sleep(RETRY_S)

    async def _follow(self, feed: NatsFeed, prefixes: Sequence[str], changes: Changes, linger_s: float) -> None:
        while True:
            await changes.watched()
            async with asyncio.TaskGroup() as group:
                following = group.create_task(feed.follow(prefixes, changes.deliver))
                await changes.unwatched(linger_s)
                following.cancel()

    def poke(self) -> None:
        """Tells the relay that the log has grown. A poke that is lost costs latency and nothing else."""
        if self._bus is not None and self.connected:
            task = asyncio.create_task(self._poke(self._bus))
            self._pokes.add(task)
            task.add_done_callback(self._pokes.discard)

    async def _poke(self, bus: Bus) -> None:
        with contextlib.suppress(Transient):
            await bus.publish(POKE, b"")
