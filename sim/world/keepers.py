"""Who compacts the log by hand: programs like `tendril compact`, started again until one has done it, or was killed."""

import asyncio
from datetime import timedelta
from typing import cast

from datamodel.errors import Conflict, Transient
from datamodel.keeping.compact import compact
from datamodel.ports import Store
from sim.world.database import Connection
from sim.world.hosts import Surroundings
from sim.world.process import Process
from sim.world.script import Compact

AGAIN_S = 2.0


class Keepers:
    """One program for each action. Their clocks are right."""

    def __init__(self, around: Surroundings) -> None:
        self.processes: list[Process] = []
        self._around = around

    @property
    def waiting(self) -> int:
        """How many are at it."""
        return sum(process.alive for process in self.processes)

    def do(self, action: Compact) -> None:
        universe = self._around.universe
        process = Process(universe, f"keeper-{action.at_s}")
        self.processes.append(process)
        process.start(lambda: self._compact(process, action))
        if action.killed_s is not None:
            universe.after(action.killed_s, process.kill)

    async def _compact(self, process: Process, action: Compact) -> None:
        around = self._around
        weather, rng = around.weather, around.dice.stream(process.name)
        store = cast("Store", Connection(process, around.database, rng, weather, weather.hub_delay_s))
        for tries in range(1, 1_000):
            before = process.wall() - timedelta(seconds=action.keep_s)
            try:
                await compact(store, before, f"{process.name}/{tries}")
            except (Conflict, Transient):
                await asyncio.sleep(AGAIN_S)
            else:
                return
        around.complain(f"{process.name} tried {tries} times to compact the log")
