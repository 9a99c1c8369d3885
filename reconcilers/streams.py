"""streams: those that keep logs and artifacts beside the graph are there, with the bounds that the settings say."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

import structlog

from datamodel.errors import Transient
from datamodel.feed.bus import Bus, honour_cancellation

EVERY_S = 30.0
RETRY_S = 2.0
_log = structlog.get_logger("streams")


class StreamsKeeper:
    """Makes streams where there are none: at the start, after every reconnection (the server may be another one, or have lost
    its streams), and now and then. Any number of replicas may do so. Each of `keeps`, by name, makes sure of one, and says
    whether it was made."""

    def __init__(self, bus: Bus, keeps: Mapping[str, Callable[[Bus], Awaitable[bool]]]) -> None:
        self._bus = bus
        self._keeps = keeps
        self._woken = asyncio.Event()
        bus.on_reconnect(self._woken.set)

    async def run(self) -> None:
        """Runs until it is cancelled."""
        while True:
            kept = [await self._keep(name) for name in self._keeps]
            honour_cancellation()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S if all(kept) else RETRY_S):
                    await self._woken.wait()
            self._woken.clear()

    async def _keep(self, name: str) -> bool:
        try:
            if await self._keeps[name](self._bus):
                _log.info("a stream was made", of=name)
        except Transient as error:
            _log.warning("a stream cannot be kept", of=name, error=error.message)
            return False
        return True
