"""A site's agent whose credential is revoked while chunks run there, and which is enrolled again with another key."""

import asyncio

from sim.chaos.faults.fault import Fault, LateError, NotBittenError, System
from sim.chaos.faults.work import Work, begun
from sim.chaos.history import now_s
from sim.chaos.machine import until
from sim.chaos.sites.site import EDGE, NAMES, SLOTS, Site, enrolling

NAPS_S = [2.0, 2.0]
CUT_OFF_LIMIT_S = 10.0
SECOND_S = 1.1
"""What is signed within the second of a revocation is revoked: NATS' times are in seconds."""
_REFUSED = b"NATS has ended the connection"


class RevokedCredential(Fault):
    """It is cut off at once, and its steps go on; enrolled again, it tells what became of them."""

    name = "revoke-agent"
    needs_sites = True

    def __init__(self) -> None:
        self._site: Site | None = None
        self._work: Work | None = None
        self._cut_s: float | None = None

    async def inject(self, system: System) -> None:
        self._site = site = system.sites[system.random.choice(NAMES[:-1])]
        self._work = await begun(system, site, 2 * SLOTS, NAPS_S)
        self._cut_s = None
        former, said, since_s = site.process(), site.log.stat().st_size, now_s()
        await enrolling(system.machine, site.supervisor, "revoke", f"{site.name}/{EDGE}")

        async def is_cut_off() -> bool:
            return not former.is_running() and _REFUSED in site.log.read_bytes()[said:]

        try:
            await until(is_cut_off, timeout_s=CUT_OFF_LIMIT_S)
        except TimeoutError:
            raise LateError(f"{site.name}: its agent was not cut off within {CUT_OFF_LIMIT_S:g} s") from None
        self._cut_s = now_s() - since_s
        await asyncio.sleep(max(SECOND_S, system.hold_s / 3))

    async def heal(self, system: System) -> None:
        site = self._site
        if site is None or self._work is None:
            return
        again = site.home.with_name("again.creds")
        again.unlink(missing_ok=True)
        await enrolling(system.machine, site.supervisor, "enroll", f"{site.name}/{EDGE}", f"--out={again}")
        again.replace(site.home / "agent.creds")

    async def bitten(self, system: System) -> str:
        del system
        assert self._work is not None, "it was injected"
        if self._cut_s is None:
            raise NotBittenError("it was not cut off")
        told_s = await self._work.told()
        await self._work.ended()
        cut_off = f"{self._work.site.name}: cut off {self._cut_s:.1f} s after the word"
        return f"{cut_off}; all counted {told_s:.1f} s after it was enrolled again"
