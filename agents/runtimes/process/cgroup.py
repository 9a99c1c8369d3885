"""A step's limits: one group of the kernel's unified hierarchy (cgroup v2) for each step.

The agent makes the group, the step's child enters it before it is anything else, and the shim, which stays outside, reads how
it ended there and removes it. File names and formats are those of the kernel's Documentation/admin-guide/cgroup-v2.rst.
"""

import contextlib
import os
import time

PIDS_LIMIT = 512
"""Processes and threads of one step: enough for any honest one, and the end of a fork bomb."""

_PERIOD_US = 100_000
_LEAST_QUOTA_US = 1_000
_OPTIONAL = frozenset({"memory.swap.max", "memory.oom.group"})
"""A kernel without swap, or before 4.19, has no such file."""
_EMPTY_TIMEOUT_S = 5.0


def limits(cpu: float, memory_bytes: int) -> dict[str, str]:
    """What to write into a new group's files. `cpu` in cores; 0 means no limit. What cannot be had in memory is not to be had
    in swap either, and where memory runs out the whole step ends, not one process of it."""
    files = {"pids.max": str(PIDS_LIMIT)}
    if cpu > 0:
        files["cpu.max"] = f"{max(_LEAST_QUOTA_US, round(cpu * _PERIOD_US))} {_PERIOD_US}"
    if memory_bytes > 0:
        files |= {"memory.max": str(memory_bytes), "memory.swap.max": "0", "memory.oom.group": "1"}
    return files


def group_name(attempt: str, index: int) -> str:
    """Of a step's group; an attempt's name has no dot."""
    return f"{attempt}.{index}"


def make(group: str, files: dict[str, str]) -> None:
    """A group that exists already gets the same limits again."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(group)  # noqa: PTH102 - pathlib is a third of the shim's start
    for name, text in files.items():
        if name not in _OPTIONAL or os.path.exists(f"{group}/{name}"):  # noqa: PTH110
            _write(f"{group}/{name}", text)


def enter(group: str) -> None:
    """Moves this process there; what it starts from now on is there too."""
    _write(f"{group}/cgroup.procs", "0")


def oom_kills(events: str) -> int:
    """How many processes the kernel has killed for lack of memory, by a `memory.events` file."""
    return sum(
        int(count) for name, _, count in (line.partition(" ") for line in events.splitlines()) if name == "oom_kill"
    )


def ran_out_of_memory(group: str) -> bool:
    """Whether the kernel has killed anything in the group for lack of memory; False where the group is gone."""
    try:
        with open(f"{group}/memory.events", encoding="ascii") as file:  # noqa: PTH123
            return oom_kills(file.read()) > 0
    except FileNotFoundError:
        return False


def kill(group: str) -> None:
    """Kills what is in the group, at once; one that is gone is fine. A kernel before 5.14 can not."""
    path = f"{group}/cgroup.kill"
    if os.path.exists(path):  # noqa: PTH110
        with contextlib.suppress(FileNotFoundError):
            _write(path, "1")


def clear(group: str) -> None:
    """Kills what is in the group, and removes it; one that is gone is fine. Raises `OSError` where something outlives that."""
    deadline = time.monotonic() + _EMPTY_TIMEOUT_S
    while True:
        kill(group)
        try:
            os.rmdir(group)  # noqa: PTH106
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)  # the kernel has no event for the moment at which the last one has left
        else:
            return


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(text)
