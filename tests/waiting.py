"""Waiting for a condition, with a deadline."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], bool], *, timeout_s: float = 10.0) -> None:
    """Returns once the condition holds. Raises `TimeoutError` where it does not within `timeout_s`."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - what another process does sets no event of ours
            await asyncio.sleep(0.01)
