"""Learning that a process has ended, whoever its parent is."""

import asyncio
import contextlib
import os
from collections.abc import Callable

from agents.runtimes.process.identity import Identity, alive

_POLL_S = 0.25


class ExitWatch:
    """Calls `ended(attempt)` in the event loop once a watched process is gone.

    A pidfd becomes readable then, also for a process that is not our child. Where the kernel has none (before 5.3), one
    timer looks at all of them.
    """

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended
        self._handles: dict[Identity, int] = {}
        self._polled: dict[Identity, str] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, attempt: str, process: Identity) -> None:
        """Twice is harmless; one that is gone already is told at once."""
        if process in self._handles or process in self._polled:
            return
        loop = asyncio.get_running_loop()
        try:
            handle = os.pidfd_open(process.pid)
        except ProcessLookupError:
            loop.call_soon(self._ended, attempt)
            return
        except OSError:
            self._polled[process] = attempt
            self._schedule()
            return
        self._handles[process] = handle
        loop.add_reader(handle, self._readable, attempt, process)
        if not alive(process):  # the handle is then of another process with the same pid
            self._readable(attempt, process)

    def close(self) -> None:
        """Stops watching; the processes go on."""
        loop = asyncio.get_running_loop()
        for handle in self._handles.values():
            loop.remove_reader(handle)
            os.close(handle)
        self._handles.clear()
        self._polled.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _readable(self, attempt: str, process: Identity) -> None:
        handle = self._handles.pop(process)
        asyncio.get_running_loop().remove_reader(handle)
        os.close(handle)
        self._tell(attempt, process)

    def _schedule(self) -> None:
        if self._timer is None or self._timer.cancelled():
            self._timer = asyncio.get_running_loop().call_later(_POLL_S, self._poll)

    def _poll(self) -> None:
        self._timer = None
        for process, attempt in list(self._polled.items()):
            if not alive(process):
                del self._polled[process]
                self._tell(attempt, process)
        if self._polled:
            self._schedule()

    def _tell(self, attempt: str, process: Identity) -> None:
        _reap(process.pid)
        self._ended(attempt)


def _reap(pid: int) -> None:
    """An orphan becomes the child of the first process of a container, which may well be this one."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
