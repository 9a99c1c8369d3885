"""Telling the hub of attempts: that they run, and how they ended, with their outputs and once what they leave is there."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from agents.artifacts.carrier import Carrier
from agents.convergence import Desired, ReportEnd, ReportRunning
from agents.outbox import Outbox
from agents.reports import ended, outputs_of, running
from agents.runtimes.protocol import Observed, Runtime
from agents.told import Told
from datamodel.errors import Invalid
from datamodel.kinds import Document
from datamodel.scheduling import wire

PROGRESS_S = 2.0
PROGRESS_PERCENT = 10.0
STOPPED = ReportEnd("interrupted", reason="AgentStopped", message="the agent was told to stop")


class Telling:
    """Of one agent's attempts."""

    def __init__(
        self, runtime: Runtime, outbox: Outbox, carrier: Carrier | None, clock: Callable[[], datetime]
    ) -> None:
        self._runtime = runtime
        self._outbox = outbox
        self._carrier = carrier
        self._clock = clock

    async def running(self, told: Told, desired: Desired, observed: Observed, progress: ReportRunning) -> bool:
        """Tells that it runs, at once for the first time, then every 2 s or 10 %, and notes what is told. Whether nothing was
        kept back until later: so is progress while the hub has not taken in what was told of it before, or an agent that is cut
        off would fill its outbox with what nobody wants to know any more."""
        now_s = asyncio.get_running_loop().time()
        moved = progress.percent - told.percent
        if told.story == "running" and moved < PROGRESS_PERCENT and (moved <= 0 or now_s - told.at_s < PROGRESS_S):
            return moved <= 0
        if told.story == "running" and self._outbox.holds(*told.kept):
            return False
        report = running(desired, observed, progress, self._clock())
        number = await self._outbox.add(wire.encode(report))
        told.kept = self._outbox.incarnation, number
        told.story, told.percent, told.at_s, told.uid = "running", progress.percent, now_s, desired.uid
        return True

    async def ended(self, desired: Desired, observed: Observed | None, end: ReportEnd) -> bool:
        """Whether the end is in the outbox. It is not while files of the attempt are under way: then its carrier says when to
        look again."""
        outputs: Document | None = None
        if end.phase == "succeeded":
            try:
                outputs = outputs_of(await self._runtime.result(desired.work.attempt))
            except Invalid as error:
                end = ReportEnd("failed", end.exit_codes, "InvalidResult", error.message)
        if self._carrier is not None:
            carried = self._carrier.ended(desired, end)
            if carried is None:
                return False
            end = carried
        report = ended(desired, observed, end, outputs if end.phase == "succeeded" else None, self._clock())
        await self._outbox.add(wire.encode(report))
        if self._carrier is not None:
            self._carrier.forget(desired.work.attempt)
        return True
