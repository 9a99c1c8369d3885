"""The writer of a process: one connection, on which transactions follow each other in the order of their decisions."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import asyncpg
import msgspec

from datamodel.admission import Admission
from datamodel.command import Outcome, Unit
from datamodel.model import Model
from datamodel.ports import Change
from datamodel.postgres.append import Decision, decide, transact
from datamodel.postgres.connect import Connection, connect_writer, transient
from datamodel.postgres.displacement import displaced
from datamodel.postgres.recent import Recent
from datamodel.postgres.remembered import Changed, Remembered
from datamodel.postgres.segments import lacks_segment, make_segments
from datamodel.postgres.statements import DEFINE, GUARDS_FAILED, WRITE

FOLLOWED = 5_000
"""Changes of others that are taken in at a time."""
TRIES = 2
"""So often units are decided by memory; then they are under the log's lock."""

_told = msgspec.json.Decoder(list[Changed]).decode


class Writer:
    """Appends. `recent` has what the process read last of the log, and gets what is committed; `changed(after, limit)` reads
    what happened after a position."""

    def __init__(
        self, url: str, model: Model, recent: Recent, changed: Callable[[int, int], Awaitable[list[Changed]]]
    ) -> None:
        self.remembered = Remembered(model, recent)
        self._url = url
        self._model = model
        self._recent = recent
        self._changed = changed
        self._connection: Connection | None = None
        # Taken in this order. Both wake in the order of arrival, so decisions are written in the order in which they were made.
        self._deciding = asyncio.Lock()
        self._writing = asyncio.Lock()

    async def close(self) -> None:
        async with self._writing:
            if self._connection is not None:
                self._connection.terminate()
                self._connection = None

    async def append(self, units: Sequence[Unit]) -> list[Outcome]:
        """The outcomes of prepared units, durable. Raises `Transient` where it is unknown whether it happened. Others may be
        decided while these are written; what rests on a decision that fails is decided anew."""
        for _ in range(TRIES):
            async with self._deciding:
                decision = await self._decided(units)
                if decision is None:
                    return await self._transact(units)
            admission = await self._write(decision)
            if admission is not None:
                return admission.outcomes
        async with self._deciding:
            return await self._transact(units)

    async def _decided(self, units: Sequence[Unit]) -> Decision | None:
        try:
            decision = None
            if self.remembered.expects:
                decision = decide(self._model, units, self.remembered)
            if decision is None:
                await self._follow()
                decision = decide(self._model, units, self.remembered)
        except BaseException:
            self.remembered.clear()  # it may have half of a decision in it
            raise
        return decision

    async def _follow(self) -> None:
        """Takes in what others are heard to have written, so that it need not be done under the log's lock. What is being
        written is awaited: where it stands among theirs is only known then."""
        remembered = self.remembered
        if not remembered.position or remembered.latest:
            return
        async with self._writing:
            if remembered.position:
                remembered.follow(self._recent.after(remembered.position, FOLLOWED))
            if remembered.position and not remembered.latest:
                era, newest = remembered.era, remembered.newest
                changed = await self._changed(remembered.position, FOLLOWED)
                if remembered.era == era:  # else everything was forgotten meanwhile
                    remembered.outrun(changed, newest)

    async def _transact(self, units: Sequence[Unit]) -> list[Outcome]:
        async with self._writing:
            try:
                admission, changes = await self._admitted(units)
            except asyncpg.CheckViolationError as error:
                if not lacks_segment(error):
                    raise
                await make_segments(self._url)
                admission, changes = await self._admitted(units)
            self.remembered.committed(admission)
            self._recent.put(changes)
            return admission.outcomes

    async def _admitted(self, units: Sequence[Unit]) -> tuple[Admission, list[Change]]:
        try:
            with transient("append"):
                connection = await self._connected()
                return await transact(connection, self._model, units, self.remembered)
        except BaseException:
            self._drop()
            raise

    async def _write(self, decision: Decision) -> Admission | None:
        """What a decision became; None where it does not stand."""
        remembered = self.remembered
        try:
            async with self._writing:
                connection = await self._connected()
                if decision.era != remembered.era:
                    return None
                with transient("append"):
                    written = await connection.fetchrow(WRITE, *decision.arguments)  # a transaction of its own
        except asyncpg.PostgresError as error:
            if error.sqlstate not in GUARDS_FAILED and not lacks_segment(error):
                self._drop()
                raise
            remembered.mistaken()
            return None
        except BaseException:
            self._drop()
            raise
        assert written is not None, "the function returns one row"
        return self._wrote(decision, *written)

    def _wrote(self, decision: Decision, after: int, at: datetime, others: str | None) -> Admission:
        """What a decision became that was written at a time after a position, behind what others had written."""
        admission, changes = decision.admission, decision.changes
        if (after, at) != (decision.after, decision.now):
            admission, changes = displaced(admission, changes, decision.after, after, at)
            read = self._recent.after(decision.after, after - decision.after)
            self.remembered.displaced(changes, read, _told(others or "[]"))
        self.remembered.committed(admission)
        self._recent.put(changes)
        return admission

    async def _connected(self) -> Connection:
        """The connection. What was remembered through another one may be of another database."""
        if self._connection is None or self._connection.is_closed():
            self.remembered.clear()
            self._recent.clear()
            self._connection = await connect_writer(self._url, DEFINE)
        return self._connection

    def _drop(self) -> None:
        """The transaction's state is unknown: a new connection is the only way to a clean one."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
        self.remembered.clear()
        self._recent.clear()
