"""One child process: what it is, how it starts and how it ends."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

from deploy.local import tether
from deploy.local.logfile import LogFile


async def _nothing() -> None:
    """Most children need nothing before or after."""


async def _at_once() -> bool:
    """Most children are ready as soon as they run."""
    return True


@dataclass(frozen=True, slots=True)
class Child:
    """A process to run. `env` is its whole environment, `directory` where it runs, ours where none is named.

    `prepare` runs before each start and raises where a start is no use yet. `ready` tells whether it serves.
    `finish` runs once it was stopped for good. To stop it, each of `stop_signals` is sent with `stop_timeout_s` seconds
    to obey, then KILL to its whole process group. `death_signal` is what it gets when we die and cannot stop it.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    directory: Path | None = None
    prepare: Callable[[], Awaitable[None]] = _nothing
    ready: Callable[[], Awaitable[bool]] = _at_once
    finish: Callable[[], Awaitable[None]] = _nothing
    stop_signals: tuple[Signals, ...] = (SIGTERM,)
    stop_timeout_s: float = 10.0
    death_signal: Signals = SIGTERM


async def spawn(child: Child, log: LogFile) -> Process:
    """Starts the child in a session of its own, so that a terminal's Ctrl-C reaches only us. Raises `OSError`."""
    tethered = (sys.executable, "-I", "-S", str(Path(tether.__file__)), str(os.getpid()), str(int(child.death_signal)))
    output = log.open()
    try:
        return await asyncio.create_subprocess_exec(
            *(*tethered, *child.argv),
            env=child.env,
            cwd=child.directory,
            stdin=DEVNULL,
            stdout=output,
            stderr=STDOUT,
            start_new_session=True,
        )
    finally:
        os.close(output)


async def end(child: Child, process: Process) -> None:
    """Stops the process as its declaration says. Returns when it is gone, at once where it already was."""
    for stop_signal in child.stop_signals:
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(stop_signal)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), child.stop_timeout_s)
            return
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, SIGKILL)
        await process.wait()
