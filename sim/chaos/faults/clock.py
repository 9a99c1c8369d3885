"""Clocks that jump, for all Python programs at once; Postgres and NATS keep the right time, and all steady clocks go on."""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import time

import httpx
import psutil

from sim.chaos.faults.fault import Fault, NotBittenError, System
from sim.chaos.machine import until

LIBRARY = "libfaketimeMT.so.1"
"""Of Debian's package `libfaketime`: preloaded, it adds what a file says to the clock of the day."""
FOLDERS = ("/usr/lib", "/usr/local/lib", "/lib")
JUMP_TIMEOUT_S = 15.0
TOLERANCE_S = 60.0
LEASES = 3


class JumpedClock(Fault):
    """The time of day is another one for as long as three leases, and then the right one again."""

    def __init__(self, name: str, offset_s: int) -> None:
        self.name = name
        self._offset_s = offset_s
        self._file = Path()
        self._shown = ""

    def lacking(self) -> str:
        library = _library()
        if library is None:
            return f"{LIBRARY} (on Debian: apt-get install libfaketime)"
        # Version 0.9.10 refuses sleeps by the steady clock, whatever it is told: that would be a fault of another kind.
        return "" if _sleeps_under(library) else f"a {LIBRARY} under which Python can sleep (not {library})"

    def environment(self, directory: Path) -> Mapping[str, str]:
        library = _library()
        if library is None:
            return {}
        self._file = directory / "clock"
        self._set(0)
        return _preloading(library, self._file)

    async def inject(self, system: System) -> None:
        self._shown = ""
        self._set(self._offset_s)
        offset_s = 0.0

        async def jumped() -> bool:
            nonlocal offset_s
            with suppress(httpx.TransportError):
                answer = await system.machine.client.get("/livez")
                offset_s = parsedate_to_datetime(answer.headers["date"]).timestamp() - time()
            return abs(offset_s - self._offset_s) < TOLERANCE_S

        with suppress(TimeoutError):  # `bitten` tells
            await until(jumped, timeout_s=JUMP_TIMEOUT_S)
            programs = ["gateway", "reconcilers", *system.machine.edges]
            if untouched := [name for name in programs if not _preloaded(system.machine.program(name))]:
                raise NotBittenError(f"{LIBRARY} is not in {', '.join(untouched)}")
            self._shown = f"the gateway says {offset_s:+.0f} s; {len(programs)} programs share its clock"
        await asyncio.sleep(LEASES * system.lease_ttl_s)

    async def heal(self, system: System) -> None:
        del system
        self._set(0)

    async def bitten(self, system: System) -> str:
        del system
        if not self._shown:
            raise NotBittenError(f"the gateway's time did not change by {self._offset_s} s")
        return self._shown

    def _set(self, offset_s: int) -> None:
        draft = self._file.with_suffix(".new")
        draft.write_text(f"{offset_s:+d}\n", encoding="ascii")
        draft.replace(self._file)


def _library() -> Path | None:
    return next((found for folder in FOLDERS for found in sorted(Path(folder).rglob(f"faketime/{LIBRARY}"))), None)


def _sleeps_under(library: Path) -> bool:
    with tempfile.NamedTemporaryFile("w", encoding="ascii") as file:
        file.write("+0\n")
        file.flush()
        environment = _preloading(library, Path(file.name))
        sleeping = (sys.executable, "-c", "import time; time.sleep(0.001)")
        return not subprocess.run(sleeping, env=environment, check=False, capture_output=True).returncode  # noqa: S603


def _preloading(library: Path, file: Path) -> dict[str, str]:
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


def _preloaded(process: psutil.Process) -> bool:
    return any(LIBRARY in part.path for part in process.memory_maps())
