"""Running a coroutine in the deterministic world: for tests of the world itself, and of what depends on time."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from sim.world.process import Process
from sim.world.universe import Universe

_T = TypeVar("_T")
_P = ParamSpec("_P")


def outcome(main: Callable[[], Coroutine[Any, Any, _T]], *, limit_s: float = 3600) -> _T:
    """What `main()` returns or raises as the only process of a universe, in which asyncio found nothing to complain of."""
    returned = list[_T]()

    async def body() -> None:
        returned.append(await main())

    with Universe() as universe:
        process = Process(universe, "only")
        process.start(body)
        assert universe.run_until(lambda: process.ended, limit_s), "it did not end"
    if process.exception is not None:
        raise process.exception
    assert process.complaints == []
    return returned[0]


def on_virtual_time(main: Callable[_P, Coroutine[Any, Any, _T]]) -> Callable[_P, _T]:
    """Makes a test of a coroutine function: it takes the time that it says, however busy the machine is."""

    @wraps(main)
    def run(*args: _P.args, **options: _P.kwargs) -> _T:
        return outcome(lambda: main(*args, **options))

    return run
