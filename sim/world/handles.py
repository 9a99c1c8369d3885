"""What a virtual loop hands out: handles, and futures and tasks that hash alike in every run."""

import asyncio
import contextvars
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from sim.world.disposal import name_of

if TYPE_CHECKING:
    from sim.world.loop import VirtualLoop

_T = TypeVar("_T")


class VirtualHandle(asyncio.Handle):
    """A call in a loop's queue. It keeps less than asyncio's, since most of the world's time goes through here."""

    __slots__ = ()

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
    ) -> None:
        self._callback = callback
        self._args = args
        self._context = contextvars.copy_context() if context is None else context
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.describe()}>"

    def describe(self) -> str:
        """The task that it goes on with, else the function that it calls."""
        owner = getattr(self._callback, "__self__", None)
        if isinstance(owner, asyncio.Task):
            return describe_task(owner)
        return str(getattr(self._callback, "__qualname__", type(self._callback).__name__))


class VirtualTimer(VirtualHandle, asyncio.TimerHandle):
    """A call that comes into its loop's queue at a time: something that the universe holds."""

    __slots__ = ("over",)

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: "VirtualLoop",
        context: contextvars.Context | None,
    ) -> None:
        super().__init__(callback, args, context)
        self._loop = loop
        self._when = when
        self.over = False

    def happen(self) -> None:
        if not self.over:
            self.over = True
            self._loop.make_ready(self)

    def cancel(self) -> None:
        if not self.over:
            self.over = True
            self._loop.universe.count_cancelled()
        self._cancelled = True


class VirtualFuture(asyncio.Future[_T]):
    """A future whose hash is its number in its loop.

    asyncio and its users keep futures and tasks in sets and go through these (`wait`, `TaskGroup`, `all_tasks`), which would
    else be in order of where they happen to lie in memory.
    """

    __slots__ = ("_number",)

    def __hash__(self) -> int:
        return _number(self)


class VirtualTask(asyncio.Task[_T]):
    """A task whose hash is its number in its loop, as a future's."""

    __slots__ = ("_number",)

    def __hash__(self) -> int:
        return _number(self)


def _number(future: Any) -> int:
    """Given when it is first asked for: for most futures, never; for tasks, when they are made."""
    number: int = getattr(future, "_number", 0)
    if not number:
        number = future._number = future.get_loop().next_number()  # noqa: SLF001 - the two classes that have it are above
    return number


def describe_task(task: "asyncio.Task[Any]") -> str:
    """Its name and the function that it runs: alike in every run, where its `repr` has addresses."""
    return f"task {task.get_name()} ({name_of(task.get_coro())})"
