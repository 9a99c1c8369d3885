"""stats: what is counted of the whole system, and how often that is written."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from datamodel.appender import Appender
from datamodel.command import Command, Fence
from datamodel.memory import MemoryStore
from datamodel.scheduling.edges import inventory_path
from datamodel.seeds import seed
from reconcilers.stats import KEY, Rate, Stats
from tests.graph import SYSTEM, done, memory_store, new_edge, new_job, place, present, report


@pytest.fixture
def store() -> MemoryStore:
    return memory_store()


@pytest_asyncio.fixture
async def appender(store: MemoryStore) -> AsyncIterator[Appender]:
    await seed(store)
    async with Appender(store) as appender:
        yield appender


async def counted(stats: Stats, store: MemoryStore) -> None:
    token = (await store.acquire(["stats/0"], "mine", 60.0))["stats/0"]
    await stats.reconcile(KEY, Fence("stats/0", token))


async def test_the_edges_of_each_site_are_busy_or_free(store: MemoryStore, appender: Appender) -> None:
    for name in ("e", "f", "g"):
        await new_edge(store, name)
    for name in ("e", "f"):
        await done(store, Command("patchStatus", inventory_path("s", name), {"phase": "online"}), actor=SYSTEM)
    job = await new_job(store, chunks=2)
    path = await place(store, job)
    stats = Stats(store, appender)
    await counted(stats, store)
    told = (await present(store, KEY)).status
    assert told["sites"] == {"s": {"busy": 1, "free": 1}}, "the third is not online"
    assert told["edges"] == {"online": 2, "pending": 1}
    assert (told["jobs"], told["chunks"]) == ({"pending": 1}, {"placed": 1, "pending": 1})
    assert told["powerReservedW"] > 0
    before = await store.head()
    await counted(stats, store)
    assert await store.head() == before, "nothing has changed"
    await report(store, path, phase="succeeded")
    await counted(stats, store)
    told = (await present(store, KEY)).status
    assert (told["sites"], told["powerReservedW"]) == ({"s": {"busy": 0, "free": 2}}, 0.0)
    assert told["chunksPerMinute"] > 0
    await done(store, Command("patchStatus", inventory_path("s", "e"), {"phase": "lost"}), actor=SYSTEM)
    await done(store, Command("patchStatus", inventory_path("s", "f"), {"phase": "lost"}), actor=SYSTEM)
    await counted(stats, store)
    assert (await present(store, KEY)).status["sites"] == {}
    capacity_w = (await present(store, KEY)).status["powerCapacityW"]
    await done(store, Command("patchStatus", inventory_path("s", "f"), {"phase": "gone"}), actor=SYSTEM)
    await counted(stats, store)
    told = (await present(store, KEY)).status
    assert told["edges"] == {"gone": 1, "lost": 1, "pending": 1}
    assert 0 < told["powerCapacityW"] < capacity_w, "what is gone is no capacity"


async def test_chunks_are_counted_by_the_phases_that_jobs_tell(store: MemoryStore, appender: Appender) -> None:
    await new_edge(store)
    stats = Stats(store, appender)
    ending, waiting = await new_job(store, "ending", chunks=3), await new_job(store, "waiting", chunks=3)
    for job in (ending, waiting):
        await report(store, await place(store, job), phase="failed")
    await counted(stats, store)
    assert (await present(store, KEY)).status["chunks"] == {"retrying": 2, "pending": 4}
    await done(store, Command("patchStatus", ending.path, {"phase": "aborted"}), actor=SYSTEM)
    await counted(stats, store)
    assert (await present(store, KEY)).status["chunks"] == {"retrying": 1, "pending": 2, "aborted": 1}


def test_a_rate_is_of_the_time_between_two_counts() -> None:
    rate = Rate()
    assert rate.of(100, 10.0) == 0.0, "nobody knows since when"
    assert rate.of(103, 40.0) == 6.0
    assert rate.of(103, 40.0) == 0.0
    assert rate.of(90, 70.0) == 0.0, "what was deleted is not counted"
    rate.since_s = 100.0
    assert rate.of(91, 130.0) == 2.0
