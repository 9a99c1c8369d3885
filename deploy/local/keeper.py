"""Keeping one child running."""

import asyncio
from asyncio.subprocess import Process
from contextlib import suppress

import structlog

from datamodel.errors import TendrilError
from deploy.local.child import Child, end, spawn
from deploy.local.logfile import LogFile

FIRST_DELAY_S = 0.2
LAST_DELAY_S = 5.0
SETTLED_S = 10.0

log = structlog.get_logger()


class Keeper:
    """Starts a child again whenever it exits, until told to stop.

    The delay before a new start doubles from `FIRST_DELAY_S` to `LAST_DELAY_S`, and begins anew once the child was up
    for `SETTLED_S`.
    """

    def __init__(self, child: Child, output: LogFile) -> None:
        self.child = child
        self.output = output
        self._process: Process | None = None
        self._stopping = asyncio.Event()
        self._task = asyncio.create_task(self._keep(), name=f"keep {child.name}")

    @property
    def pid(self) -> int | None:
        """The process id of the child; None while it does not run."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def stop(self) -> None:
        """Ends the child for good; returns when it is gone."""
        self._stopping.set()
        await self._task
        await self.child.finish()

    async def _keep(self) -> None:
        clock = asyncio.get_running_loop().time
        delay_s = FIRST_DELAY_S
        while not self._stopping.is_set():
            started_s = clock()
            reason = await self._run()
            if self._stopping.is_set():
                return
            if clock() - started_s >= SETTLED_S:
                delay_s = FIRST_DELAY_S
            self.output.note(f"{reason}; starting again in {delay_s:g} s")
            where = str(self.output.path)
            log.warning("child ended", child=self.child.name, reason=reason, again_in_s=delay_s, log=where)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay_s)
            delay_s = min(2 * delay_s, LAST_DELAY_S)

    async def _run(self) -> str:
        """One life of the child, from its start to its end; returns why it ended."""
        try:
            await self.child.prepare()
            process = await spawn(self.child, self.output)
        except (OSError, TendrilError) as error:
            return f"cannot start: {error}"
        self._process = process
        exited = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({exited, stopping}, return_when=asyncio.FIRST_COMPLETED)
        # Ended here and nowhere else: whoever spawned the process is the only one to signal it.
        await end(self.child, process)
        stopping.cancel()
        return f"exited with {await exited}"
