"""Programs that stand still for longer than their leases, and then go on as if nothing had happened."""

import asyncio
from contextlib import suppress
from signal import SIGCONT, SIGSTOP

import psutil

from sim.chaos.faults.fault import Fault, NotBittenError, System
from sim.chaos.faults.growth import grown
from sim.chaos.faults.victim import chosen

LEASES = 3
"""How many leases' times it lasts."""
FENCED = ("reconcilers", "postgres")
"""Whose standstill lets leases expire: they are acquired anew, with higher tokens."""
REACQUIRED_TIMEOUT_S = 20.0


class Frozen(Fault):
    """SIGSTOP; of Postgres, all its processes."""

    def __init__(self, victim: str) -> None:
        self.name = f"stop-{victim}"
        self._victim = victim
        self._program = ""
        self._stopped: list[psutil.Process] = []
        self._states: set[str] = set()
        self._tokens = 0
        self._lasted_s = 0.0

    async def inject(self, system: System) -> None:
        self._program = chosen(self._victim, system)
        self._tokens = await system.beneath.tokens()
        self._lasted_s = LEASES * system.lease_ttl_s
        head = system.machine.program(self._program)
        head.send_signal(SIGSTOP)  # first: from now on it begins no other process
        self._stopped = [head]
        if self._victim == "postgres":
            self._stopped += head.children(recursive=True)
        for process in self._stopped[1:]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(SIGSTOP)
        await asyncio.sleep(self._lasted_s)
        # One that was just ending stays a zombie, since its parent stands still too.
        self._states = {_status(process) for process in self._stopped} - {psutil.STATUS_ZOMBIE}

    async def heal(self, system: System) -> None:
        del system
        for process in self._stopped:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(SIGCONT)

    async def bitten(self, system: System) -> str:
        if self._states != {psutil.STATUS_STOPPED}:
            raise NotBittenError(f"{self._program} was {', '.join(sorted(self._states))} after {self._lasted_s:g} s")
        shown = f"{self._program}: {len(self._stopped)} in state T for {self._lasted_s:g} s"
        if self._victim not in FENCED:
            return shown
        complaint = f"no lease was acquired anew after {self._program} stood still"
        tokens = await grown(system.beneath.tokens, self._tokens, timeout_s=REACQUIRED_TIMEOUT_S, otherwise=complaint)
        return f"{shown}, tokens {self._tokens} → {tokens}"


def _status(process: psutil.Process) -> str:
    try:
        return process.status()
    except psutil.NoSuchProcess:
        return psutil.STATUS_ZOMBIE
