"""What a fault is."""

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sim.chaos.beneath import Beneath
from sim.chaos.history import History
from sim.chaos.machine import Machine


class NotBittenError(Exception):
    """The injection left no trace: what the run would say of this fault is worth nothing."""


@dataclass(frozen=True, slots=True)
class System:
    """What faults are injected into. `random` makes their choices; `lease_ttl_s` is how long reconcilers' leases last."""

    machine: Machine
    beneath: Beneath
    history: History
    random: random.Random
    lease_ttl_s: float


class Fault(ABC):
    """One way to harm a system. A run calls `inject`, `heal` and `bitten` in this order, any number of times."""

    name: str

    def environment(self, directory: Path) -> Mapping[str, str]:
        """What the programs must have in their environment from the start. `directory` is for files of the fault's own."""
        del directory
        return {}

    @abstractmethod
    async def inject(self, system: System) -> None:
        """Does the harm; returns when it has lasted as long as it should. Raises a `TendrilError` where it cannot."""

    async def heal(self, system: System) -> None:
        """Takes away what would keep the system from recovering, also after an injection that failed half-way."""
        del system  # most faults are over by themselves

    @abstractmethod
    async def bitten(self, system: System) -> str:
        """What shows that the last injection has bitten. Raises `NotBittenError`."""
