"""A deduplicating queue of keys: a key waits once however often it is added, and no two workers have it at a time."""

import asyncio
import heapq
import math
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable

_STALE_LIMIT = 64
"""Times of keys that became due earlier stay in the heap; beyond this many and as many as there are keys, they go."""


class KeyQueue:
    """Keys in order of arrival. It is bounded by the number of keys that there are: adding a waiting key changes nothing.

    A key that is added while a worker has it waits until the worker is done.
    """

    def __init__(self) -> None:
        self._waiting = OrderedDict[str, None]()  # a dict finds its first ever more slowly as others go
        self._working: set[str] = set()
        self._again: set[str] = set()
        self._later: list[tuple[float, str]] = []
        self._due: dict[str, float] = {}
        self._idle: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.Handle | None = None
        self._timer_due = math.inf

    def add(self, key: str) -> None:
        """Makes the key due now."""
        self._due.pop(key, None)
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = None
            self._call_one()

    def add_after(self, key: str, delay_s: float) -> None:
        """Makes the key due after a delay, unless it is due earlier already."""
        loop = asyncio.get_running_loop()
        due = loop.time() + delay_s
        if key in self._waiting or key in self._again or self._due.get(key, due + 1) <= due:
            return
        self._due[key] = due
        if len(self._later) > 2 * len(self._due) + _STALE_LIMIT:
            self._later = [(at, later) for later, at in self._due.items()]
            heapq.heapify(self._later)
        else:
            heapq.heappush(self._later, (due, key))
        if due < self._timer_due:
            self._set_timer(loop)

    async def serve(self, work: Callable[[str], Awaitable[object]], workers: int, name: str) -> None:
        """Does `work(key)` for each key, for so many at a time at most, until it is cancelled. Where it raises, all end.

        The workers are tasks, `name` and a number. One begins the next when it has work and nobody is idle: most programs have
        many workers and one key at a time.
        """
        async with asyncio.TaskGroup() as group:
            begun = 1

            async def worker() -> None:
                nonlocal begun
                task = asyncio.current_task()
                assert task is not None
                while True:
                    key = await self.get()
                    if begun < workers and not self._idle:
                        begun += 1
                        group.create_task(worker(), name=f"{name} {begun}")
                    try:
                        await work(key)
                    finally:
                        self.done(key)
                    if task.cancelling():
                        raise asyncio.CancelledError  # which what it has called may have swallowed

            group.create_task(worker(), name=f"{name} 1")

    async def get(self) -> str:
        """The next key; the caller calls `done` with it."""
        while not self._waiting:
            called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.append(called)
            try:
                await called
            except asyncio.CancelledError:
                if called.done() and not called.cancelled():
                    self._call_one()  # it was called, but goes: another takes its place
                raise
        key, _ = self._waiting.popitem(last=False)
        self._working.add(key)
        return key

    def done(self, key: str) -> None:
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def __len__(self) -> int:
        return len(self._waiting)

    def _call_one(self) -> None:
        """Wakes one idle worker and no more."""
        while self._idle:
            called = self._idle.popleft()
            if not called.done():
                called.set_result(None)
                return

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = self._later[0][0]
        self._timer = loop.call_at(self._timer_due, self._on_timer, loop)

    def _on_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer, self._timer_due = None, math.inf
        now = loop.time()
        while self._later and self._later[0][0] <= now:
            due, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                self.add(key)
        if self._later:
            self._set_timer(loop)
