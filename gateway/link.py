"""The gateway's connection to NATS, which may come late and go: what is stored and read does not depend on it."""

import asyncio
import contextlib
from collections.abc import Sequence

import structlog

from datamodel.artifacts.jetstream import JetPieces
from datamodel.artifacts.ports import KeptPieces
from datamodel.errors import Transient
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

    def __init__(self, url: str) -> None:
        self._url = url
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

    async def run(self, prefixes: Sequence[str], changes: Changes, *, linger_s: float = LINGER_S) -> None:
        """Connects, and tells of what changes at and below these paths while somebody watches, until it is cancelled."""
        while self._bus is None:
            try:
                self._bus = await connect(self._url, "gateway")
            except Transient as error:
                _log.warning("not connected", error=error.message)
                honour_cancellation()
                await asyncio.sleep(RETRY_S)
        self._transcripts, self._artifacts = JetTranscripts(self._bus), JetPieces(self._bus)
        feed = NatsFeed(self._bus)
        try:
            while True:
                await changes.watched()
                async with asyncio.TaskGroup() as group:
                    following = group.create_task(feed.follow(prefixes, changes.deliver))
                    await changes.unwatched(linger_s)
                    following.cancel()
        finally:
            await self._bus.close()

    def poke(self) -> None:
        """Tells the relay that the log has grown. A poke that is lost costs latency and nothing else."""
        if self._bus is not None and self.connected:
            task = asyncio.create_task(self._poke(self._bus))
            self._pokes.add(task)
            task.add_done_callback(self._pokes.discard)

    async def _poke(self, bus: Bus) -> None:
        with contextlib.suppress(Transient):
            await bus.publish(POKE, b"")
