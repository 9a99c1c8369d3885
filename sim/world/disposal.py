"""How a killed program's coroutines go: in silence, and before the collector of garbage would find them at its own time."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable
from typing import Any

THROWS_LIMIT = 1_000
"""What catches its end, or waits in a `finally`, is ended again, up to so many times."""


class Killed(BaseException):
    """The process is no more: the last that its coroutines see, and what one gets that kills its own process.

    It is no `GeneratorExit`, with which Python ends a coroutine that it closes, since a coroutine that then waits in a
    `finally` is cut off from those that wait for it, and complains when the collector finds it.
    """


def forget(task: "asyncio.Task[Any]") -> None:
    """Ends a task wherever it waits, without a word. What its `finally` blocks raise, and what they wait for, is nothing to
    anybody. Raises `RuntimeError` for one that goes on for ever."""
    task._log_destroy_pending = False  # type: ignore[attr-defined] # noqa: SLF001 - there is no public way
    coroutine = task.get_coro()
    if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        coroutine.close()  # it has not begun, and would complain of that
    elif coroutine is not None:
        _end(coroutine.throw, name_of(coroutine))


def forget_generator(generator: "AsyncGenerator[Any, Any]") -> None:
    """Ends an asynchronous generator in the same way."""
    _end(generator.athrow(Killed()).throw, name_of(generator))


def name_of(coroutine: object) -> str:
    """The qualified name of the function that a coroutine or generator runs."""
    return str(getattr(coroutine, "__qualname__", type(coroutine).__name__))


def _end(throw: Callable[[BaseException], object], name: str) -> None:
    for _ in range(THROWS_LIMIT):
        try:
            throw(Killed())  # returns what it waits for next
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # noqa: BLE001 - it has ended
            return
    raise RuntimeError(f"{name} cannot be killed: it goes on to wait whenever it is ended")
