"""Until when a step may run: a file that the agent moves on, and that the step's shim goes by.

The time is of CLOCK_BOOTTIME, which counts while the machine is suspended, and of one boot of the machine.
"""

import json
import os
import time

from agents.runtimes.process.identity import boot_id

LOOK_S = 0.5
"""How often a shim looks."""


def now_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def extend(path: str, until_s: float) -> None:
    """Writes a time, unless a later one stands there. A reader, or a crash, finds the old or the new one whole."""
    if until_s <= now_s() + left_s(path):
        return
    draft = f"{path}.draft"
    with open(draft, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump({"boot": boot_id(), "until_s": until_s}, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(draft, path)  # noqa: PTH104


def left_s(path: str) -> float:
    """How long it still holds; 0 where it is over, was of another boot, or cannot be read: nobody runs on a guess."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            found = json.load(file)
        until_s = float(found["until_s"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return 0.0
    return max(0.0, until_s - now_s()) if found["boot"] == boot_id() else 0.0
