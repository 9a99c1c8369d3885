"""What an older version of the model wrote is read as if the present one had, over the fake and Postgres alike."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from datamodel.audit import Audit
from datamodel.command import Actor, Command, Unit, raise_refused
from datamodel.errors import Transient
from datamodel.kinds import SYSTEM, USER
from datamodel.memory import MemoryStore
from datamodel.model import Model
from datamodel.ports import Store
from datamodel.postgres.store import PostgresStore
from datamodel.prepare import prepare
from datamodel.seeds import seed
from datamodel.state import State, fold
from datamodel.upcast import upcast_event
from datamodel.verify import verify
from migrations.upgrade import migrate
from tests import garden, garden_later
from tests.databases import Databases
from tests.graph import memory_store

FLOWERS = "/garden/beds/b/flowers"
Reopen = Callable[[Model], Awaitable[Store]]


@pytest_asyncio.fixture(params=["memory", "postgres"])
async def reopen(request: pytest.FixtureRequest, databases: Databases) -> AsyncIterator[Reopen]:
    """Opens the same store with one model after the other, as programs of different ages do."""
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            former: list[MemoryStore] = []

            async def in_memory(model: Model) -> Store:
                store = memory_store(model)
                if former:
                    store.put_back(former[-1].copy())
                    store._ids = former[-1]._ids
                else:
                    await seed(store)
                former.append(store)
                return store

            yield in_memory
            return
        url = await databases.create_empty()
        stack.push_async_callback(databases.drop, url)

        async def in_postgres(model: Model) -> Store:
            await migrate(url, model)
            return await stack.enter_async_context(PostgresStore(url, model))

        yield in_postgres


@pytest_asyncio.fixture
async def later(reopen: Reopen) -> Store:
    """A garden that grew under the first model, in the hands of a later one."""
    store = await reopen(garden.MODEL)
    await write(store, USER, Command("create", "/garden/beds/b"))
    for name in ("rose", "lily", "aster"):
        await write(store, USER, Command("create", f"{FLOWERS}/{name}", {"heightCm": 40}))
    await write(store, SYSTEM, Command("patchStatus", f"{FLOWERS}/rose", {"phase": "bloom"}))
    await write(store, USER, Command("patchSpec", f"{FLOWERS}/lily", {"colour": "white"}))
    return await reopen(garden_later.MODEL)


async def test_nodes_are_read_in_the_present_shape(later: Store) -> None:
    found = {node.path.rpartition("/")[2]: node for node in await later.list_nodes("Flower")}
    assert found["rose"].spec == {"colour": "red", "heightMm": 400, "staked": False}
    assert found["rose"].status == {"phase": "bloom", "leaves": 0}
    assert found["lily"].spec["colour"] == "white"
    assert found["aster"].status == {}, "nobody has reported yet"
    assert {node.schema for node in found.values()} == {1}
    assert [node.path for node in await later.list_nodes("Flower", phases=("bloom",))] == [f"{FLOWERS}/rose"]


async def test_the_fold_of_old_events_is_the_upcast_projection(later: Store) -> None:
    state, audit = State(), Audit(garden_later.MODEL)
    for event in await later.events(0, 1_000):
        fold(later.model, state, event)
        assert audit.step(event) == []
    assert state.nodes == await later.nodes(state.nodes.keys())
    report = await verify(later, Audit(garden_later.MODEL))
    assert report.clean, str(report)


async def test_whatever_is_written_to_an_old_node_makes_it_a_present_one(later: Store, reopen: Reopen) -> None:
    """Also where only its status is: the rest of it is stored anew, in the present shape."""
    await write(later, SYSTEM, Command("patchStatus", f"{FLOWERS}/rose", {"leaves": 7}))
    await write(later, SYSTEM, Command("patchStatus", f"{FLOWERS}/aster", {"phase": "bloom"}))
    await write(later, USER, Command("patchSpec", f"{FLOWERS}/lily", {"staked": True}))
    await write(later, SYSTEM, Command("patchStatus", f"{FLOWERS}/rose", {"leaves": 8}))
    again = await reopen(garden_later.MODEL)
    found = await again.nodes([f"{FLOWERS}/{name}" for name in ("rose", "lily", "aster")])
    assert {node.schema for node in found.values()} == {3}
    assert found[f"{FLOWERS}/rose"].spec == {"colour": "red", "heightMm": 400, "staked": False}
    assert found[f"{FLOWERS}/rose"].status == {"phase": "bloom", "leaves": 8}
    assert found[f"{FLOWERS}/lily"].spec == {"colour": "white", "heightMm": 400, "staked": True}
    assert [event.schema for event in await again.events(0, 1_000)][-4:] == [3] * 4
    report = await verify(again, Audit(garden_later.MODEL))
    assert report.clean, str(report)


async def test_what_changes_nothing_leaves_an_old_node_as_it_is(later: Store) -> None:
    before = await later.head()
    outcome = await write(later, USER, Command("patchSpec", f"{FLOWERS}/rose", {"staked": False, "heightMm": 400}))
    assert outcome == "unchanged"
    assert await later.head() == before


async def test_a_program_that_is_too_old_says_so(later: Store, reopen: Reopen) -> None:
    await write(later, SYSTEM, Command("patchStatus", f"{FLOWERS}/rose", {"leaves": 7}))
    event = (await later.events(0, 1_000))[-1]
    with pytest.raises(Transient) as raised:
        upcast_event(garden.MODEL, event)
    assert "version 3 of Flower, and this program knows 1" in raised.value.message


async def write(store: Store, role: str, command: Command) -> str:
    (outcome,) = await store.append([prepare(store.model, Unit((command,), Actor("ann", role)))])
    return raise_refused(outcome)[0].outcome
