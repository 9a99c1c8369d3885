"""Adopting: what an agent finds at its engine when it begins, left there by the one before it."""

import asyncio

import structlog

from agents.runtimes.protocol import Runtime
from agents.told import Told
from datamodel.errors import TendrilError

RETRY_S = 1.0
_log = structlog.get_logger("agent")


class Adopting:
    """Of one agent. Which attempts' ends the hub has settled is remembered until it is known what is there."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._over: set[str] | None = set()

    def is_over(self, attempt: str) -> None:
        """The hub has settled the end of an attempt that this agent knows nothing of."""
        if self._over is not None:
            self._over.add(attempt)

    async def found(self) -> dict[str, Told]:
        """What there is, by its name. Asks until the engine answers."""
        while True:
            try:
                found = await self._runtime.discover()
            except TendrilError as error:
                _log.warning("the engine does not answer", error=error.message)
                await asyncio.sleep(RETRY_S)
            else:
                over, self._over = self._over or set(), None
                return {observed.attempt: Told(uid=observed.uid, over=observed.attempt in over) for observed in found}
