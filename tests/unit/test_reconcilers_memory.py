"""What reconcilers keep in memory is bounded by what there is, and not by what has been: with a lease and without one."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from datamodel.appender import Appender
from datamodel.command import Command, Fence
from datamodel.errors import Transient
from datamodel.memory import MemoryStore
from datamodel.reads import Reads
from datamodel.scheduling.edges import inventory_path
from datamodel.seeds import seed
from reconcilers.placement import Placement
from reconcilers.progress import Progress
from reconcilers.runtime.controller import Controller, Watch
from reconcilers.runtime.metrics import Metrics
from reconcilers.runtime.shards import Shards
from tests.graph import JOBS, SYSTEM, done, job, memory_store, new_edge
from tests.waiting import until


@pytest.fixture
def store() -> MemoryStore:
    return memory_store()


@pytest_asyncio.fixture
async def appender(store: MemoryStore) -> AsyncIterator[Appender]:
    await seed(store)
    async with Appender(store) as appender:
        yield appender


async def fence(store: MemoryStore, lease: str, holder: str = "mine") -> Fence:
    return Fence(lease, (await store.acquire([lease], holder, 60.0))[lease])


async def tell(store: MemoryStore, watches: Mapping[str, Watch], after: int) -> None:
    """What happened after a position, to who watches."""
    for change in await store.changes(after, 10_000):
        if change.kind in watches:
            tuple(watches[change.kind](change))


def noted(placement: Placement) -> int:
    changed = placement._changed
    return len(changed.jobs) + len(changed.edges) + len(changed.pools) + len(changed.ended)


async def test_a_placement_that_waits_for_its_lease_notes_nothing(store: MemoryStore, appender: Appender) -> None:
    placement = Placement(store, appender, lambda: datetime.now(UTC))
    await new_edge(store, "e")
    for number in range(50):
        await done(store, job(f"j{number}"))
    await tell(store, placement.watches, 0)
    assert noted(placement) == 0


async def test_a_placement_that_lost_its_lease_forgets_its_notes_and_still_places_everything(
    store: MemoryStore, appender: Appender
) -> None:
    placement = Placement(store, appender, lambda: datetime.now(UTC))
    await new_edge(store, "e")
    await done(store, Command("patchStatus", inventory_path("s", "e"), {"phase": "online"}), actor=SYSTEM)
    mine = await fence(store, "placement/0")
    await placement.reconcile("scheduler", mine)
    await store.release(["placement/0"], "mine")
    await store.acquire(["placement/0"], "another", 60.0)

    before = (await store.head()).position
    await done(store, job("seen"))
    await tell(store, placement.watches, before)
    assert noted(placement) > 0, "it may have the lease again at any moment, and then this is all that it has to read"
    await placement.keys()  # the resync, with which every replica looks at everything
    assert noted(placement) == 0
    between = (await store.head()).position
    await done(store, job("later"))
    await tell(store, placement.watches, between)
    assert noted(placement) == 0

    await store.release(["placement/0"], "another")
    await placement.reconcile("scheduler", await fence(store, "placement/0"))
    placed = {attempt.spec["job"] for attempt in await store.list_nodes("Attempt")}
    assert placed == {f"{JOBS}/seen", f"{JOBS}/later"}


async def test_progress_forgets_jobs_that_go_before_they_begin(store: MemoryStore, appender: Appender) -> None:
    progress = Progress(store, appender, Reads(store), lambda: datetime.now(UTC))
    mine = await fence(store, "progress/0")
    for number in range(20):
        await done(store, job(f"j{number}"))
        await progress.reconcile(f"{JOBS}/j{number}", mine)
    for number in range(1, 20):
        await done(store, Command("delete", f"{JOBS}/j{number}"))
        await done(store, Command("finalize", f"{JOBS}/j{number}", {"finalizer": "attempts"}), actor=SYSTEM)
    assert await progress.keys() == [f"{JOBS}/j0"]
    assert progress._written_s.keys() == {f"{JOBS}/j0"}


class Failing:
    """A reconciler whose store is away."""

    name = "failing"
    shards = 1
    resync_s = 60.0
    watches: Mapping[str, Watch] = {}

    async def keys(self) -> list[str]:
        return []

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        raise Transient("away")


async def test_a_controller_forgets_the_failures_of_keys_that_others_have_now(store: MemoryStore) -> None:
    shards = Shards(store, ttl_s=60.0)
    controller = Controller(Failing(), shards, Metrics(), workers=1)
    await shards._round()
    working = asyncio.create_task(controller.run())
    assert controller.wake("a")
    await until(lambda: controller.backoff.failures.get("a", 0) >= 2)
    shards._held = {}
    await until(lambda: not controller.backoff.failures)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
