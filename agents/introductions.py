"""How an agent makes its edges known to the hub: when it starts, whenever the hub may not know them any more, and when
something of them changes."""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from msgspec.structs import replace

from agents.news.ports import Changes, News
from agents.outbox import Outbox
from datamodel.errors import TendrilError, Transient
from datamodel.scheduling import wire

RETRY_S = 10.0
_log = structlog.get_logger("agent")


class Introductions:
    """The reports that introduce an agent's edges. That the hub knows them already costs nothing."""

    def __init__(self, outbox: Outbox, registrations: Sequence[wire.EdgeReport], news: Sequence[News] = ()) -> None:
        self._outbox = outbox
        self._registrations = {report.edge: report for report in registrations}
        self._news = news
        self._doubted = asyncio.Event()
        self._turn = asyncio.Lock()
        self._newest = "", 0
        """The incarnation and number of the last report."""

    async def begin(self, **changes: Any) -> None:
        """Introduces them with what there is to say of them now. Raises as `introduce`."""
        for news in self._news:
            for edge, fields in (await news.first()).items():
                self._registrations[edge] = replace(self._registrations[edge], **fields)
        await self.introduce(**changes)

    async def introduce(self, **changes: Any) -> None:
        """Also says what is different from now on of all of them, by the names of the report's fields. Raises `Transient` where
        the outbox cannot keep it."""
        await self._tell(dict.fromkeys(self._registrations, changes))

    def doubt(self) -> None:
        """The hub's database may be an older one from now on, which may not know the edges: the feed has begun anew, or it has
        less than it was told."""
        self._doubted.set()

    async def run(self) -> None:
        """Introduces them again whenever it is doubted that the hub knows them, and tells the news, until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for news in self._news:
                group.create_task(news.run(self._tell_news), name=type(news).__name__)
            while True:
                await self._doubted.wait()
                self._doubted.clear()
                try:
                    await self.introduce()
                except TendrilError as error:
                    _log.warning("the edges could not be introduced again", error=error.message)
                    await asyncio.sleep(RETRY_S)
                    self._doubted.set()

    async def _tell_news(self, changes: Changes) -> None:
        """What changes all the time does not fill the outbox of an agent that is cut off: it is told when the hub has what was
        told before. Raises `Transient` until then, too."""
        if self._outbox.holds(*self._newest):
            raise Transient("the hub has not taken in what it was told before")
        await self._tell(changes)

    async def _tell(self, changes: Changes) -> None:
        """One after the other: what one says is kept by who comes after it."""
        async with self._turn:
            for edge, fields in changes.items():
                report = replace(self._registrations[edge], **fields)
                self._newest = self._outbox.incarnation, await self._outbox.add(wire.encode(report))
                self._registrations[edge] = report
