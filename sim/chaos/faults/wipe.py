"""The feed is lost: JetStream's store is removed while its server is down."""

import asyncio
import shutil
from signal import SIGKILL

from sim.chaos.faults.fault import Fault, System
from sim.chaos.faults.growth import grown

REBUILT_TIMEOUT_S = 30.0


class WipedFeed(Fault):
    """Everything that NATS kept is gone; the rest of the system lives on."""

    name = "wipe-nats"

    def __init__(self) -> None:
        self._epoch = 0

    async def inject(self, system: System) -> None:
        self._epoch = await system.beneath.epoch()
        async with system.machine.without("nats", SIGKILL):
            await asyncio.to_thread(shutil.rmtree, system.machine.home / "nats" / "jetstream")

    async def bitten(self, system: System) -> str:
        complaint = f"the stream is still of epoch {self._epoch}"
        epoch = await grown(system.beneath.epoch, self._epoch, timeout_s=REBUILT_TIMEOUT_S, otherwise=complaint)
        return f"the stream's epoch {self._epoch} → {epoch}"
