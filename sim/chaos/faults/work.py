"""Work at one site, which is under way while that is harmed."""

from dataclasses import dataclass

from datamodel.errors import Transient
from datamodel.scheduling.jobs import SUCCEEDED
from sim.chaos import ledger
from sim.chaos.faults.fault import LateError, System
from sim.chaos.history import now_s
from sim.chaos.ledger import Line
from sim.chaos.machine import until
from sim.chaos.sites.site import SLOTS, Site

BEGUN_TIMEOUT_S = 45.0
BACK_LIMIT_S = 60.0
"""From the end of the harm until everything that ended meanwhile is counted, and again until the rest of the work has ended."""


@dataclass(frozen=True, slots=True)
class Work:
    """A job whose chunks run at one site."""

    system: System
    site: Site
    name: str
    owner: str

    @property
    def lines(self) -> list[Line]:
        """What its steps have noted until now."""
        return ledger.read(self.system.noted, self.owner)

    @property
    def done(self) -> int:
        """Chunks that came to their end there."""
        return len({line.chunk for line in self.lines if line.done})

    @property
    def begun(self) -> int:
        """Attempts that began there."""
        return len({line.attempt for line in self.lines})

    async def counted(self) -> int:
        """Chunks that the hub has counted."""
        seen = await self.system.load.read(self.name)
        if seen is None:
            raise Transient(f"{self.name} is gone")
        return seen.succeeded

    async def told(self) -> float:
        """After how many seconds everything that is done now is counted. Raises `LateError`."""
        done, since_s = self.done, now_s()
        await self._until_counted(done)
        return now_s() - since_s

    async def ended(self) -> None:
        """Returns when all of it is counted. Raises `LateError`."""
        await self._until_counted(self.system.history.orders[self.name].chunks)

    async def _until_counted(self, chunks: int) -> None:
        async def so_many() -> bool:
            try:
                return await self.counted() >= chunks
            except Transient:
                return False

        try:
            await until(so_many, timeout_s=BACK_LIMIT_S)
        except TimeoutError:
            counted = await self.counted()
            raise LateError(
                f"{self.site.name}: {counted} of {chunks} chunks were counted {BACK_LIMIT_S:g} s after"
            ) from None


async def begun(system: System, site: Site, chunks: int, naps_s: list[float], *, retries: int = 0) -> Work:
    """Work of so many chunks, as many of which run as there is room for. Raises `Transient` where they do not begin."""
    name = await system.load.ask_of(site.name, chunks, naps_s, retries=retries)
    seen = await system.load.read(name)
    if seen is None or seen.phase == SUCCEEDED:
        raise Transient(f"{name} is not there to be harmed")
    work = Work(system, site, name, seen.uid)

    async def run() -> bool:
        return work.begun >= min(SLOTS, chunks)

    try:
        await until(run, timeout_s=BEGUN_TIMEOUT_S)
    except TimeoutError:
        raise Transient(f"{work.begun} chunks of {name} began within {BEGUN_TIMEOUT_S:g} s") from None
    return work
