"""Whether anything can be begun: an agent's engine answers, and its outbox takes reports. Where not, the hub is told as soon as
that can be, so that nothing new is placed on its edges."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from agents.outbox import Outbox
from agents.runtimes.protocol import Runtime
from datamodel.errors import TendrilError

CHECK_S = 5.0
PATIENCE_S = 15.0
"""How long an engine may be away before anybody is told: one that is restarted is back sooner."""
_log = structlog.get_logger("agent")


class Health:
    """Looks again and again. `tell(trouble)` makes it known and raises `TendrilError` where that fails."""

    def __init__(
        self,
        runtime: Runtime,
        outbox: Outbox,
        tell: Callable[[str], Awaitable[None]],
        *,
        check_s: float = CHECK_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._runtime = runtime
        self._outbox = outbox
        self._tell = tell
        self._check_s, self._patience_s = check_s, patience_s
        self.trouble = ""
        """Why nothing can be started, as it was told last; empty where all is well."""
        self.engine_trouble = ""
        """The same, where it is the engine that does not answer."""

    async def run(self) -> None:
        """Until it is cancelled."""
        loop = asyncio.get_running_loop()
        answered_s = loop.time()
        while True:
            engine_trouble = await self._check()
            await self._outbox.check()
            trouble = engine_trouble or self._outbox.trouble
            if not trouble:
                answered_s = loop.time()
            if trouble != self.trouble and (not trouble or loop.time() - answered_s >= self._patience_s):
                await self._change(trouble, engine_trouble)
            await asyncio.sleep(self._check_s)

    async def _check(self) -> str:
        try:
            await self._runtime.check()
        except TendrilError as error:
            return error.message
        return ""

    async def _change(self, trouble: str, engine_trouble: str) -> None:
        try:
            await self._tell(trouble)
        except TendrilError as error:
            _log.warning("the agent's state could not be told", error=error.message)  # it is tried again
            return
        self.trouble, self.engine_trouble = trouble, engine_trouble
        if trouble:
            _log.warning("nothing can be started here", trouble=trouble)
        else:
            _log.info("work can be started again")
