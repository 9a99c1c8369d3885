"""Waiting for a condition, with a deadline."""

import asyncio
from collections.abc import Awaitable, Callable

PATIENCE_S = 30.0
"""Many times what any wait takes on a machine that has nothing else to do."""


async def until(condition: Callable[[], bool], *, timeout_s: float = PATIENCE_S) -> None:
    """Returns once the condition holds. Raises `TimeoutError` where it does not within `timeout_s`."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - what another process does sets no event of ours
            await asyncio.sleep(0.01)


async def eventually(read: Callable[[], Awaitable[bool]], *, timeout_s: float = PATIENCE_S) -> None:
    """Like `until`, for a condition that has to be asked for."""
    async with asyncio.timeout(timeout_s):
        while not await read():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
