"""The appender with two transactions at a time: when the second one starts, and that each stands for itself."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from datamodel.appender import GATHER_S, OVERLAP_COMMANDS, Appender
from datamodel.command import Outcome, Unit
from datamodel.errors import NotFound, Transient
from datamodel.memory import MemoryStore
from datamodel.scheduling.model import MODEL
from tests.graph import counted_ids, refusal
from tests.unit.test_appender import many, waiting
from tests.waiting import until


class TurnstileStore(MemoryStore):
    """A store whose transactions wait one by one, and are let through (or made to fail) by the test."""

    def __init__(self) -> None:
        super().__init__(MODEL, lambda: datetime.now(UTC), counted_ids())
        self.entered: list[int] = []
        self._turns: list[asyncio.Future[None]] = []

    async def append(self, units: Sequence[Unit]) -> list[Outcome]:
        self.entered.append(sum(len(unit.commands) for unit in units))
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        await turn
        return await super().append(units)

    async def holds(self, *commands: int) -> None:
        """Returns once so many transactions of these sizes have come in all."""
        await until(lambda: self.entered == [*commands])

    def let(self, turn: int, failure: Exception | None = None) -> None:
        if failure is None:
            self._turns[turn].set_result(None)
        else:
            self._turns[turn].set_exception(failure)


async def beside(store: TurnstileStore, appender: Appender, commands: int) -> "list[asyncio.Task[Outcome]]":
    """A transaction that is being written, and units of so many commands in all behind it."""
    (first,) = await waiting(appender, many(1))
    await store.holds(1)
    return [first, *await waiting(appender, *[many(1)] * commands)]


async def let_all(store: TurnstileStore, *tasks: "asyncio.Task[Outcome]") -> None:
    """Lets through whatever comes until these are answered."""
    answered = asyncio.gather(*tasks, return_exceptions=True)
    while not answered.done():
        for turn in store._turns:
            if not turn.done():
                turn.set_result(None)
        await asyncio.wait([answered], timeout=0.01)


async def test_a_large_batch_starts_while_another_is_written_and_a_third_does_not() -> None:
    store = TurnstileStore()
    async with Appender(store) as appender:
        tasks = await beside(store, appender, OVERLAP_COMMANDS)
        await store.holds(1, OVERLAP_COMMANDS)
        tasks += await waiting(appender, many(2 * OVERLAP_COMMANDS))
        await passed(10 * GATHER_S)
        assert store.entered == [1, OVERLAP_COMMANDS], "two at a time, however much waits"
        store.let(0)
        await store.holds(1, OVERLAP_COMMANDS, 2 * OVERLAP_COMMANDS)
        await let_all(store, *tasks)


async def test_a_small_batch_waits_for_the_one_that_is_written() -> None:
    store = TurnstileStore()
    async with Appender(store) as appender:
        tasks = await beside(store, appender, OVERLAP_COMMANDS - 1)
        await passed(10 * GATHER_S)
        assert store.entered == [1]
        tasks += await waiting(appender, many(1))
        await store.holds(1, OVERLAP_COMMANDS)
        tasks += await waiting(appender, many(3))
        store.let(0)
        await passed(10 * GATHER_S)
        assert store.entered == [1, OVERLAP_COMMANDS], "the one that is left is written still"
        store.let(1)
        await store.holds(1, OVERLAP_COMMANDS, 3)
        await let_all(store, *tasks)


async def test_each_caller_gets_its_own_outcome_whichever_batch_ends_first() -> None:
    store = TurnstileStore()
    async with Appender(store) as appender:
        (first,) = await waiting(appender, many(1))
        await store.holds(1)
        others = await waiting(appender, *(many(number % 3 + 1) for number in range(OVERLAP_COMMANDS)))
        await until(lambda: len(store.entered) == 2)
        store.let(1)
        outcomes = await asyncio.gather(*others)
        assert not first.done()
        store.let(0)
        assert len(await first) == 1
    assert [len(outcome) for outcome in outcomes] == [number % 3 + 1 for number in range(OVERLAP_COMMANDS)]


@pytest.mark.parametrize("failing", [0, 1])
async def test_the_failure_of_one_of_two_batches_is_its_own(failing: int) -> None:
    store = TurnstileStore()
    async with Appender(store) as appender:
        first, *others = await beside(store, appender, OVERLAP_COMMANDS)
        await store.holds(1, OVERLAP_COMMANDS)
        store.let(failing, Transient("lost"))
        failed, fine = ([first], others) if failing == 0 else (others, [first])
        for task in failed:
            with pytest.raises(Transient):
                await task
        assert not any(task.done() for task in fine)
        store.let(1 - failing)
        assert [refusal(outcome) for outcome in await asyncio.gather(*fine)] == [NotFound] * len(fine)
        (later,) = await waiting(appender, many(1))
        await store.holds(1, OVERLAP_COMMANDS, 1)
        store.let(2)
        assert refusal(await later) is NotFound


async def test_closing_waits_for_both_batches() -> None:
    store = TurnstileStore()
    async with Appender(store) as appender:
        tasks = await beside(store, appender, OVERLAP_COMMANDS)
        await store.holds(1, OVERLAP_COMMANDS)
        releasing = asyncio.create_task(let_all(store, *tasks))
    assert all(task.done() and task.exception() is None for task in tasks)
    await releasing


async def test_stopping_tells_the_callers_of_both_batches() -> None:
    store = TurnstileStore()
    async with Appender(store) as appender:
        tasks = await beside(store, appender, OVERLAP_COMMANDS)
        await store.holds(1, OVERLAP_COMMANDS)
        tasks += await waiting(appender, many(1))
        assert appender._task is not None
        appender._task.cancel()
        for task in tasks:
            with pytest.raises(Transient):
                await task
        appender._task = None


async def passed(seconds: float) -> None:
    """A time in which something would have happened that must not."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + seconds
    await until(lambda: loop.time() >= end_s)
