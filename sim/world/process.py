"""A simulated process: the product's own asyncio code on a loop and clocks of its own, which can be killed and paused."""

import asyncio
import contextvars
import zlib
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from types import CoroutineType
from typing import Any, TypeVar, TypeVarTuple, cast, overload

from sim.world.disposal import Killed, name_of
from sim.world.loop import Complaint, VirtualLoop
from sim.world.universe import Universe

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)
"""What a clock on the wall that is right shows at the universe's beginning."""

COMPLAINTS_KEPT = 100


class Suspended(RuntimeError):  # noqa: N818 - it reads as what it is
    """What a process asked for waits for something, though it is done outside of every process."""


class Process:
    """One of the universe's programs, with its machine's clocks. `start` boots it, the first time and after each end.

    Fakes use `call` for what the program asks of them, and `deliver` for what they tell it; both end with the boot. A fake
    that answers at once, and within the program's own step, asks `alive` first: a killed program's `finally` blocks still
    run, and must not be listened to.
    """

    def __init__(self, universe: Universe, name: str) -> None:
        self.universe = universe
        self.name = name
        self.boot = 0
        """How often it was started."""
        self.complaints: list[Complaint] = []
        """The first of what asyncio would have logged in any boot: exceptions that nobody took, misuse. Exceptions of tasks
        in cycles of garbage are found at the end of `Dice.in_charge`, and not at all if their process was killed."""
        self.ended = False
        """The main task of this boot is done, and after it all others."""
        self.exception: BaseException | None = None
        """What ended the main task; None where it returned, or was cancelled as `stop` asked."""
        self._wall_offset_s = 0.0
        self._stopping = False
        self._loop: VirtualLoop | None = None
        self._main: asyncio.Task[Any] | None = None
        self._context = contextvars.Context()
        universe.closing.callback(self.kill)

    @property
    def alive(self) -> bool:
        """It has been started, and has neither ended nor been killed. A process that is paused is alive."""
        return self._loop is not None and not self._loop.is_shut

    def start(self, main: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Boots: `main()` is the first task of a new loop, whose clock starts anywhere."""
        if self.alive:
            raise RuntimeError(f"{self.name} runs already")
        caller = asyncio._get_running_loop()  # noqa: SLF001 - the public one raises
        if caller is not None and not isinstance(caller, VirtualLoop):
            raise RuntimeError("the world does not run within a real event loop")
        self.boot += 1
        self.ended, self.exception, self._stopping = False, None, False
        offset_s = 4096 + zlib.crc32(f"{self.name}/{self.boot}".encode()) % 2**20
        self._loop = VirtualLoop(self.universe, self.name, offset_s, self._complain)  # type: ignore[abstract] # on purpose
        self._context = contextvars.Context()
        self._main = self._loop.create_task(_call(main), name=self.name, context=self._context)
        self._main.add_done_callback(self._on_main_done, context=self._context)

    def kill(self) -> None:
        """SIGKILL: nothing of it runs any more. Does nothing where it is not alive.

        Its `finally` blocks have no effect outside of it. Where the process itself calls this, in a fake that has it crash
        in the midst of a step, this raises `Killed`, which unwinds the step.
        """
        if self._loop is None or self._loop.is_shut:
            return
        runs_itself = self._loop.is_running()
        running = asyncio._get_running_loop()  # noqa: SLF001 - the public one raises
        if not runs_itself and running is not None and running.is_running():
            raise RuntimeError(
                f"another process kills {self.name} in the midst of its own step: let the universe do it"
            )
        self._loop.shut(silent=True)
        if runs_itself:
            raise Killed

    def stop(self) -> None:
        """SIGTERM: cancels the main task. A paused process learns of it when it is resumed."""
        if self.alive and self._main is not None:
            self._stopping = True
            self.deliver(self._main.cancel)

    def pause(self) -> None:
        """SIGSTOP: nothing of it runs until `resume`; clocks go on, and what comes due or arrives meanwhile waits."""
        if self._loop is not None:
            self._loop.pause()

    def resume(self) -> None:
        """SIGCONT: what has waited runs, in order of arrival."""
        if self._loop is not None:
            self._loop.resume()

    def deliver(self, call: Callable[[*_Ts], object], *args: *_Ts) -> None:
        """Calls within the process, at its next turn, in order of delivery; not at all where it is not alive."""
        if self._loop is not None and not self._loop.is_shut:
            self._loop.call_soon(call, *args, context=self._context)

    @overload
    def call(
        self,
        request: Callable[[], Coroutine[Any, Any, _T]],
        *,
        there_s: float,
        back_s: float,
        outlives: bool = False,
    ) -> "asyncio.Future[_T]": ...

    @overload
    def call(
        self, request: Callable[[], _T], *, there_s: float, back_s: float, outlives: bool = False
    ) -> "asyncio.Future[_T]": ...

    def call(
        self, request: Callable[[], Any], *, there_s: float, back_s: float, outlives: bool = False
    ) -> "asyncio.Future[Any]":
        """The process' half of a request to something outside of it: the request is done after `there_s`, outside of every
        loop, and what it returns or raises (an `Exception`) is had `back_s` later.

        It is not undone where the caller is cancelled. Where the process is killed on the way there, it is not done, unless
        it `outlives` its process, as bytes do that were sent already; where it is killed on the way back, it has been done,
        and nobody hears of it. A request may be a coroutine function that waits for nothing, else `Suspended` ends the run.
        """
        loop = self._loop
        if loop is None or not loop.is_running():
            raise RuntimeError(f"what calls is not the present boot of {self.name}")
        answer = loop.create_future()
        if not loop.is_shut:
            universe = self.universe
            universe.put(universe.now_s + there_s, _Request(loop, request, back_s, outlives, answer))
        return answer

    def wall_s(self) -> float:
        """What the machine's clock on the wall shows, as seconds since 1970."""
        return EPOCH.timestamp() + self.universe.now_s + self._wall_offset_s

    def wall(self) -> datetime:
        """What the machine's clock on the wall shows, in UTC."""
        return EPOCH + timedelta(seconds=self.universe.now_s + self._wall_offset_s)

    def jump(self, seconds: float) -> None:
        """Moves the clock on the wall, forth or back; other clocks and all timers know nothing of it."""
        self._wall_offset_s += seconds

    def _on_main_done(self, main: "asyncio.Task[Any]") -> None:
        """Cancels the other tasks and waits for them, as `asyncio.run` does."""
        if main.cancelled():
            self.exception = None if self._stopping else asyncio.CancelledError()
        else:
            self.exception = main.exception()
        loop = self._loop
        assert loop is not None
        others = loop.living()
        for task in others:
            task.cancel()
        ending = loop.create_task(_end(others), name=f"end of {self.name}")
        ending.add_done_callback(self._on_end)

    def _on_end(self, _: object) -> None:
        self.ended = True
        if self._loop is not None:
            self._loop.shut(silent=False)

    def _complain(self, complaint: Complaint) -> None:
        if len(self.complaints) < COMPLAINTS_KEPT:
            self.complaints.append(complaint)


class _Request:
    """What is under way: first there, then back with its answer."""

    __slots__ = ("_answer", "_back_s", "_error", "_loop", "_outlives", "_request", "_result", "over")

    def __init__(
        self,
        loop: VirtualLoop,
        request: Callable[[], Any],
        back_s: float,
        outlives: bool,  # noqa: FBT001 - private
        answer: "asyncio.Future[Any]",
    ) -> None:
        self.over = False
        self._loop, self._answer = loop, answer
        self._request: Callable[[], Any] | None = request
        self._back_s, self._outlives = back_s, outlives
        self._result: Any = None
        self._error: Exception | None = None

    def happen(self) -> None:
        loop, request = self._loop, self._request
        if request is None:
            self._take_back()
        elif self._outlives or not loop.is_shut:
            self._request = None
            universe = loop.universe
            if universe.scene is not None:
                universe.leave_scene()
            try:
                result = request()
                self._result = _returned(result) if isinstance(result, CoroutineType) else result
            except Suspended:
                raise
            except Exception as raised:  # noqa: BLE001 - it is the caller's
                self._error = raised
            if not loop.is_shut:
                universe.put(universe.now_s + self._back_s, self)

    def describe(self) -> str:
        return "a request of " + self._loop.name

    def _take_back(self) -> None:
        answer, error = self._answer, self._error
        if self._loop.is_shut or answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(self._result)


async def _call(main: Callable[[], Coroutine[Any, Any, object]]) -> object:
    """Within the loop, so that `main` may already look for it."""
    return await main()


async def _end(others: "list[asyncio.Task[Any]]") -> None:
    await asyncio.gather(*others, return_exceptions=True)
    for task in others:
        if not task.cancelled() and task.exception() is not None:
            report = {"message": "Exception while the process ended", "exception": task.exception(), "task": task}
            task.get_loop().call_exception_handler(report)


def _returned(coroutine: Coroutine[Any, Any, _T]) -> _T:
    try:
        coroutine.send(None)
    except StopIteration as returned:
        return cast("_T", returned.value)
    coroutine.close()
    raise Suspended(f"{name_of(coroutine)} waits for something: a request must be answered in one step")
