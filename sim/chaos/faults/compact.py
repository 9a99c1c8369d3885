"""The log loses its beginning while everything runs: `tendril compact` is killed midway, and done once more."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from tempfile import mkdtemp

import psutil

from datamodel.errors import Transient
from datamodel.keeping.archive import SEGMENT_FORMAT, Logged, reading
from datamodel.postgres.connect import Connection, connect, transient
from datamodel.postgres.segments import attach_segment
from datamodel.segments import Segment
from sim.chaos.faults.fault import Fault, NotBittenError, System
from sim.chaos.faults.growth import grown
from sim.chaos.machine import until

LINES = 4
"""What a compaction says of two segments: that one is exported, that it is dropped, and the same of the other."""
MISSED_EVENTS = 3
MISSED_TIMEOUT_S = 60.0
DONE_TIMEOUT_S = 60.0
REBUILT_TIMEOUT_S = 30.0
REFUSED = b"somebody else compacts the log"

_NEWEST = "SELECT tableoid::regclass::text FROM events ORDER BY position DESC LIMIT 1"
_BEFORE = "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = $1::text::regclass"


class CompactedLog(Fault):
    """The reconcilers stand still, and the relay with them, while the log goes on and its segments up to then are dropped. A
    log of minutes has one segment, so it is cut where it ends, twice."""

    name = "compact-log"

    def __init__(self) -> None:
        self._stopped: psutil.Process | None = None
        self._directory = Path()
        self._oldest = (0, 0)
        self._epoch = 0
        self._said: list[bytes] = []

    async def inject(self, system: System) -> None:
        self._directory = Path(mkdtemp(prefix="exported-", dir=system.machine.home.parent))
        before = await system.beneath.oldest()
        await _cut(system)
        self._stopped = system.machine.program("reconcilers")
        self._stopped.send_signal(SIGSTOP)
        read = await system.beneath.end()
        self._epoch = read.epoch

        await _reached(system, read.position + MISSED_EVENTS)
        end = await _cut(system)
        await _reached(system, end)
        self._said = await self._killed(system, end, system.random.randrange(1, LINES))
        await self._done(system, end)
        self._oldest = before, await system.beneath.oldest()

    async def heal(self, system: System) -> None:
        del system
        if self._stopped is not None:
            with suppress(psutil.NoSuchProcess):
                self._stopped.send_signal(SIGCONT)

    async def bitten(self, system: System) -> str:
        before, oldest = self._oldest
        files = sorted(self._directory.glob("events-*.jsonl.gz"), key=lambda path: int(path.name.split("-")[1]))
        kept = [position for path in files for position in await asyncio.to_thread(_positions, path)]
        if not before < oldest:
            raise NotBittenError(f"the log is kept from {before} on, and then from {oldest}")
        if kept != list(range(max(before, 1), oldest)):
            raise NotBittenError(f"positions {before} to {oldest - 1} were dropped, and the files hold others")
        complaint = f"the relay was behind, and the stream is still of epoch {self._epoch}"
        epoch = await grown(system.beneath.epoch, self._epoch, timeout_s=REBUILT_TIMEOUT_S, otherwise=complaint)
        return (
            f"killed after {len(self._said)} lines; kept from {before} → {oldest}, the rest in {len(files)} files,"
            f" epoch {self._epoch} → {epoch}"
        )

    async def _killed(self, system: System, before: int, lines: int) -> list[bytes]:
        """What a compaction said until it was killed."""
        async with self._compacting(system, before) as process:
            assert process.stdout is not None, "it is a pipe"
            said = [await process.stdout.readline() for _ in range(lines)]
            if process.returncode is not None or b"" in said:
                raise NotBittenError(f"tendril compact ended by itself: {b''.join(said).decode(errors='replace')}")
            return said

    async def _done(self, system: System, before: int) -> None:
        """As somebody would do it who sees that it was killed: until it is no more refused."""
        async with asyncio.timeout(DONE_TIMEOUT_S):
            while True:
                async with self._compacting(system, before) as process:
                    said, _ = await process.communicate()
                if not process.returncode:
                    return
                if REFUSED not in said:
                    raise Transient(
                        f"tendril compact exited with {process.returncode}: {said.decode(errors='replace')}"
                    )

    @asynccontextmanager
    async def _compacting(self, system: System, before: int) -> AsyncIterator[asyncio.subprocess.Process]:
        """The program; SIGKILL, if it still runs after."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "datamodel.keeping", "compact", "--before", str(before)),
            *("--export", str(self._directory)),
            env={**os.environ, **system.machine.environment()},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _reached(system: System, position: int) -> None:
    """Returns once the log has come to a position, by what is asked for meanwhile."""

    async def reached() -> bool:
        return (await system.beneath.end()).position >= position

    await until(reached, timeout_s=MISSED_TIMEOUT_S)


async def _cut(system: System) -> int:
    """The log's last segment ends where the log does, and another one begins there; at which position."""
    connection = await connect(system.machine.environment()["TENDRIL_DATABASE_URL"])
    try:
        with transient("cut the log"):
            async with connection.transaction():
                return await _cut_at_head(connection)
    finally:
        connection.terminate()


async def _cut_at_head(connection: Connection) -> int:
    await connection.execute("LOCK TABLE events")
    table = await connection.fetchval(_NEWEST)
    first, end = (int(number) for number in str(await connection.fetchval(_BEFORE, table)).split("'")[1::2])
    begin = int(await connection.fetchval("SELECT max(position) FROM events")) + 1
    await connection.execute(
        f"ALTER TABLE events DETACH PARTITION {table};"
        f" ALTER TABLE events ATTACH PARTITION {table} FOR VALUES FROM ({first}) TO ({begin})"
    )
    await attach_segment(connection, Segment(begin, end - 1))
    return begin


def _positions(path: Path) -> list[int]:
    with reading(path, (SEGMENT_FORMAT,)) as archive:
        return [line.event.position for line in archive.lines() if isinstance(line, Logged)]
