"""A site whose disk fills up while chunks run there."""

import asyncio
import os

from sim.chaos.faults.fault import Fault, LateError, NotBittenError, System
from sim.chaos.faults.work import Work, begun
from sim.chaos.load import CLOSET
from sim.chaos.machine import until
from sim.chaos.sites.site import SLOTS

NAPS_S = [1.0, 1.0]
RETRIES = 8
"""A step that finds no room fails by itself."""
NOTICED_TIMEOUT_S = 20.0
_BALLAST = "ballast"
_BLOCK_BYTES = 2**20
_NOTICED = b"no new work is begun"
_BEGINNING_S = 1.0
"""What was being started when it was noticed."""


class FullDisk(Fault):
    """Of an agent's own directory: nothing more can be written there until somebody makes room."""

    name = "fill-disk"
    needs_sites = True

    def __init__(self) -> None:
        self._work: Work | None = None
        self._noticed = False
        self._begun = self._later = 0

    async def inject(self, system: System) -> None:
        site = system.sites[CLOSET]
        self._work = work = await begun(system, site, 3 * SLOTS, NAPS_S, retries=RETRIES)
        read_before = site.log.stat().st_size
        fill(site.home / _BALLAST)

        async def noticed() -> bool:
            return _NOTICED in site.log.read_bytes()[read_before:]

        await until(noticed, timeout_s=NOTICED_TIMEOUT_S)
        self._noticed = True
        await asyncio.sleep(_BEGINNING_S)
        self._begun = work.begun
        await asyncio.sleep(system.hold_s / 3)
        self._later = work.begun

    async def heal(self, system: System) -> None:
        (system.sites[CLOSET].home / _BALLAST).unlink(missing_ok=True)

    async def bitten(self, system: System) -> str:
        del system
        assert self._work is not None, "it was injected"
        if not self._noticed:
            raise NotBittenError("the agent said nothing of a full disk")
        if self._later > self._begun:
            raise LateError(f"{self._later - self._begun} attempts were begun on a full disk")
        await self._work.ended()
        return f"{CLOSET}: nothing begun while its disk was full, {self._work.begun} attempts for {3 * SLOTS} chunks in the end"


def fill(ballast: os.PathLike[str]) -> None:
    """Writes until there is no room."""
    handle = os.open(ballast, os.O_CREAT | os.O_WRONLY)
    try:
        for size in (_BLOCK_BYTES, 4096, 1):
            try:
                while os.write(handle, bytes(size)):
                    pass
            except OSError:
                continue
    finally:
        os.close(handle)
