"""A sender without a network: a verified fake, behind the same contract suite as the real one."""

import asyncio
from collections.abc import Awaitable, Callable

from reconcilers.calling.exposure import Exposure
from reconcilers.calling.ports import TIMED_OUT, Call, Reply, Unsent


class MemorySender:
    """The port `Sender`. `carry(call)` is what a receiver answers, None where it never does."""

    def __init__(self, carry: Callable[[Call], Awaitable[Reply | None]], exposure: Exposure, timeout_s: float) -> None:
        self._carry, self._exposure, self._timeout_s = carry, exposure, timeout_s

    async def send(self, call: Call) -> Reply:
        refusal = self._exposure.refusal(call.url)
        if refusal is not None:
            return refusal
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await self._carry(call)
                if reply is None:
                    await asyncio.get_running_loop().create_future()
        except TimeoutError:
            reply = None
        return Unsent(TIMED_OUT, f"it did not answer within {self._timeout_s:g} s") if reply is None else reply
