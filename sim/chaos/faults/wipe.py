"""The feed is lost: JetStream's store is removed while its server is down."""

import asyncio
import shutil
from contextlib import suppress
from signal import SIGKILL

from datamodel.errors import Transient
from sim.chaos.faults.fault import Fault, NotBittenError, System
from sim.chaos.machine import until

REBUILT_TIMEOUT_S = 30.0


class WipedFeed(Fault):
    """Everything that NATS kept is gone; the rest of the system lives on."""

    name = "wipe-nats"

    def __init__(self) -> None:
        self._epoch = 0

    async def inject(self, system: System) -> None:
        self._epoch = (await system.beneath.end()).epoch
        async with system.machine.without("nats", SIGKILL):
            await asyncio.to_thread(shutil.rmtree, system.machine.home / "nats" / "jetstream")

    async def bitten(self, system: System) -> str:
        epoch = self._epoch

        async def rebuilt() -> bool:
            nonlocal epoch
            with suppress(Transient):
                epoch = (await system.beneath.end()).epoch
            return epoch > self._epoch

        try:
            await until(rebuilt, timeout_s=REBUILT_TIMEOUT_S)
        except TimeoutError:
            raise NotBittenError(f"the stream is still of epoch {epoch}") from None
        return f"the stream's epoch {self._epoch} → {epoch}"
