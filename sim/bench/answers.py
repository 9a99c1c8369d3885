"""Whether the hub answers while it does something else: an agent asks again and again how far it is."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from datamodel.feed.bus import connect
from datamodel.feed.ports import Messages
from datamodel.feed.signing import Signing
from datamodel.scheduling import wire
from sim.bench.stack import Stack

EVERY_S = 0.05
SITE, AGENT = "bench", "asker"


class Asker:
    """Asks with windows that hold no report. Each goes through ingest's queue and lease and is answered from the database, as a
    report would be."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._asked_s: dict[str, float] = {}
        self._number = 0
        self.answers_s: list[float] = []
        """How long each took, in order of the answers; whoever looks takes them away."""

    async def run(self) -> None:
        """Asks until it is cancelled."""
        await self._messages.subscribe(wire.committed_subject(SITE, AGENT), self._on_answer)
        while True:
            self._number += 1
            incarnation = str(self._number)
            self._asked_s[incarnation] = time.perf_counter()
            window = wire.Window(wire.WIRE_VERSION, SITE, AGENT, incarnation, 1, [])
            await self._messages.publish(wire.report_subject(SITE, AGENT), wire.encode(window))
            await asyncio.sleep(EVERY_S)

    def taken(self) -> list[float]:
        """The times since the last look; a question that waits counts with what it has waited."""
        now_s = time.perf_counter()
        found, self.answers_s = self.answers_s, []
        found += [now_s - asked_s for asked_s in self._asked_s.values()]
        self._asked_s.clear()
        return found

    def _on_answer(self, _: str, body: bytes) -> None:
        asked_s = self._asked_s.pop(wire.decode_committed(body).incarnation, None)
        if asked_s is not None:
            self.answers_s.append(time.perf_counter() - asked_s)


@asynccontextmanager
async def asking(system: Stack) -> AsyncIterator[Asker]:
    """One that asks while the block runs."""
    access = await system.enrolled(SITE, AGENT)
    bus = await connect(access, "bench asker")
    asker = Asker(Signing(bus, access.credential().key))
    task = asyncio.create_task(asker.run())
    try:
        yield asker
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await bus.close()
