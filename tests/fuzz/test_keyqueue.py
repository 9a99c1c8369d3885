"""The key queue against a list, a few sets and a dictionary, on a clock that moves when the test says so."""

import asyncio
import math
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from datamodel.keyqueue import _STALE_LIMIT, KeyQueue
from tests.fuzz.budget import budget

_T = TypeVar("_T")
KEYS = "abcd"
_KEYS = st.sampled_from(KEYS)
_TURNS = 8
"""Of the event loop: more than any chain of calls in the queue is long."""


class Clockwork(asyncio.SelectorEventLoop):
    """An event loop whose time stands still between two steps of the test."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def time(self) -> float:
        return self.now


class Queue(RuleBasedStateMachine):
    """Keys of which each waits once, later or now, or is worked on; and workers that wait for one."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = Clockwork()
        self.queue = KeyQueue()
        self.calls: list[asyncio.Task[str]] = []
        self.waiting: list[str] = []
        self.working: list[str] = []
        self.again: set[str] = set()
        self.due: dict[str, float] = {}

    @rule(key=_KEYS)
    def add(self, key: str) -> None:
        self.queue.add(key)
        self.arrives(key)
        self.settle()

    @rule(key=_KEYS, delay_s=st.integers(0, 5))
    def add_after(self, key: str, delay_s: int) -> None:
        self.run(self.later(key, delay_s))
        due = self.loop.now + delay_s
        if key not in self.waiting and key not in self.again:
            self.due[key] = min(due, self.due.get(key, due))
        self.settle()

    @rule(times=st.integers(60, 200))
    def hasten(self, times: int) -> None:
        """A key that is wanted sooner and sooner leaves the later times behind, up to a bound."""
        self.run(self.later("a", *range(1_000 + times, 1_000, -1)))
        if "a" not in self.waiting and "a" not in self.again:
            self.due["a"] = min(self.loop.now + 1_001, self.due.get("a", math.inf))
        self.settle()

    @rule()
    def get(self) -> None:
        self.calls.append(self.loop.create_task(self.queue.get()))
        self.settle()

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), key=st.none() | _KEYS)
    def give_up(self, data: st.DataObject, key: str | None) -> None:
        """A worker is cancelled, at the very moment when a key may have come for it."""
        call = data.draw(st.sampled_from(self.calls))
        self.calls.remove(call)
        if key is not None:
            self.queue.add(key)
            self.arrives(key)
        call.cancel()
        self.settle()
        assert call.cancelled()

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.working)))
        self.queue.done(key)
        self.working.remove(key)
        if key in self.again:
            self.again.remove(key)
            self.arrives(key)
        self.settle()

    @rule(seconds=st.integers(1, 6))
    def wait(self, seconds: int) -> None:
        self.loop.now += seconds
        self.settle()

    def arrives(self, key: str) -> None:
        self.due.pop(key, None)
        if key in self.working:
            self.again.add(key)
        elif key not in self.waiting:
            self.waiting.append(key)

    def settle(self) -> None:
        """Lets everything happen that is due, here and in the model, and compares who got which key."""
        self.turn()
        for due, key in sorted((due, key) for key, due in self.due.items() if due <= self.loop.now):
            assert due <= self.loop.now
            self.arrives(key)
        served = [call for call in self.calls if call.done()]
        expected = self.waiting[: len(self.calls)]
        assert sorted(call.result() for call in served) == sorted(expected)
        self.calls = [call for call in self.calls if not call.done()]
        self.waiting = self.waiting[len(expected) :]
        self.working += expected

    @invariant()
    def the_bounds_hold(self) -> None:
        assert len(self.queue) == len(self.waiting)
        assert len(set(self.working)) == len(self.working)
        assert len(self.queue._later) <= 2 * len(KEYS) + _STALE_LIMIT + 1

    def teardown(self) -> None:
        """Once its workers are done, every key that was added has come."""
        try:
            for key in list(self.working):
                self.queue.done(key)
            owed = set(self.waiting) | self.again | set(self.due)
            self.loop.now += 10_000
            for _ in range(len(owed) + len(self.calls)):
                self.calls.append(self.loop.create_task(self.queue.get()))
            self.turn()
            assert sorted(call.result() for call in self.calls if call.done()) == sorted(owed)
        finally:
            for call in self.calls:
                call.cancel()
            self.turn()
            self.loop.close()

    def turn(self) -> None:
        self.run(_turns())

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self.loop.run_until_complete(work)

    async def later(self, key: str, *delays_s: int) -> None:
        for delay_s in delays_s:
            self.queue.add_after(key, delay_s)


async def _turns() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)


TestQueue = Queue.TestCase
TestQueue.settings = budget(60, steps=30)
