"""Whether an agent's engine answers: where it does not, the hub is told, so that nothing new is placed on its edges."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from agents.runtimes.protocol import Runtime
from datamodel.errors import TendrilError

CHECK_S = 5.0
PATIENCE_S = 15.0
"""How long an engine may be away before anybody is told: one that is restarted is back sooner."""
_log = structlog.get_logger("agent")


class Health:
    """Looks again and again. `tell(trouble)` makes it known and raises `TendrilError` where that fails."""

    def __init__(self, runtime: Runtime, tell: Callable[[str], Awaitable[None]]) -> None:
        self._runtime = runtime
        self._tell = tell
        self.trouble = ""
        """Why nothing can be started, as it was told last; empty where all is well."""

    async def run(self) -> None:
        """Until it is cancelled."""
        loop = asyncio.get_running_loop()
        answered_s = loop.time()
        while True:
            trouble = await self._check()
            if not trouble:
                answered_s = loop.time()
            if trouble != self.trouble and (not trouble or loop.time() - answered_s >= PATIENCE_S):
                await self._change(trouble)
            await asyncio.sleep(CHECK_S)

    async def _check(self) -> str:
        try:
            await self._runtime.check()
        except TendrilError as error:
            return error.message
        return ""

    async def _change(self, trouble: str) -> None:
        try:
            await self._tell(trouble)
        except TendrilError as error:
            _log.warning("the engine's state could not be told", error=error.message)  # it is tried again
            return
        self.trouble = trouble
        if trouble:
            _log.warning("nothing can be started here", trouble=trouble)
        else:
            _log.info("the engine answers again")
