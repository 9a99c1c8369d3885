"""The tail: a process' own reading of the log, which wakes its reconcilers.

Reconcilers stand at the database anyway: what they wrote themselves they know at once, and what others wrote costs one
query for many events. The feed is for those who do not.
"""

import asyncio
import random
from collections.abc import Callable

import structlog

from datamodel.errors import Gone, Transient
from datamodel.ports import Change, Log

BATCH = 512
RETRY_S = (0.05, 1.0)
_log = structlog.get_logger("tail")


class Tail:
    """One process' place in the log."""

    def __init__(self, log: Log, poll_s: float) -> None:
        """`poll_s`: how soon a change is seen of which no word came."""
        self._log = log
        self._poll_s = poll_s
        self._grown = asyncio.Event()
        self._position = -1
        self._event: str | None = None

    def wake(self) -> None:
        """The log has grown."""
        self._grown.set()

    async def run(self, deliver: Callable[[Change], None], restarted: Callable[[], None]) -> None:
        """Follows the log from its end on until it is cancelled. `deliver(change)` gets what happens, in order;
        `restarted()` is called before that, and whenever something may have been missed: everybody must look at everything
        then."""
        delay = RETRY_S[0]
        while True:
            try:
                if self._position < 0:
                    await self._begin()
                    restarted()
                more = await self._read(deliver)
                delay = RETRY_S[0]
            except Transient as error:
                _log.info("the log cannot be read", error=error.message)
                more = False
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - spreads the replicas
                delay = min(delay * 2, RETRY_S[1])
            if not more:
                await self._rest()

    async def _begin(self) -> None:
        position = (await self._log.head()).position
        self._event = await self._log.event_id(position)
        self._position = position

    async def _read(self, deliver: Callable[[Change], None]) -> bool:
        """Delivers what came; whether there may be more. The last event that is known is read again with what follows it, so
        that another database in the place of the former (restored, failed over) is noticed."""
        self._grown.clear()
        try:
            changes = await self._log.changes(max(0, self._position - 1), BATCH + 1)
        except Gone:
            _log.warning("what came after is not kept any more", position=self._position)
            self._position = -1
            return True
        if self._position and (not changes or changes[0].event_id != self._event):
            _log.warning("the log is another one, or an older state of it", position=self._position)
            self._position = -1
            return True
        for change in changes[1:] if self._position else changes:
            deliver(change)
        if changes:
            self._position, self._event = changes[-1].position, changes[-1].event_id
        return len(changes) > BATCH

    async def _rest(self) -> None:
        """Until the log has grown, or may have without a word."""
        timer = asyncio.get_running_loop().call_later(self._poll_s, self._grown.set)
        try:
            await self._grown.wait()
        finally:
            timer.cancel()
