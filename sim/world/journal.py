"""An agent's journal on a simulated disk, which takes its time."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from random import Random
from typing import Any

from agents.journal import Found, Journal
from datamodel.errors import Transient
from sim.world.process import Process

SYNC_S = (0.001, 0.02)


class WorldJournal:
    """Puts the time of a sync before and after what another journal does: a kill in between leaves it done or not.
    `kept(incarnation, first, bodies)` is told of reports that are on the disk, `forgot(incarnation, through)` of those that may
    leave it."""

    def __init__(
        self,
        process: Process,
        journal: Journal,
        rng: Random,
        kept: Callable[[str, int, Sequence[bytes]], None],
        forgot: Callable[[str, int], None],
    ) -> None:
        self._process, self._journal, self._rng, self._kept, self._forgot = process, journal, rng, kept, forgot
        self._incarnation = ""
        self.refused_s: float | None = None
        """Since when the disk has refused every write; None where it took the last one."""

    async def open(self) -> Found | None:
        found: Found | None = await self._do(self._journal.open)
        if found is not None:
            self._incarnation = found.incarnation
        return found

    async def begin(self, incarnation: str, bodies: Sequence[bytes], *, boot: int | None = None) -> None:
        async def begin() -> None:
            await self._journal.begin(incarnation, bodies, boot=boot)
            self._incarnation = incarnation
            self._kept(incarnation, 1, bodies)

        await self._do(self._judged(begin))

    async def take(self, boot: int) -> None:
        await self._do(self._judged(lambda: self._journal.take(boot)))

    async def write(
        self, first: int, bodies: Sequence[bytes], *, forget_through: int, unconfirmed_after: int | None
    ) -> None:
        async def write() -> None:
            await self._journal.write(first, bodies, forget_through=forget_through, unconfirmed_after=unconfirmed_after)
            self._kept(self._incarnation, first, bodies)
            self._forgot(self._incarnation, forget_through)

        await self._do(self._judged(write))

    async def check(self) -> None:
        await self._do(self._judged(self._journal.check))

    async def close(self, forget_through: int) -> None:
        await self._do(lambda: self._journal.close(forget_through))

    def _judged(self, write: Callable[[], Awaitable[None]]) -> Callable[[], Coroutine[Any, Any, None]]:
        async def do() -> None:
            try:
                await write()
            except Transient:
                if self.refused_s is None:
                    self.refused_s = self._process.universe.now_s
                raise
            self.refused_s = None

        return do

    def _do(self, do: Callable[[], Any]) -> "asyncio.Future[Any]":
        sync_s = self._rng.uniform(*SYNC_S)
        return self._process.call(do, there_s=sync_s, back_s=sync_s)
