"""Agents and whole hosts at sites that die while chunks run there."""

from signal import SIGKILL

import psutil

from sim.chaos.faults.fault import Fault, LateError, NotBittenError, System
from sim.chaos.faults.work import Work, begun
from sim.chaos.machine import until
from sim.chaos.sites.site import NAMES, SLOTS, Site

NAPS_S = [1.5, 1.5]
RESTARTED_TIMEOUT_S = 30.0


class KilledAtSite(Fault):
    """SIGKILL to the agent: its steps go on, and another one adopts them. Or to the host: they all end at once."""

    needs_sites = True

    def __init__(self, name: str, *, host: bool) -> None:
        self.name = name
        self._host = host
        self._work: Work | None = None
        self._site: Site | None = None
        self._former: psutil.Process | None = None
        self._killed = 0

    async def inject(self, system: System) -> None:
        self._site = site = system.sites[system.random.choice(NAMES[:-1])]
        self._work = await begun(system, site, 2 * SLOTS, NAPS_S)
        self._former = site.process()
        if self._host:
            self._killed = site.kill_all()
        else:
            self._former.send_signal(SIGKILL)
            self._killed = 1

    async def bitten(self, system: System) -> str:
        del system
        assert self._site is not None, "it was injected"
        assert self._work is not None, "it was injected"
        assert self._former is not None, "it was injected"
        successor = await restarted(self._site, self._former)
        await self._work.ended()
        again = self._work.begun - 2 * SLOTS
        if bool(again) != self._host:
            raise NotBittenError(
                f"{self._site.name}: {again} attempts were begun again after {self._killed} were killed"
            )
        killed = f"{self._killed} processes" if self._host else "the agent"
        return f"{self._site.name}: {killed} killed, pid {self._former.pid} → {successor.pid}, {again} attempts begun again"


async def restarted(site: Site, former: psutil.Process) -> psutil.Process:
    """The agent's process after this one. Raises `LateError` where there is none."""

    async def is_another() -> bool:
        return site.supervisor.pid(site.name) not in (None, former.pid)

    try:
        await until(is_another, timeout_s=RESTARTED_TIMEOUT_S)
    except TimeoutError:
        raise LateError(f"the agent of {site.name} was not started again") from None
    return site.process()
