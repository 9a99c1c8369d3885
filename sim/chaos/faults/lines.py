"""Lines to sites that fail: cut, in one direction only, again and again, lossy, and slow."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sim.chaos.faults.fault import Fault, LateError, NotBittenError, System
from sim.chaos.faults.work import Work, begun
from sim.chaos.sites.network import Line
from sim.chaos.sites.site import NAMES, SLOTS, Site

FLAP_S = 2.0
LOST_SHARE = 0.3
SLOW_BITS_PER_S = 64_000


@dataclass(frozen=True, slots=True)
class Harm:
    """What is done to a line for so many seconds. `unheard`: whether chunks must end there that the hub does not hear of."""

    name: str
    do: Callable[[Line, float], Awaitable[None]]
    unheard: bool = False


class HarmedLine(Fault):
    """Of a site where chunks run, and others wait for their room. Half of the time goes by until the first have ended."""

    needs_sites = True

    def __init__(self, harm: Harm, sites: Sequence[str] = NAMES[:-1]) -> None:
        self.name = harm.name
        self._harm = harm
        self._sites = sites
        self._site: Site | None = None
        self._work: Work | None = None
        self._ended = self._unheard = self._hindered = 0

    async def inject(self, system: System) -> None:
        self._site = site = system.sites[system.random.choice(self._sites)]
        self._work = work = await begun(system, site, 2 * SLOTS, [system.hold_s / 4] * 2)
        before, self._hindered = work.done, -site.line.hindered
        await self._harm.do(site.line, system.hold_s)
        self._ended = work.done - before
        self._unheard = work.done - await work.counted()

    async def heal(self, system: System) -> None:
        del system
        if self._site is not None:
            self._site.line.heal()

    async def bitten(self, system: System) -> str:
        del system
        assert self._site is not None, "it was injected"
        assert self._work is not None, "it was injected"
        self._hindered += self._site.line.hindered
        told_s = await self._work.told()
        await self._work.ended()
        if (attempts := self._work.begun) > 2 * SLOTS:
            raise LateError(
                f"{self._site.name}: {attempts} attempts were begun for {2 * SLOTS} chunks that were to wait"
            )
        shown = (
            f"{self._site.name}: {self._hindered} packets lost or delayed, {self._ended} chunks ended, "
            f"{self._unheard} of them unheard; all counted {told_s:.1f} s after"
        )
        if not self._hindered or not self._ended or (self._harm.unheard and not self._unheard):
            raise NotBittenError(shown)
        return shown


async def _cut(line: Line, hold_s: float) -> None:
    line.cut("up", "down")
    await asyncio.sleep(hold_s)


async def _mute(line: Line, hold_s: float) -> None:
    line.cut("up")
    await asyncio.sleep(hold_s)


async def _deafen(line: Line, hold_s: float) -> None:
    line.cut("down")
    await asyncio.sleep(hold_s)


async def _flap(line: Line, hold_s: float) -> None:
    """Ten times in 40 s, and more seldom where there is less time."""
    for _ in range(max(1, round(hold_s / (2 * FLAP_S)))):
        line.cut("up", "down")
        await asyncio.sleep(FLAP_S)
        line.heal()
        await asyncio.sleep(FLAP_S)


async def _lose(line: Line, hold_s: float) -> None:
    line.lose(LOST_SHARE)
    await asyncio.sleep(hold_s)


async def _slow(line: Line, hold_s: float) -> None:
    line.slow(SLOW_BITS_PER_S)
    await asyncio.sleep(hold_s)


HARMS = (
    Harm("cut-line", _cut, unheard=True),
    Harm("mute-line", _mute, unheard=True),
    Harm("deaf-line", _deafen),
    Harm("flap-line", _flap),
    Harm("lossy-line", _lose),
    Harm("slow-line", _slow),
)
CUT_LEAF = Harm("cut-leaf", _cut, unheard=True)
"""Its agent goes on being connected, and hears of nothing."""
