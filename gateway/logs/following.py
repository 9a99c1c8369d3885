"""An attempt's log: all that there is, and what comes while it runs."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

import structlog

from datamodel.errors import Transient
from datamodel.scheduling.logs import UNREADABLE, Frame, decode
from datamodel.transcripts.ports import Entry, Transcripts
from gateway.logs.lines import Lines, Told

READ_LIMIT_BYTES = 4 * 1024 * 1024
"""The most of one log that a reader is given: more than an honest edge ever sends."""
LOOK_S = 2.0
"""How often it is looked whether the log has grown without a word of it, and whether the attempt has ended."""
LINGER_S = 15.0
"""How long the rest of an attempt's log may take after its end."""

_log = structlog.get_logger("logs")


class Reader:
    """One reading of one log: from where it has come to the end that is there. `over`: nothing follows."""

    def __init__(self, transcripts: Transcripts, key: str, lines: Lines) -> None:
        self._transcripts, self._key, self._lines = transcripts, key, lines
        self._sequence = 0
        self._left_bytes = READ_LIMIT_BYTES
        self.over = False
        self.found = False
        """Whether there was anything."""

    async def present(self) -> list[Told]:
        """All that there is now. Raises `Transient`, and then what was read is lost."""
        told: list[Told] = []
        while (some := await self.read()) is not None:
            told += some
        return told

    async def read(self) -> list[Told] | None:
        """What the next frames tell; None where there are none now. Raises `Transient`."""
        entries = [] if self.over else await self._next()
        if not entries:
            return None
        self._sequence = entries[-1].sequence
        self.found = True
        return [one for frame in self._frames(entries) for one in self._lines.of(frame)]

    async def _next(self) -> list[Entry]:
        entries = await self._transcripts.read(self._key, self._sequence)
        if entries or not self._sequence:
            return entries
        last = await self._transcripts.last(self._key)
        if last is not None and last.sequence < self._sequence:  # the server has lost what it had, and begun anew
            self._sequence = 0
            return await self._transcripts.read(self._key, 0)
        return []

    def _frames(self, entries: Iterable[Entry]) -> Iterable[Frame]:
        for entry in entries:
            self._left_bytes -= len(entry.body)
            if self._left_bytes < 0:
                _log.warning("a log is larger than any may be", key=self._key)
                self.over = True
                return
            try:
                frame = decode(entry.body)
            except UNREADABLE as error:
                _log.warning("a frame cannot be read", key=self._key, sequence=entry.sequence, error=str(error))
                continue
            yield frame
            if frame.last:
                self.over = True
                return


async def follow(
    transcripts: Transcripts,
    key: str,
    reader: Reader,
    ended: Callable[[], Awaitable[bool]],
    woken: asyncio.Event,
    closed: Callable[[], bool],
) -> AsyncGenerator[list[Told] | None, None]:
    """What there is, and what comes, until the log is over, or its attempt has ended long enough ago: then the reader is not
    `over`. None comes now and then where there is nothing. `woken` is set when `closed()` has become true, which ends it."""
    loop = asyncio.get_running_loop()
    ended_s: float | None = None
    async with transcripts.watch(key) as grown:
        while not closed():
            grown.clear()
            woken.clear()
            told: list[Told] | None = None
            try:
                told = await reader.read()
                if ended_s is None and await ended():
                    ended_s = loop.time()
            except Transient:
                _log.info("a log cannot be read now", key=key)
            yield told
            if reader.over or (ended_s is not None and told is None and loop.time() - ended_s >= LINGER_S):
                return
            if told is not None:
                continue
            await first_of(grown, woken, timeout_s=LOOK_S)


async def first_of(*events: asyncio.Event, timeout_s: float) -> None:
    """Returns when one of them is set, or after so long."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*waiting, return_exceptions=True)
