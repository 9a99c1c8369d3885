"""Waiting for what a measurement ends with."""

import asyncio
from collections.abc import Awaitable, Callable

from datamodel.errors import Transient

TIMEOUT_S = 300.0
_POLL_S = 0.02


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Returns once the condition holds. Raises `Transient` where that takes too long."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            while not await condition():  # noqa: ASYNC110 - the database and the gateway are asked, they do not call
                await asyncio.sleep(_POLL_S)
    except TimeoutError as error:
        raise Transient(f"waited {TIMEOUT_S:.0f} s in vain for {what}") from error


def done(condition: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    """What is known here, as something that is asked for."""

    async def check() -> bool:
        return condition()

    return check
