"""A site's own server dies, between its agent and the hub."""

from signal import SIGKILL

import psutil

from sim.chaos.faults.fault import Fault, LateError, NotBittenError, System
from sim.chaos.faults.work import Work, begun
from sim.chaos.machine import until
from sim.chaos.sites.site import BEHIND_A_LEAF, LEAF, SLOTS

NAPS_S = [1.5, 1.5]
RESTARTED_TIMEOUT_S = 30.0


class KilledLeaf(Fault):
    """SIGKILL to it: what runs there goes on, and is told when there is another one."""

    name = "kill-leaf"
    needs_sites = True

    def __init__(self) -> None:
        self._work: Work | None = None
        self._former = 0

    async def inject(self, system: System) -> None:
        site = system.sites[BEHIND_A_LEAF]
        self._work = await begun(system, site, 2 * SLOTS, NAPS_S)
        pid = site.supervisor.pid(LEAF)
        if pid is None:
            raise NotBittenError("the server does not run")
        self._former = pid
        psutil.Process(pid).send_signal(SIGKILL)

    async def bitten(self, system: System) -> str:
        assert self._work is not None, "it was injected"
        supervisor, former = system.sites[BEHIND_A_LEAF].supervisor, self._former

        async def is_another() -> bool:
            return supervisor.pid(LEAF) not in (None, former)

        try:
            await until(is_another, timeout_s=RESTARTED_TIMEOUT_S)
        except TimeoutError:
            raise LateError(f"{LEAF} was not started again") from None
        await self._work.ended()
        if (attempts := self._work.begun) != 2 * SLOTS:
            raise LateError(f"{attempts} attempts were begun for {2 * SLOTS} chunks that were to go on")
        return f"pid {former} → {supervisor.pid(LEAF)}, all {2 * SLOTS} chunks ended where they were"
