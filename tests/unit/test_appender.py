"""The appender: order, batches, failures and bounds, over the store in memory."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from datamodel.appender import BATCH_COMMANDS, WAITING_COMMANDS_LIMIT, Appender
from datamodel.command import Advance, Command, Outcome, Unit
from datamodel.errors import Conflict, Fenced, Invalid, Transient
from datamodel.memory import MemoryStore
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from tests.graph import JOBS, STEPS, USER, counted_ids, refusal


class GatedStore(MemoryStore):
    """A store whose transactions wait for a gate, and may fail instead of happening."""

    def __init__(self) -> None:
        super().__init__(MODEL, lambda: datetime.now(UTC), counted_ids())
        self.gate = asyncio.Event()
        self.started = asyncio.Event()
        self.failure: Exception | None = None
        self.batches: list[int] = []

    async def append(self, units: Sequence[Unit]) -> list[Outcome]:
        self.started.set()
        await self.gate.wait()
        self.batches.append(sum(len(unit.commands) for unit in units))
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        return await super().append(units)


@pytest_asyncio.fixture
async def store() -> GatedStore:
    store = GatedStore()
    store.gate.set()
    await seed(store)
    store.batches.clear()
    store.started.clear()
    return store


@pytest_asyncio.fixture
async def appender(store: GatedStore) -> AsyncIterator[Appender]:
    async with Appender(store) as appender:
        yield appender
        store.gate.set()


def creation(*names: str) -> Unit:
    return Unit(tuple(Command("create", f"{JOBS}/{name}", {"steps": STEPS}) for name in names), USER)


def many(commands: int) -> Unit:
    """A unit of commands that are all refused, each for itself."""
    return Unit((Command("delete", f"{JOBS}/none"),) * commands, USER, atomic=False)


async def waiting(appender: Appender, *units: Unit) -> "list[asyncio.Task[Outcome]]":
    """Appends from tasks that have all begun to wait."""
    tasks = [asyncio.create_task(appender.append(unit)) for unit in units]
    await asyncio.sleep(0)
    return tasks


async def behind_a_transaction(
    store: GatedStore, appender: Appender, *units: Unit
) -> "tuple[asyncio.Task[Outcome], list[asyncio.Task[Outcome]]]":
    """One unit whose transaction waits at the gate, and others that gather behind it."""
    store.gate.clear()
    (first,) = await waiting(appender, creation("first"))
    await store.started.wait()
    return first, await waiting(appender, *units)


async def test_what_gathers_behind_a_transaction_goes_into_one(store: GatedStore, appender: Appender) -> None:
    first, others = await behind_a_transaction(store, appender, *(creation(f"j{number}") for number in range(100)))
    store.gate.set()
    await asyncio.gather(first, *others)
    assert store.batches == [1, 100]


async def test_a_batch_has_a_size_and_units_are_not_split(store: GatedStore, appender: Appender) -> None:
    units = [many(BATCH_COMMANDS - 1), many(1), many(2), many(BATCH_COMMANDS + 1), many(3)]
    first, others = await behind_a_transaction(store, appender, *units)
    store.gate.set()
    await asyncio.gather(first, *others)
    assert store.batches == [1, BATCH_COMMANDS, 2, BATCH_COMMANDS + 1, 3]


async def test_units_are_written_in_the_order_of_their_calls(store: GatedStore, appender: Appender) -> None:
    tasks = await waiting(appender, *(creation(f"j{number}") for number in range(2 * BATCH_COMMANDS)))
    versions = [verdict.version for (verdict,) in await asyncio.gather(*tasks)]
    assert versions == sorted(versions)
    assert len(store.batches) == 2


async def test_a_refusal_is_its_own_callers(store: GatedStore, appender: Appender) -> None:
    tasks = await waiting(appender, creation("a"), creation("a"), creation("b"))
    assert [refusal(outcome) for outcome in await asyncio.gather(*tasks)] == [None, Conflict, None]


async def test_what_is_written_may_not_be_refused(store: GatedStore, appender: Appender) -> None:
    store.gate.set()
    (verdict,) = await appender.write(creation("a"))
    assert verdict.outcome == "changed"
    with pytest.raises(Conflict):
        await appender.write(creation("a", "b"))
    assert await store.nodes([f"{JOBS}/b"]) == {}


async def test_a_guard_that_does_not_hold_is_raised(store: GatedStore, appender: Appender) -> None:
    await appender.append(Unit((), USER, advance=Advance("mark", 0, 1)))
    with pytest.raises(Fenced):
        await appender.append(Unit((), USER, advance=Advance("mark", 0, 1)))


async def test_what_is_invalid_never_reaches_the_store(store: GatedStore, appender: Appender) -> None:
    for unit in (
        creation("Not-A-Label"),
        Unit((Command("create", f"{JOBS}/j"),), USER),
        Unit((Command("create", f"{JOBS}/j", {"steps": STEPS}, uid="x"),), USER),
        Unit((Command("create", f"{JOBS}/j", {"steps": STEPS}, links={"none": (JOBS,)}),), USER),
        Unit((), USER, key="k", atomic=False),
        Unit((), USER, key="k" * 1000),
        Unit((), USER, advance=Advance("mark", 2, 1)),
    ):
        with pytest.raises(Invalid):
            await appender.append(unit)
    assert store.batches == []


@pytest.mark.parametrize("failure", [Transient("lost"), RuntimeError("a defect")])
async def test_a_failed_transaction_fails_its_callers_and_no_one_else(
    store: GatedStore, appender: Appender, failure: Exception
) -> None:
    store.failure = failure
    first, others = await behind_a_transaction(store, appender, creation("a"), creation("b"))
    store.gate.set()
    with pytest.raises(type(failure)):
        await first
    assert [refusal(outcome) for outcome in await asyncio.gather(*others)] == [None, None]


async def test_a_caller_that_gives_up_leaves_its_unit_behind(store: GatedStore, appender: Appender) -> None:
    first, (given_up, other) = await behind_a_transaction(store, appender, creation("a"), creation("b"))
    given_up.cancel()
    store.gate.set()
    await asyncio.gather(first, other)
    assert len(await store.list_nodes("Job")) == 3


async def test_callers_wait_for_room(store: GatedStore, appender: Appender) -> None:
    filling = [many(BATCH_COMMANDS)] * (WAITING_COMMANDS_LIMIT // BATCH_COMMANDS)
    first, others = await behind_a_transaction(store, appender, *filling, creation("late"))
    assert appender._commands == WAITING_COMMANDS_LIMIT
    store.gate.set()
    await asyncio.gather(first, *others)
    assert store.batches == [1, *(BATCH_COMMANDS for _ in filling), 1]


async def test_closing_writes_what_waits_and_refuses_the_rest(store: GatedStore) -> None:
    async with Appender(store) as appender:
        filling = [many(BATCH_COMMANDS)] * (WAITING_COMMANDS_LIMIT // BATCH_COMMANDS)
        first, (*others, late) = await behind_a_transaction(store, appender, *filling, creation("late"))
        store.gate.set()
    assert first.done()
    assert all(task.done() for task in others)
    for refused in (late, appender.append(creation("later"))):
        with pytest.raises(Transient):
            await refused


async def test_a_writer_that_is_stopped_tells_everyone(store: GatedStore) -> None:
    async with Appender(store) as appender:
        first, others = await behind_a_transaction(store, appender, creation("a"))
        assert appender._task is not None
        appender._task.cancel()
        for task in (first, *others):
            with pytest.raises(Transient):
                await task
        appender._task = None


async def test_who_wants_to_know_hears_of_changes_alone(store: GatedStore) -> None:
    changes: list[int] = []
    async with Appender(store, committed=lambda: changes.append(1)) as appender:
        await appender.append(creation("a"))
        await appender.append(creation("a"))
        await appender.append(many(3))
    assert changes == [1]
