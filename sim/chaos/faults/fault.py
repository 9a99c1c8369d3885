"""What a fault is."""

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sim.chaos.beneath import Beneath
from sim.chaos.history import History
from sim.chaos.load import Load
from sim.chaos.machine import Machine
from sim.chaos.sites.crowd import Crowd
from sim.chaos.sites.site import Site


class NotBittenError(Exception):
    """The injection left no trace: what the run would say of this fault is worth nothing."""


class LateError(Exception):
    """What was harmed is not as it should be, or was not in time."""


@dataclass(frozen=True, slots=True)
class System:
    """What faults are injected into. `random` makes their choices; `lease_ttl_s` is how long reconcilers' leases last, and
    `hold_s` how long what is harmed at sites stays so. `noted` is the directory of the host ledger."""

    machine: Machine
    beneath: Beneath
    history: History
    random: random.Random
    lease_ttl_s: float
    load: Load
    noted: Path
    hold_s: float
    sites: Mapping[str, Site]
    crowd: Crowd | None
    places: dict[str, str]
    """The site of each network namespace where steps may run."""
    cloned: set[str]
    """Sites of whose agent there was a clone."""


class Fault(ABC):
    """One way to harm a system. A run calls `inject`, `heal` and `bitten` in this order, any number of times."""

    name: str
    needs_sites = False
    """Whether it is done to sites with networks of their own."""
    needs_crowd = False
    """Whether it takes a site with many agents."""

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
        """What shows that the last injection has bitten. Raises `NotBittenError`, and `LateError` where what it harmed alone is
        not as it should be again."""
