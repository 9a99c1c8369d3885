"""The writer of a process: one connection, on which transactions follow each other in the order of their decisions."""

import asyncio
from collections.abc import Callable, Sequence

import asyncpg

from datamodel.command import Outcome, Unit
from datamodel.model import Model
from datamodel.ports import Change
from datamodel.postgres.append import Decision, decide, transact
from datamodel.postgres.connect import connect_writer, transient
from datamodel.postgres.present import Connection
from datamodel.postgres.remembered import Remembered
from datamodel.postgres.script import GUARDS_FAILED, PREPARE


class Writer:
    """Appends. `heard(position)` gives what is known to have happened right after a position; `committed(changes)` is told of
    every commit in order, `broken()` of a lost connection."""

    def __init__(
        self,
        url: str,
        model: Model,
        *,
        heard: Callable[[int], Sequence[Change]],
        committed: Callable[[list[Change]], None],
        broken: Callable[[], None],
    ) -> None:
        self.remembered = Remembered(model)
        self._url = url
        self._model = model
        self._heard = heard
        self._committed = committed
        self._broken = broken
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
        while True:
            async with self._deciding:
                if self.remembered.position:
                    self.remembered.follow(self._heard(self.remembered.position))
                decision = decide(self._model, units, self.remembered)
                if decision is None:
                    async with self._writing:
                        return await self._transact(units)
            if await self._write(decision):
                return decision.admission.outcomes

    async def _transact(self, units: Sequence[Unit]) -> list[Outcome]:
        try:
            with transient("append"):
                admission, changes = await transact(await self._connected(), self._model, units, self.remembered)
        except BaseException:
            self._drop()
            raise
        self.remembered.committed(admission)
        self._committed(changes)
        return admission.outcomes

    async def _write(self, decision: Decision) -> bool:
        """Whether a decision stands."""
        try:
            async with self._writing:
                if decision.era != self.remembered.era:
                    return False
                with transient("append"):
                    await (await self._connected()).execute(decision.script)  # a script is one transaction
        except asyncpg.PostgresError as error:
            if error.sqlstate not in GUARDS_FAILED:
                self._drop()
                raise
            self.remembered.mistaken()
            return False
        except BaseException:
            self._drop()
            raise
        self.remembered.committed(decision.admission)
        self._committed(decision.changes)
        return True

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect_writer(self._url, PREPARE)
        return self._connection

    def _drop(self) -> None:
        """The transaction's state is unknown: a new connection is the only way to a clean one."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
        self.remembered.clear()
        self._broken()
