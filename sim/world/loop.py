"""An event loop on virtual time: what asyncio code needs that has no sockets, files, signals or threads of its own."""

import asyncio
import contextvars
import itertools
import sys
import weakref
from asyncio import _set_running_loop
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, NamedTuple, TypeVar, TypeVarTuple

from sim.world.disposal import forget, forget_generator
from sim.world.handles import VirtualFuture, VirtualHandle, VirtualTask, VirtualTimer, describe_task
from sim.world.universe import Universe

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
_Context = contextvars.Context
_Report = dict[str, Any]
_Handler = Callable[[asyncio.AbstractEventLoop, _Report], object]


TASKS_KEPT = 256
"""Tasks that are done are forgotten when there are more than so many, and as many again as there are others."""


class Complaint(NamedTuple):
    """What a program would have printed: an exception that nobody took, or a misuse of asyncio."""

    at_s: float
    process: str
    message: str
    exception: BaseException | None


class VirtualLoop(asyncio.AbstractEventLoop):
    """The loop of one boot of a process. Its turns are steps of the universe. Between them, it is the running one
    until something else happens than turns and what is carried to them: it is a scene of the universe.

    A turn runs the handles that were ready when it began, first in, first out, as asyncio's own loops do. Once it is shut,
    it never runs again, and takes what it is still given without doing it. Its clock is the universe's and an offset, which
    is whole seconds. It tells `complain` what asyncio's loops would log.
    """

    def __init__(self, universe: Universe, name: str, offset_s: int, complain: Callable[[Complaint], object]) -> None:
        self.universe = universe
        self.is_shut = False
        self.next_number = itertools.count(1).__next__
        """Of a future or task that is hashed."""
        self.name = name
        self._offset_s = offset_s
        self._complain = complain
        self._next_task = itertools.count(1).__next__
        self._ready: list[VirtualHandle] = []
        self._turning: list[VirtualHandle] = []
        self._doomed: list[asyncio.Task[Any]] = []
        self._running = self._scheduled = self._paused = self._silent = False
        self._tasks: list[weakref.ref[asyncio.Task[Any]]] = []
        self._tasks_limit = TASKS_KEPT
        self._handler: _Handler | None = None

    # asyncio's side: calls and time

    def call_soon(
        self, callback: Callable[[*_Ts], object], *args: *_Ts, context: _Context | None = None
    ) -> asyncio.Handle:
        handle = VirtualHandle(callback, args, context)
        self._ready.append(handle)
        if not self._scheduled:
            self._schedule()
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self,
        delay: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: _Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: _Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = VirtualTimer(when, callback, args, self, context)
        self.universe.put(when - self._offset_s, timer)
        return timer

    def time(self) -> float:
        """The monotonic clock of this boot, in seconds."""
        return self.universe.now_s + self._offset_s

    # asyncio's side: futures and tasks

    def create_future(self) -> "asyncio.Future[Any]":
        return VirtualFuture(loop=self)

    def create_task(
        self,
        coro: "Generator[Any, None, _T] | Coroutine[Any, Any, _T]",
        *,
        name: str | None = None,
        context: _Context | None = None,
    ) -> "asyncio.Task[_T]":
        task = VirtualTask(coro, loop=self, name=name or f"Task-{self._next_task()}", context=context)
        hash(task)  # numbers are in order of creation in every version of asyncio
        if self.is_shut:
            forget(task)
            return task
        self._tasks.append(weakref.ref(task))
        if len(self._tasks) > self._tasks_limit:
            self._tasks = [weakref.ref(task) for task in self.living()]
            self._tasks_limit = TASKS_KEPT + 2 * len(self._tasks)
        return task

    def living(self) -> "list[asyncio.Task[Any]]":
        """The tasks that are not done, in order of creation. asyncio's own function looks at those of all loops."""
        found = (reference() for reference in self._tasks)
        return [task for task in found if task is not None and not task.done()]

    def run_in_executor(
        self,
        executor: object,  # noqa: ARG002 - no thread is needed
        func: Callable[[*_Ts], _T],
        *args: *_Ts,
    ) -> "asyncio.Future[_T]":
        """Runs the function here and now; who waits for it goes on at the next turn."""
        future: asyncio.Future[_T] = self.create_future()
        if self.is_shut:
            return future
        _set_running_loop(None)  # as in a thread
        try:
            result = func(*args)
        except Exception as error:  # noqa: BLE001 - it is the caller's
            self.call_soon(_fail, future, error)
        else:
            self.call_soon(_resolve, future, result)
        finally:
            _set_running_loop(self)
        return future

    def get_debug(self) -> bool:
        return False

    def set_debug(self, enabled: bool) -> None:  # noqa: FBT001 - asyncio's signature
        """Has no effect: asyncio's debugging looks at the machine's clock."""

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self.is_shut

    async def shutdown_asyncgens(self) -> None:
        """Nothing is to be done: a generator that is left goes at once, or with the loop."""

    def set_exception_handler(self, handler: _Handler | None) -> None:
        self._handler = handler

    def get_exception_handler(self) -> _Handler | None:
        return self._handler

    def call_exception_handler(self, context: _Report) -> None:
        if self._silent:
            return
        if self._handler is None:
            self.default_exception_handler(context)
        else:
            self._handler(self, context)

    def default_exception_handler(self, context: _Report) -> None:
        culprit = context.get("task") or context.get("future")
        message = context["message"] + (f": {describe_task(culprit)}" if isinstance(culprit, asyncio.Task) else "")
        self._complain(Complaint(self.universe.now_s, self.name, message, context.get("exception")))

    # the world's side

    def make_ready(self, handle: VirtualHandle) -> None:
        self._ready.append(handle)
        if not self._scheduled:
            self._schedule()

    def pause(self) -> None:
        """Has no more turns until `resume`. A turn that is under way comes to its end."""
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        if self._ready and not self._scheduled:
            self._schedule()

    def shut(self, *, silent: bool) -> None:
        """Runs nothing more. Tasks that are left are ended, in order of their creation: now, or, where this is called by a
        handle of this loop, after it. Where it is not silent, what failed before and is found by the collector of garbage
        alone is complained of even then."""
        if not self.is_shut:
            self._silent = silent
            self._doomed = self.living()
            self.is_shut = True
            self._ready.clear()
            self._turning.clear()
            if not self._running:
                self._turn()
                self.universe.leave_scene()

    def leave(self) -> None:
        sys.set_asyncgen_hooks(None, None)
        _set_running_loop(None)

    def describe(self) -> str:
        """Who runs, and the first few things that are about to."""
        return f"{self.name}: {', '.join(dict.fromkeys(handle.describe() for handle in self._ready[:3]))}"

    def _schedule(self) -> None:
        if self.is_shut:
            self._ready.clear()
        elif not self._paused:
            self._scheduled = True
            self.universe.go_on(self._turn)

    def _turn(self) -> None:
        if self._paused and not self.is_shut:
            self._scheduled = False
            return
        self._turning, self._ready = self._ready, self._turning
        self._running = True
        if self.universe.scene is not self:
            self._enter()
        try:
            for handle in self._turning:
                if not handle._cancelled:  # noqa: SLF001 - a call of ours for each would cost a tenth of the turn
                    try:
                        handle._context.run(handle._callback, *handle._args)  # noqa: SLF001
                    except (SystemExit, KeyboardInterrupt):
                        raise
                    except BaseException as error:  # noqa: BLE001 - as asyncio does
                        report = {"message": f"Exception in callback {handle.describe()}", "exception": error}
                        self.call_exception_handler(report)
            for task in self._doomed:
                forget(task)
            self._doomed.clear()
        finally:
            self._turning.clear()
            self._running = self._scheduled = False
        if self._ready:
            self._schedule()

    def _enter(self) -> None:
        self.universe.scene = self
        _set_running_loop(self)
        sys.set_asyncgen_hooks(None, self._left)

    def _left(self, generator: "AsyncGenerator[Any, Any]") -> None:
        """Ends a generator to whose end nobody went, as asyncio's loops do."""
        if self.is_shut:
            forget_generator(generator)
        else:
            self.call_soon(self.create_task, generator.aclose())


def _resolve(future: "asyncio.Future[Any]", result: object) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: "asyncio.Future[Any]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
