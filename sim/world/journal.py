"""An agent's journal on a simulated disk, which takes its time."""

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from agents.journal import Found, Journal
from sim.world.process import Process

SYNC_S = (0.001, 0.02)


class WorldJournal:
    """Puts the time of a sync before and after what another journal does: a kill in between leaves it done or not.
    `kept(incarnation, first, bodies)` is told of reports that are on the disk."""

    def __init__(
        self, process: Process, journal: Journal, rng: Random, kept: Callable[[str, int, Sequence[bytes]], None]
    ) -> None:
        self._process, self._journal, self._rng, self._kept = process, journal, rng, kept
        self._incarnation = ""

    async def open(self) -> Found | None:
        found: Found | None = await self._do(self._journal.open)
        if found is not None:
            self._incarnation = found.incarnation
        return found

    async def begin(self, incarnation: str, bodies: Sequence[bytes]) -> None:
        async def begin() -> None:
            await self._journal.begin(incarnation, bodies)
            self._incarnation = incarnation
            self._kept(incarnation, 1, bodies)

        await self._do(begin)

    async def write(
        self, first: int, bodies: Sequence[bytes], *, forget_through: int, unconfirmed_after: int | None
    ) -> None:
        async def write() -> None:
            await self._journal.write(first, bodies, forget_through=forget_through, unconfirmed_after=unconfirmed_after)
            self._kept(self._incarnation, first, bodies)

        await self._do(write)

    async def close(self, forget_through: int) -> None:
        await self._do(lambda: self._journal.close(forget_through))

    def _do(self, do: Callable[[], Any]) -> "asyncio.Future[Any]":
        sync_s = self._rng.uniform(*SYNC_S)
        return self._process.call(do, there_s=sync_s, back_s=sync_s)
