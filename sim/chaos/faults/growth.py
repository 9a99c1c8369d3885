"""What shows that a fault has bitten: a number of the system's that grows."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from datamodel.errors import Transient
from sim.chaos.faults.fault import NotBittenError
from sim.chaos.machine import until


async def grown(number: Callable[[], Awaitable[int]], above: int, *, timeout_s: float, otherwise: str) -> int:
    """The number, as soon as it is above a value; it is asked for again while the system does not answer. Raises
    `NotBittenError`, which says `otherwise`, where that takes longer than `timeout_s`."""
    found = above

    async def has_grown() -> bool:
        nonlocal found
        with suppress(Transient):
            found = await number()
        return found > above

    try:
        await until(has_grown, timeout_s=timeout_s)
    except TimeoutError:
        raise NotBittenError(otherwise) from None
    return found
