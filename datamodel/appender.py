"""The coalescing appender: what a process' tasks want to write goes into few large transactions."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Self

from msgspec import structs

from datamodel.cause import present_cause
from datamodel.command import Outcome, Unit, raise_refused
from datamodel.errors import Fenced, Transient
from datamodel.ports import Log
from datamodel.prepare import prepare

BATCH_COMMANDS = 500
GATHER_S = 0.003
WAITING_COMMANDS_LIMIT = 20_000
OVERLAP_COMMANDS = 100
"""So many that wait are decided while others are written; fewer had better wait for more."""

_Waiting = tuple[Unit, "asyncio.Future[Outcome]", float]


class Appender:
    """Appends units one by one for its callers and in batches to the log.

    An idle appender writes at once. While a transaction runs, units gather; the next one starts when it is done and 500
    commands wait or the oldest has waited 3 ms, or before, where there are enough to be worth it. Callers wait for room when
    more than 20,000 commands are waiting. `committed()` is called after every transaction that changed something.
    """

    def __init__(self, log: Log, committed: Callable[[], object] = lambda: None) -> None:
        self._log = log
        self._committed = committed
        self._waiting: list[_Waiting] = []
        self._commands = 0
        self._arrived = asyncio.Event()
        self._enough = asyncio.Event()
        self._room = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._writing: set[asyncio.Task[None]] = set()
        self._closed = True

    async def __aenter__(self) -> Self:
        self._closed = False
        self._task = asyncio.create_task(self._run(), name="appender")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Refuses what comes from now on, writes what waits, then stops."""
        self._closed = True
        self._arrived.set()
        self._enough.set()
        async with self._room:
            self._room.notify_all()
        if self._task is not None:
            await self._task

    async def append(self, unit: Unit) -> Outcome:
        """The verdicts on a unit's commands, once they are durable. A unit without a cause has that of the running task
        (`datamodel.cause.present_cause`). Raises `Invalid` for a unit that no present could accept, `Fenced` where a guard of
        the unit does not hold, and `Transient` where it is unknown whether it was written."""
        unit = prepare(self._log.model, unit if unit.cause else _with_cause(unit))
        if self._commands >= WAITING_COMMANDS_LIMIT:
            async with self._room:
                await self._room.wait_for(lambda: self._closed or self._commands < WAITING_COMMANDS_LIMIT)
        if self._closed:
            raise Transient("the appender does not run")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        self._waiting.append((unit, future, loop.time()))
        self._commands += len(unit.commands)
        self._arrived.set()
        if self._commands >= OVERLAP_COMMANDS:
            self._enough.set()
        outcome = await future
        if outcome and isinstance(outcome[0].error, Fenced):
            raise outcome[0].error
        return outcome

    async def write(self, unit: Unit) -> Outcome:
        """The same where nothing may be refused: raises the first refusal."""
        return raise_refused(await self.append(unit))

    async def _run(self) -> None:
        try:
            while self._waiting or not self._closed:
                if not self._waiting:
                    self._arrived.clear()
                    await self._arrived.wait()
                else:
                    await self._gather()
                await self._turn()
                if batch := self._take():
                    task = asyncio.create_task(self._write(batch), name="append")
                    self._writing.add(task)
                    task.add_done_callback(self._written)
            await asyncio.gather(*self._writing)
        except asyncio.CancelledError:
            for task in self._writing:
                task.cancel()
            _fail(self._waiting, Transient("the appender was stopped before it wrote"))
            raise

    async def _turn(self) -> None:
        """Returns when the next batch may start: when no other is written, or one is and the next is large."""
        while len(self._writing) >= (2 if self._commands >= OVERLAP_COMMANDS else 1):
            self._enough.clear()
            await self._enough.wait()

    def _written(self, task: "asyncio.Task[None]") -> None:
        self._writing.discard(task)
        self._enough.set()

    async def _gather(self) -> None:
        """Returns when many commands wait or the oldest has waited long enough."""
        deadline = self._waiting[0][2] + GATHER_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                while self._commands < BATCH_COMMANDS and not self._closed:
                    self._enough.clear()
                    await self._enough.wait()

    def _take(self) -> list[_Waiting]:
        count = commands = 0
        for unit, _, _ in self._waiting:
            if count and commands + len(unit.commands) > BATCH_COMMANDS:
                break
            count += 1
            commands += len(unit.commands)
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        self._commands -= commands
        return batch

    async def _write(self, batch: list[_Waiting]) -> None:
        try:
            outcomes = await self._log.append([unit for unit, _, _ in batch])
        except asyncio.CancelledError:
            _fail(batch, Transient("the appender was stopped while it wrote"))
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the callers, and others' units go on
            _fail(batch, error)
        else:
            for (_, future, _), outcome in zip(batch, outcomes, strict=True):
                if not future.done():
                    future.set_result(outcome)
            if any(verdict.outcome == "changed" for outcome in outcomes for verdict in outcome):
                self._committed()
        async with self._room:
            self._room.notify_all()


def _with_cause(unit: Unit) -> Unit:
    cause = present_cause.get()
    if cause is None:
        return unit
    cause.has_led = True
    return structs.replace(unit, cause=cause.text, correlation=unit.correlation or cause.correlation)


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for _, future, _ in batch:
        if not future.done():
            future.set_exception(error)
