"""How long a command may take."""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from cyclopts import Parameter

from gateway.commands.failure import Exit, Failure

Timeout = Annotated[str, Parameter(name="--timeout", help="Give up after as long as `30s`, `10m` or `2h`.")]
_LONGEST_S = 366 * 86400
_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_of(text: str, option: str = "--timeout") -> float:
    """A time as people write it, in seconds. Raises `Failure` naming the option."""
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhd]?)", text)
    if found is None or float(found[1]) == 0:
        raise Failure(f"{option}: {text!r} is no time", "write it as 30s, 10m or 2h")
    seconds = float(found[1]) * _UNITS_S[found[2]]
    if seconds > _LONGEST_S:
        raise Failure(f"{option}: {text!r} is more than a year", "write a shorter one")
    return seconds


@contextmanager
def deadline(timeout: str) -> Iterator[None]:
    """Ends what is inside with a `Failure` once the time is over; empty: never. It is the process' alarm, since a read of a
    stream waits for as long as the API says anything."""
    if not timeout:
        yield
        return

    def end(*_: object) -> None:
        raise Failure(f"it was not so after {timeout}", "look at it with `tendril describe`", Exit.TIMED_OUT)

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds_of(timeout))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
