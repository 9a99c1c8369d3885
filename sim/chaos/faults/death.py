"""Programs that die or are stopped, and are started again by their supervisor."""

from signal import SIGINT, SIGKILL, SIGTERM, Signals

import psutil

from sim.chaos.faults.fault import Fault, NotBittenError, System
from sim.chaos.faults.victim import chosen
from sim.chaos.machine import Machine


class _Ended(Fault):
    def __init__(self, name: str, victim: str, signal: Signals) -> None:
        self.name = name
        self._victim = victim
        self._signal = signal
        self._former: psutil.Process | None = None
        self._program = ""

    async def inject(self, system: System) -> None:
        self._program = chosen(self._victim, system)
        self._former = system.machine.program(self._program)
        self._former.send_signal(self._signal)

    async def bitten(self, system: System) -> str:
        assert self._former is not None, "it was injected"
        successor = await _successor(system.machine, self._program, self._former)
        return f"{self._program}: pid {self._former.pid} → {successor.pid}"


class Killed(_Ended):
    """SIGKILL: nothing is put away."""

    def __init__(self, victim: str) -> None:
        super().__init__(f"kill-{victim}", victim, SIGKILL)


class Restarted(_Ended):
    """The signal that a service manager stops it with. Postgres gets SIGINT: SIGTERM would wait for its clients to leave."""

    def __init__(self, victim: str) -> None:
        super().__init__(f"restart-{victim}", victim, SIGINT if victim == "postgres" else SIGTERM)


async def _successor(machine: Machine, program: str, former: psutil.Process) -> psutil.Process:
    successor = await machine.replaced(program, former)
    if former.is_running() and former.status() != psutil.STATUS_ZOMBIE:
        raise NotBittenError(f"{program} still runs as pid {former.pid}")
    return successor
