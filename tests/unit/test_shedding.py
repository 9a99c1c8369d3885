"""shedding: edges that have less than is reserved of them, over the fake store."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio

from datamodel.appender import Appender
from datamodel.command import Command, Fence
from datamodel.memory import MemoryStore
from datamodel.reads import Reads
from datamodel.scheduling.edges import inventory_path
from datamodel.scheduling.service import config_path
from datamodel.seeds import seed
from reconcilers.shedding import Shedding
from tests.graph import EDGE, done, edge_spec, memory_store, new_edge, new_job, place, present, report

KEY, PATH = "s/e", inventory_path("s", "e")


@pytest.fixture
def store() -> MemoryStore:
    return memory_store()


@pytest_asyncio.fixture
async def appender(store: MemoryStore) -> AsyncIterator[Appender]:
    await seed(store)
    await new_edge(store)
    async with Appender(store) as appender:
        yield appender


@pytest.fixture
def shedding(store: MemoryStore, appender: Appender) -> Shedding:
    return Shedding(store, appender, Reads(store))


@pytest_asyncio.fixture
async def attempts(store: MemoryStore, appender: Appender) -> list[str]:
    """Of the priorities 80, 20 and 50, each with 1 W."""
    return [await place(store, await new_job(store, f"p{p}", priority=p)) for p in (80, 20, 50)]


async def has(store: MemoryStore, power_w: float) -> None:
    await done(store, Command("apply", PATH, edge_spec(powerW=power_w)), actor=EDGE)


async def reconciled(shedding: Shedding, store: MemoryStore, key: str = KEY) -> None:
    token = (await store.acquire(["shedding/0"], "mine", 60.0))["shedding/0"]
    assert await shedding.reconcile(key, Fence("shedding/0", token)) is None


async def intents(store: MemoryStore, attempts: Sequence[str]) -> list[tuple[str, Any]]:
    nodes = [await present(store, path) for path in attempts]
    return [(node.spec["intent"], node.spec.get("intentReason")) for node in nodes]


STAYS, GOES = ("run", None), ("abandon", "Shed")


@pytest.mark.parametrize("where", ["/config/sites/s", config_path("s", "e")])
async def test_the_lowest_priority_goes_where_operators_say_so(
    store: MemoryStore, shedding: Shedding, attempts: list[str], where: str
) -> None:
    await has(store, 2.0)
    await reconciled(shedding, store)
    assert await intents(store, attempts) == [STAYS] * 3, "nobody asks for that"
    assert await shedding.keys() == [KEY], "also for who does not hear that somebody does"
    sites = Command("apply", "/config/sites/s")
    await done(store, *((sites,) if where != sites.path else ()), Command("apply", where, {"shed": "lowestPriority"}))
    await reconciled(shedding, store)
    assert await intents(store, attempts) == [STAYS, GOES, STAYS]
    before = await store.head()
    await reconciled(shedding, store)
    assert await store.head() == before, "what is left fits, though it is reserved still"
    await has(store, 0.0)
    await reconciled(shedding, store)
    assert await intents(store, attempts) == [GOES] * 3


async def test_what_was_shed_waits_for_another_attempt_and_has_not_failed(
    store: MemoryStore, shedding: Shedding, attempts: list[str]
) -> None:
    await done(store, Command("apply", "/config/sites/s", {"shed": "lowestPriority"}))
    await has(store, 2.0)
    await reconciled(shedding, store)
    job = await present(store, "/config/job-groups/default/jobs/p20")
    (entry,) = await store.entries(job.uid)
    assert (entry.phase, entry.failures) == ("retry", 0)
    await report(store, attempts[1], phase="stopped")
    pool = (await store.pools([PATH]))[PATH]
    assert pool.free["power"] == 0
    assert await shedding.keys() == []
    await new_edge(store, "f")
    await place(store, job, 0, 2, "f")
    assert (await present(store, attempts[1])).spec["intentReason"] == "Shed", "for whoever looks"


async def test_what_is_reserved_in_time_is_not_above_what_there_is_then(
    store: MemoryStore, shedding: Shedding, attempts: list[str]
) -> None:
    """Until those that were shed have ended, nothing takes their place."""
    await done(store, Command("apply", "/config/sites/s", {"shed": "lowestPriority"}))
    await has(store, 2.5)
    await reconciled(shedding, store)
    pool = (await store.pools([PATH]))[PATH]
    assert pool.lacking({"power": 100}) == "power"


async def test_who_is_woken(store: MemoryStore, shedding: Shedding, attempts: list[str]) -> None:
    before = (await store.head()).position
    await has(store, 2.0)
    await done(store, Command("apply", "/config/sites/s"), Command("apply", config_path("s", "e")))
    woken = [wake.key for change in await store.changes(before, 10) for wake in shedding.watches[change.kind](change)]
    assert woken == [KEY, "s/", KEY]
    keys: list[str] = []
    shedding.listen(keys.append)
    await reconciled(shedding, store, "s/")
    assert keys == [KEY]
