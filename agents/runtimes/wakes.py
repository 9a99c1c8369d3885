"""Waiting until something about an attempt holds."""

import asyncio
from collections.abc import Awaitable, Callable


class Wakes:
    """Lets a coroutine wait for a condition of an attempt; whoever learns of a change wakes it.

    A wake is a hint: the condition is read anew after each, and every `poll_s` seconds in case one was lost.
    """

    def __init__(self, poll_s: float = 1.0) -> None:
        self._poll_s = poll_s
        self._waiting: dict[str, set[asyncio.Event]] = {}

    def wake(self, attempt: str) -> None:
        for event in self._waiting.get(attempt, ()):
            event.set()

    async def until(self, attempt: str, holds: Callable[[], Awaitable[bool]], timeout_s: float) -> bool:
        """True as soon as `holds()` is, False when `timeout_s` seconds have passed first."""
        event = asyncio.Event()
        waiting = self._waiting.setdefault(attempt, set())
        waiting.add(event)
        deadline = asyncio.get_running_loop().time() + timeout_s
        try:
            while True:
                event.clear()
                if await holds():
                    return True
                left_s = deadline - asyncio.get_running_loop().time()
                if left_s <= 0:
                    return False
                await _set_within(event, min(left_s, self._poll_s))
        finally:
            waiting.discard(event)
            if not waiting:
                self._waiting.pop(attempt, None)


async def _set_within(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        pass
