"""Becomes another program that gets a signal when its parent dies: `tether.py PARENT_PID SIGNAL PROGRAM ARGUMENT…`.

It runs by path in an isolated interpreter and then replaces itself, so the program keeps this process' id and nothing
of Python. That is a process of its own rather than a `preexec_fn`, since Python cannot safely run between fork and exec
of a process that has threads. Linux sends the signal when the parent's *thread* ends, so the parent starts children
from its main thread. Only Linux has this: elsewhere the program runs untethered.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Replaces this process by the program. Does nothing where the parent is already gone."""
    parent_pid, death_signal, program = int(argv[0]), int(argv[1]), argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    # Asked after the signal is set, so that a parent which dies in between is noticed either way.
    if os.getppid() != parent_pid:
        return
    # Python ignores these for itself, and what is ignored stays so in the program that replaces it.
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    os.execvp(program[0], program)  # noqa: S606 - the argv comes from our own parent, and no shell sees it


if __name__ == "__main__":
    main(sys.argv[1:])
