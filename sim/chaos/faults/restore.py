"""The past returns: an older copy of the database is put in its place, under everything else that lives on."""

import asyncio
import shutil
from contextlib import suppress
from pathlib import Path
from signal import SIGINT

from datamodel.errors import Transient
from sim.chaos.beneath import LogEnd
from sim.chaos.faults.fault import Fault, NotBittenError, System
from sim.chaos.history import Rollback, now_s
from sim.chaos.machine import until

NEWER_JOBS = 2
NEWER_EVENTS = 100
NEWER_TIMEOUT_S = 60.0
RETURN_TIMEOUT_S = 30.0


class RestoredDatabase(Fault):
    """Postgres is shut down fast and its directory copied; it goes on, work is done, and then the copy takes its place.

    Only Postgres is down each time. The gateway, the reconcilers, the agents and the feed live through the return, each with
    a memory of what is no longer true: that shows more than a restart of everything.
    """

    name = "restore-postgres"

    def __init__(self) -> None:
        self._before: LogEnd | None = None
        self._after: LogEnd | None = None

    async def inject(self, system: System) -> None:
        machine = system.machine
        data = machine.home / "postgres" / "data"
        copy = data.with_name("copy")
        copied_from_s = now_s()
        async with machine.without("postgres", SIGINT):
            await asyncio.to_thread(_copy, data, copy)
            copied_to_s = now_s()
        end = await _end(system)

        async def newer() -> bool:
            with suppress(Transient):
                self._before = await system.beneath.end()
            jobs = system.history.accepted_since(copied_to_s)
            return (
                self._before is not None and self._before.position >= end.position + NEWER_EVENTS and jobs >= NEWER_JOBS
            )

        self._before = None
        await until(newer, timeout_s=NEWER_TIMEOUT_S)
        began_s = now_s()
        async with machine.without("postgres", SIGINT):
            await asyncio.to_thread(shutil.rmtree, data)
            await asyncio.to_thread(copy.rename, data)
        self._after = await _end(system)
        system.history.rollbacks.append(Rollback(copied_from_s, copied_to_s, began_s, now_s()))

    async def bitten(self, system: System) -> str:
        assert self._before is not None, "it was injected"
        assert self._after is not None, "it was injected"
        if await system.beneath.event(self._before.position) == self._before.event:
            raise NotBittenError(f"the event at {self._before.position} is still the same")
        return f"the log's end {self._before.position} → {self._after.position}, another log from there"


def _copy(data: Path, copy: Path) -> None:
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(data, copy, symlinks=True)


async def _end(system: System) -> LogEnd:
    """The log's end, as soon as the server answers."""
    found: list[LogEnd] = []

    async def answers() -> bool:
        with suppress(Transient):
            found.append(await system.beneath.end())
        return bool(found)

    await until(answers, timeout_s=RETURN_TIMEOUT_S)
    return found[0]
