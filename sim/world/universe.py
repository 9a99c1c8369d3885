"""Virtual time: one ordered heap of everything that will happen."""

from collections import Counter, deque
from collections.abc import Callable
from contextlib import ExitStack
from heapq import heapify, heappop, heappush
from math import ceil, inf, isnan
from typing import Any, Protocol, Self

TICKS_PER_S = 2**20
"""Moments are whole ticks, a little below a microsecond, so that seconds as floats add and subtract without error and a
clock with an offset never stands just before the moment that a timer was set for: on virtual time, which does not pass by
itself, that timer would be set again for ever (CPython issue 116342, uvloop issue 233)."""

CANCELLED_KEPT = 64
"""Cancelled happenings stay in the heap until there are more than so many, and more than half of it is of them."""

STEPS_AT_ONE_INSTANT = 100_000
_WATCHED = 1_000
"""So many more steps are looked at, to tell what kept running."""


class Livelock(RuntimeError):  # noqa: N818 - it reads as what it is
    """Time does not pass any more, since something is always to be done at once."""


class Due(Protocol):
    """What the heap holds: `happen` is called at its time, unless `over` was set before."""

    over: bool

    def happen(self) -> None: ...


class Scene(Protocol):
    """What the last thing that happened has left in place, since the next one is likely to need it too."""

    def leave(self) -> None:
        """Puts all as it is where nobody is at work."""
        ...


class Happening:
    """A call that will happen at a time, unless it is cancelled before. It happens in no scene."""

    __slots__ = ("_args", "_call", "_universe", "over")

    def __init__(self, universe: "Universe", call: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._universe = universe
        self._call = call
        self._args = args
        self.over = False
        """It has happened, or never will."""

    def cancel(self) -> None:
        """Does nothing where it is over."""
        if not self.over:
            self.over = True
            self._universe.count_cancelled()

    def happen(self) -> None:
        if not self.over:
            self.over = True
            if self._universe.scene is not None:
                self._universe.leave_scene()
            self._call(*self._args)

    def describe(self) -> str:
        return _name(self._call)


class Universe:
    """Runs what is due in order of (time, number of the order given), each thing to its end, in the caller's thread."""

    def __init__(self, steps_at_one_instant: int = STEPS_AT_ONE_INSTANT) -> None:
        self.now_s = 0.0
        """Seconds since the beginning."""
        self.steps = 0
        """How many things have happened."""
        self.closing = ExitStack()
        """What is to be done once nothing is to happen any more."""
        self._steps_at_one_instant = steps_at_one_instant
        self._instant_limit = steps_at_one_instant
        self._watched: Counter[str] = Counter()
        self.scene: Scene | None = None
        self._due: deque[Callable[[], object]] = deque()
        self.go_on: Callable[[Callable[[], object]], None] = self._due.append
        """As `soon`, for what sets its own scene."""
        self._heap: list[tuple[float, int, Due]] = []
        self._number = 0
        self._cancelled = 0
        self._running = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Ends what lives in it. Else the collector of garbage would, sometime, and with complaints."""
        self.closing.close()

    def after(self, delay_s: float, call: Callable[..., object], *args: Any) -> Happening:
        """Calls after a delay, rounded up to a tick; a negative one is none."""
        happening = Happening(self, call, args)
        self.put(self.now_s + delay_s, happening)
        return happening

    def at(self, when_s: float, call: Callable[..., object], *args: Any) -> Happening:
        """Calls at a time, rounded up to a tick; one that has passed means this instant."""
        happening = Happening(self, call, args)
        self.put(when_s, happening)
        return happening

    def soon(self, call: Callable[[], object]) -> None:
        """Calls at this instant, after everything that is due already."""
        self._due.append(Happening(self, call, ()).happen)

    def put(self, when_s: float, due: Due) -> None:
        """Has something happen at a time, as `at` does."""
        if when_s > self.now_s:
            moment_s = ceil(when_s * TICKS_PER_S) / TICKS_PER_S if when_s < inf else when_s
            self._number += 1
            heappush(self._heap, (moment_s, self._number, due))
        elif isnan(when_s):
            raise ValueError("the time of a happening is not a number")
        else:
            self._due.append(due.happen)

    def leave_scene(self) -> None:
        """Whoever is at work where it must be as if nobody was asks for this."""
        scene, self.scene = self.scene, None
        if scene is not None:
            scene.leave()

    def count_cancelled(self) -> None:
        """Something that was put here is over without having happened. Those go once they are many."""
        self._cancelled += 1
        if self._cancelled > CANCELLED_KEPT and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if not entry[2].over]
            heapify(self._heap)
            self._cancelled = 0

    def run(self, until_s: float) -> None:
        """Runs everything that is due up to a time, that included; then it is that time, rounded up to a tick. What a
        happening raises ends the run and comes out of it. Raises `Livelock` where too much happens at one instant."""
        self._run(until_s, None)

    def run_until(self, condition: Callable[[], object], limit_s: float) -> bool:
        """Runs until a condition is true, which is looked at after every happening, and tells whether it came to be by the
        time `limit_s`. Raises as `run`."""
        return bool(condition()) or self._run(limit_s, condition)

    def _run(self, until_s: float, condition: Callable[[], object] | None) -> bool:
        if self._running:
            raise RuntimeError("the universe runs already: a happening cannot run it")
        if not self.now_s <= until_s < inf:
            raise ValueError(f"it is {self.now_s} s: the universe cannot run until {until_s} s")
        until_s, self._running = ceil(until_s * TICKS_PER_S) / TICKS_PER_S, True
        try:
            due = self._due
            while due or self._advance(until_s):
                self.steps += 1
                if self.steps > self._instant_limit:
                    self._watch(due[0])
                due.popleft()()
                if condition is not None and condition():
                    return True
        finally:
            self.leave_scene()
            self._running = False
        return False

    def _advance(self, until_s: float) -> bool:
        """Goes on to the next moment at which something happens; if that is later than `until_s`, then to `until_s`."""
        heap, due = self._heap, self._due
        self._instant_limit = self.steps + self._steps_at_one_instant
        while heap and heap[0][0] <= until_s:
            moment_s, _, item = heappop(heap)
            if item.over:
                self._cancelled -= 1
                continue
            due.append(item.happen)
            while heap and heap[0][0] == moment_s:
                item = heappop(heap)[2]
                if item.over:
                    self._cancelled -= 1
                else:
                    due.append(item.happen)
            self.now_s = moment_s
            return True
        self.now_s = until_s
        return False

    def _watch(self, call: Callable[[], object]) -> None:
        """Notes what runs beyond the bound, and raises once that is enough to tell what kept running."""
        if self.steps == self._instant_limit + 1:
            self._watched.clear()
        self._watched[_name(call)] += 1
        if self.steps >= self._instant_limit + _WATCHED:
            names = ", ".join(f"{name} ({count} times)" for name, count in self._watched.most_common(5))
            raise Livelock(
                f"more than {self._steps_at_one_instant} steps at {self.now_s:.6f} s; of the last {_WATCHED}: {names}"
            )


def _name(call: Callable[..., object]) -> str:
    """What a call does: as its owner describes itself where that can (a loop, a happening), else its own name."""
    describe = getattr(getattr(call, "__self__", None), "describe", None)
    return str(describe()) if describe is not None else str(getattr(call, "__qualname__", type(call).__name__))
