"""A clock of the day that jumps: before a program begins, what it will ask for the time is replaced.

The file named as the process in the folder `TENDRIL_CHAOS_CLOCKS` holds the seconds by which its clock is wrong; without one it
is right. Steady clocks, sleeps and timers know nothing of it, and neither does an interpreter that ignores its environment.
Only the standard library is here: nothing else can be imported yet.
"""

import ctypes
import gc
import os
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

CLOCKS = "TENDRIL_CHAOS_CLOCKS"


def let_jump(folder: Path) -> None:
    """From now on `time.time`, `time.time_ns` and `datetime.now` are wrong as the folder says, also where they were imported
    by another name later on. The class `datetime` stays the same one, since C code compares it."""
    right_s, right_ns, right_now = time.time, time.time_ns, datetime.__dict__["now"]

    def wrong_by_s() -> float:
        try:
            return float((folder / str(os.getpid())).read_text(encoding="ascii"))
        except FileNotFoundError:
            return 0.0

    def now(cls: type[datetime], tz: tzinfo | None = None) -> datetime:
        found: datetime = right_now.__get__(None, cls)(tz) + timedelta(seconds=wrong_by_s())
        return found

    vars(time).update(
        time=lambda: right_s() + wrong_by_s(),
        time_ns=lambda: right_ns() + int(wrong_by_s() * 1_000_000_000),
    )
    (attributes,) = gc.get_referents(datetime.__dict__)  # the proxy's dictionary: a class in C refuses assignments
    attributes["now"] = classmethod(now)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime))


if CLOCKS in os.environ:
    let_jump(Path(os.environ[CLOCKS]))
