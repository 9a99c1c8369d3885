"""Running a coroutine in the deterministic world, for tests of the world itself."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from sim.world.process import Process
from sim.world.universe import Universe

_T = TypeVar("_T")


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
