"""A deduplicating queue of keys: a key waits once however often it is added, and no two workers have it at a time."""

import asyncio
import heapq


class KeyQueue:
    """Keys in order of arrival. It is bounded by the number of keys that there are: adding a waiting key changes nothing.

    A key that is added while a worker has it waits until the worker is done.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, None] = {}
        self._working: set[str] = set()
        self._again: set[str] = set()
        self._later: list[tuple[float, str]] = []
        self._due: dict[str, float] = {}
        self._changed = asyncio.Event()

    def add(self, key: str) -> None:
        """Makes the key due now."""
        self._due.pop(key, None)
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = None
            self._changed.set()

    def add_after(self, key: str, delay_s: float) -> None:
        """Makes the key due after a delay, unless it is due earlier already."""
        due = asyncio.get_running_loop().time() + delay_s
        if key in self._waiting or key in self._again or self._due.get(key, due + 1) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._later, (due, key))
        self._changed.set()

    async def get(self) -> str:
        """The next key; the caller calls `done` with it."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake_due(loop.time())
            if self._waiting:
                key = next(iter(self._waiting))
                del self._waiting[key]
                self._working.add(key)
                return key
            self._changed.clear()
            delay = self._later[0][0] - loop.time() if self._later else None
            try:
                async with asyncio.timeout(delay):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def done(self, key: str) -> None:
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def __len__(self) -> int:
        return len(self._waiting)

    def _wake_due(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            due, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                self.add(key)
