"""Sampling: every few seconds, all that can be seen, for as long as the counted load lasts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from datamodel.errors import Transient
from datamodel.feed.bus import Bus, connect
from sim.load.generator import Generator
from sim.soak.database import Database
from sim.soak.feed import feed_sample, stream_state
from sim.soak.processes import Processes
from sim.soak.series import CACHED_ATTEMPTS, Samples
from sim.soak.system import System

_log = structlog.get_logger("soak")


class Watcher:
    """One run's samples. Open it with `watching`."""

    def __init__(self, system: System, database: Database, bus: Bus) -> None:
        self.samples = Samples()
        self.missed = 0
        """Samples of the database or the feed that could not be taken."""
        self.filled_s: float | None = None
        """When so many attempts had been made that every bounded cache was full."""
        self.processes = Processes(system.parent_pid)
        self._database = database
        self._bus = bus

    async def watch(self, generator: Generator, every_s: float, warmup_s: float) -> None:
        """Until it is cancelled; what is seen during the warm-up is not kept."""
        while True:
            at_s = generator.elapsed_s
            values = await asyncio.to_thread(self.processes.sample)
            try:
                state = await stream_state(self._bus)
                values |= await self._database.sample()
                values |= feed_sample(state, self._database)
            except Transient as error:
                self.missed += 1
                _log.warning("a sample is missing", error=error.message)
            values["queue: jobs outstanding"] = generator.outstanding
            if self.filled_s is None and self._database.attempts >= CACHED_ATTEMPTS:
                self.filled_s = at_s
            if at_s >= warmup_s:
                self.samples.add(at_s, values)
            await asyncio.sleep(max(0.0, at_s + every_s - generator.elapsed_s))


@asynccontextmanager
async def watching(system: System) -> AsyncIterator[Watcher]:
    bus = await connect(system.nats, "soak")
    try:
        async with Database(system.database_url) as database:
            yield Watcher(system, database, bus)
    finally:
        await bus.close()


def add_latencies(samples: Samples, generator: Generator, window_s: float) -> None:
    """The latencies of the counted phases, by windows, as series beside what was sampled."""
    for tally in generator.tallies:
        if not tally.phase.counted:
            continue
        for moment, latencies in tally.latencies.items():
            for number, found in latencies.windows(window_s).items():
                at_s = (number + 0.5) * window_s
                samples.add(at_s, {f"latency {point}: {moment}": found[point] for point in ("p50", "p99")})
