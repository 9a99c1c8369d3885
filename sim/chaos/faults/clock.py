"""The clock of the day of one running program jumps, forth and back; all others, and every steady clock, go on as they were."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import time

import httpx

from datamodel.errors import Transient
from sim.chaos import startup
from sim.chaos.faults.fault import Fault, NotBittenError, System
from sim.chaos.faults.victim import chosen
from sim.chaos.machine import SITE, until
from sim.chaos.startup.sitecustomize import CLOCKS

JUMPS_S = (-3600, -5, 5, 3600)
SHOWN_TIMEOUT_S = 30.0
"""How long a program is given to show the time: an edge may have nothing to report for a while."""
TOLERANCE_S = 2.0
"""What it shows was written a moment before, and in whole seconds by the gateway."""


class JumpedClock(Fault):
    """The clock is wrong by each of the amounts in turn, for a lease's time at least, and then right again. A program that is
    started meanwhile has the right time."""

    def __init__(self, victim: str) -> None:
        self.name = f"jump-{victim}"
        self._victim = victim
        self._folder = Path()
        self._clock = Path()
        self._program = ""
        self._shown: list[str] = []

    def environment(self, directory: Path) -> Mapping[str, str]:
        self._folder = directory / "clocks"
        self._folder.mkdir(exist_ok=True)
        first = str(Path(startup.__file__).parent)
        path = os.environ.get("PYTHONPATH")
        return {"PYTHONPATH": os.pathsep.join([first, path] if path else [first]), CLOCKS: str(self._folder)}

    async def inject(self, system: System) -> None:
        self._program, self._shown = chosen(self._victim, system), []
        self._clock = self._folder / str(system.machine.program(self._program).pid)
        for jump_s in system.random.sample(JUMPS_S, len(JUMPS_S)):
            since = (await system.beneath.end()).position
            self._set(jump_s)
            shown, _ = await asyncio.gather(self._seen(system, since, jump_s), asyncio.sleep(system.lease_ttl_s))
            self._shown.append(shown)

    async def heal(self, system: System) -> None:
        del system
        self._clock.unlink(missing_ok=True)

    async def bitten(self, system: System) -> str:
        del system
        return f"{self._program}: {', '.join(self._shown)} shown"

    async def _seen(self, system: System, since: int, jump_s: int) -> str:
        """What the program showed of its jump. Raises `NotBittenError` where it showed none."""
        seen: list[float] = []

        async def jumped() -> bool:
            with suppress(Transient, httpx.TransportError):
                found = await self._wrong_by_s(system, since)
                seen.extend(wrong_s for wrong_s in found if abs(wrong_s - jump_s) < TOLERANCE_S)
            return bool(seen)

        try:
            await until(jumped, timeout_s=SHOWN_TIMEOUT_S)
        except TimeoutError:
            raise NotBittenError(f"{self._program} did not show that its clock jumped by {jump_s:+d} s") from None
        return f"{seen[0]:+.1f} s"

    async def _wrong_by_s(self, system: System, since: int) -> list[float]:
        """By how much the program has shown to be ahead of the time since a position of the log."""
        if self._victim == "gateway":
            answer = await system.machine.client.get("/livez")
            return [parsedate_to_datetime(answer.headers["date"]).timestamp() - time()]
        actor = f"agent:{SITE}/{self._program}" if self._victim == "agent" else "progress"
        return await system.beneath.ahead_s(actor, since)

    def _set(self, wrong_by_s: int) -> None:
        draft = self._clock.with_suffix(".new")
        draft.write_text(str(wrong_by_s), encoding="ascii")
        draft.replace(self._clock)
