"""How an agent makes its edges known to the hub: when it starts, and whenever the hub may not know them any more."""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from msgspec.structs import replace

from agents.outbox import Outbox
from datamodel.errors import TendrilError
from datamodel.scheduling import wire

RETRY_S = 10.0
_log = structlog.get_logger("agent")


class Introductions:
    """The reports that introduce an agent's edges. That the hub knows them already costs nothing."""

    def __init__(self, outbox: Outbox, registrations: Sequence[wire.EdgeReport]) -> None:
        self._outbox = outbox
        self._registrations = registrations
        self._restarted = asyncio.Event()

    async def introduce(self, **changes: Any) -> None:
        """Also says what is different from now on, by the names of the report's fields. Raises `Transient` where the outbox
        cannot keep it."""
        registrations = [replace(report, **changes) for report in self._registrations]
        for report in registrations:
            await self._outbox.add(wire.encode(report))
        self._registrations = registrations

    def feed_restarted(self) -> None:
        """The hub's database may be an older one from now on, which may not know the edges."""
        self._restarted.set()

    async def run(self) -> None:
        """Introduces them again whenever the feed has begun anew, until it is cancelled."""
        while True:
            await self._restarted.wait()
            self._restarted.clear()
            try:
                await self.introduce()
            except TendrilError as error:
                _log.warning("the edges could not be introduced again", error=error.message)
                await asyncio.sleep(RETRY_S)
                self._restarted.set()
