"""What jobs, groups, sites and the Scheduler say of placement, through all reconcilers; and several placers at a time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from datamodel.appender import Appender
from datamodel.command import Command, Fence
from datamodel.errors import TendrilError
from datamodel.feed.bus import Bus
from datamodel.memory import MemoryStore
from datamodel.node import Node
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.edges import desired_path, inventory_path, place_of
from datamodel.scheduling.model import MODEL
from datamodel.scheduling.service import config_path
from datamodel.seeds import seed
from datamodel.verify import verify
from reconcilers.placement import Placement
from tests.conftest import StartNats
from tests.feed import connected
from tests.graph import REQUESTS, SYSTEM, done, job, memory_store, new_edge, new_job, report
from tests.hub import attempts_of, attempts_when, heard, node_when, running_hub
from tests.services import PrivateNats

GROUP = "/config/job-groups/default"
SCHEDULER = "/config/scheduler"


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(database_url, MODEL) as store:
        yield store
        found = await verify(store)
        assert found.clean, str(found)


@pytest_asyncio.fixture
async def memory() -> MemoryStore:
    store = memory_store()
    await seed(store)
    return store


@pytest_asyncio.fixture
async def server(nats_server: StartNats) -> PrivateNats:
    return await nats_server()


@pytest_asyncio.fixture
async def bus(server: PrivateNats, store: PostgresStore, database_url: str) -> AsyncIterator[Bus]:
    """Two edges of four places each, heard from, and the reconcilers."""
    await new_edge(store, "e")
    await new_edge(store, "f")
    async with connected(server.access()) as bus, heard(bus, "e", "f"), running_hub(database_url, server.access()):
        for edge in ("e", "f"):
            await node_when(store, inventory_path("s", edge), lambda node: node.phase == "online")
        yield bus


def edges_of(attempts: list[Node]) -> Counter[str]:
    return Counter(place_of(attempt.path)[1] for attempt in attempts)


@pytest.mark.usefixtures("bus")
async def test_chunks_go_where_their_rules_say(store: PostgresStore) -> None:
    await done(
        store, Command("apply", "/config/sites/s"), Command("create", config_path("s", "f"), labels={"disk": "ssd"})
    )
    bound = await new_job(store, "bound", chunks=2, placement={"required": "disk=ssd"})
    assert edges_of(await attempts_when(store, bound, lambda found: len(found) == 2)) == {"f": 2}
    nowhere = await new_job(store, "nowhere", placement={"required": "zone=east"})
    apart = await new_job(store, "apart", chunks=3, placement={"arrangement": {"chunks": "apart"}})
    placed = await attempts_when(store, apart, lambda found: len(found) == 2)
    assert edges_of(placed) == {"e": 1, "f": 1}
    await report(store, placed[0].path, phase="succeeded")
    assert len(await attempts_when(store, apart, lambda found: len(found) == 3)) == 3
    assert await attempts_of(store, nowhere) == []
    await done(store, Command("apply", "/config/sites/s", labels={"zone": "east"}))
    assert len(await attempts_when(store, nowhere, lambda found: len(found) == 1)) == 1, (
        "labels of a site are its edges'"
    )


@pytest.mark.usefixtures("bus")
async def test_a_group_has_what_it_may_have(store: PostgresStore) -> None:
    await done(store, Command("patchSpec", GROUP, {"quota": {"cpu": 0.5}, "sites": ["elsewhere"]}))
    one = await new_job(store, chunks=9)
    await done(store, Command("create", "/config/job-groups/other"))
    await done(store, Command("create", "/config/job-groups/other/jobs/j", job().body))
    await node_when(
        store, "/config/job-groups/other/jobs/j", lambda node: bool(node.status.get("chunks", {}).get("placed"))
    )
    assert await attempts_of(store, one) == [], "it goes to no site that there is"
    await done(store, Command("patchSpec", GROUP, {"sites": None}))
    placed = await attempts_when(store, one, lambda found: len(found) == 2)
    await done(store, Command("patchSpec", GROUP, {"quota": {"cpu": 0.75}}))
    await attempts_when(store, one, lambda found: len(found) == 3)
    await done(store, Command("patchSpec", GROUP, {"paused": True}))
    await report(store, placed[0].path, phase="succeeded")
    await done(store, Command("create", "/config/job-groups/other/jobs/k", job().body))
    await node_when(
        store, "/config/job-groups/other/jobs/k", lambda node: bool(node.status.get("chunks", {}).get("placed"))
    )
    assert len(await attempts_of(store, one)) == 3, "it is paused"
    await done(store, Command("patchSpec", GROUP, {"paused": None}))
    await attempts_when(store, one, lambda found: len(found) == 4)


@pytest.mark.usefixtures("bus")
async def test_so_many_chunks_at_a_time_and_a_gang_only_whole(store: PostgresStore) -> None:
    narrow = await new_job(store, "narrow", chunks=5, maxParallel=2)
    placed = await attempts_when(store, narrow, lambda found: len(found) == 2)
    gang = await new_job(store, "gang", chunks=7, allOrNothing=True)
    little = await new_job(store, "little")
    await attempts_when(store, little, lambda found: len(found) == 1)
    assert await attempts_of(store, gang) == [], "there is room for five of it"
    await report(store, placed[0].path, phase="succeeded")
    await attempts_when(store, narrow, lambda found: len(found) == 3)
    await done(store, Command("patchSpec", narrow.path, {"intent": "abort"}))
    for job_ in (narrow, little):
        for attempt in await attempts_of(store, job_):
            if attempt.phase != "succeeded":
                await report(store, attempt.path, phase="succeeded")
    whole = await attempts_when(store, gang, lambda found: len(found) == 7)
    positions = sorted(attempt.created_version for attempt in whole)
    assert positions == list(range(positions[0], positions[0] + 7)), "in one transaction"


@pytest.mark.usefixtures("bus")
async def test_the_scheduler_is_told_otherwise_while_it_runs(store: PostgresStore) -> None:
    packed = await new_job(store, "packed", chunks=2)
    assert list(edges_of(await attempts_when(store, packed, lambda found: len(found) == 2)).values()) == [2], "best fit"
    await done(store, Command("patchSpec", SCHEDULER, {"policy": "spread", "paused": True}))
    spread = await new_job(store, "spread", chunks=6)
    await node_when(store, spread.path, lambda node: node.status.get("chunks", {}).get("pending") == 6)
    await done(store, Command("patchSpec", SCHEDULER, {"paused": False}))
    placed = edges_of(await attempts_when(store, spread, lambda found: len(found) == 6))
    assert sorted(placed.values()) == [2, 4], "both have the same room after"


@pytest.mark.usefixtures("bus")
async def test_who_is_more_urgent_goes_first(store: PostgresStore) -> None:
    await done(store, Command("patchSpec", SCHEDULER, {"paused": True}))
    await new_job(store, "first", chunks=8, priority=10)
    await new_job(store, "second", chunks=8, priority=90)
    await done(store, Command("patchSpec", SCHEDULER, {"paused": False}))
    urgent = await attempts_when(
        store, await node_when(store, f"{GROUP}/jobs/second", bool), lambda found: len(found) == 8
    )
    assert len(urgent) == 8


@pytest.mark.usefixtures("bus")
async def test_a_large_chunk_has_its_turn_beside_ever_new_small_ones(store: PostgresStore) -> None:
    await done(store, Command("patchSpec", SCHEDULER, {"holdAfterS": 1}))
    small = await new_job(store, "small", chunks=60)
    await attempts_when(store, small, lambda found: len(found) == 8)
    large = await new_job(store, "large", requests={**REQUESTS, "cpu": 4 * REQUESTS["cpu"]}, priority=60)
    ended = 0
    async with asyncio.timeout(40):
        while not await attempts_of(store, large):
            running = [attempt for attempt in await attempts_of(store, small) if attempt.phase != "succeeded"]
            assert running, "it would have come last"
            await report(store, running[0].path, phase="succeeded")
            ended += 1
            await asyncio.sleep(0.25)  # so that what ends is always placed anew before the next one ends
    assert ended < 40
    (placed,) = await attempts_of(store, large)
    beside = [attempt for attempt in await attempts_of(store, small) if attempt.phase != "succeeded"]
    assert edges_of(beside)[place_of(placed.path)[1]] == 0


@pytest.mark.usefixtures("bus")
async def test_what_matters_less_is_stopped_where_the_scheduler_says_so(store: PostgresStore) -> None:
    low = await new_job(store, "low", chunks=8, priority=10)
    await attempts_when(store, low, lambda found: len(found) == 8)
    urgent = await new_job(store, "urgent", chunks=2, priority=90)
    await done(store, Command("patchSpec", SCHEDULER, {"preemption": {"margin": 50, "afterS": 1}}))
    running = await attempts_when(
        store, low, lambda found: sum(attempt.spec["intent"] == "abandon" for attempt in found) == 2
    )
    assert await attempts_of(store, urgent) == [], "not before they have ended"
    for attempt in running:
        if attempt.spec["intent"] == "abandon":
            await report(store, attempt.path, phase="stopped")
    await attempts_when(store, urgent, lambda found: len(found) == 2)
    for attempt in await attempts_of(store, urgent):
        await report(store, attempt.path, phase="succeeded")
    again = await attempts_when(store, low, lambda found: len(found) == 10)
    assert sorted(attempt.path.rpartition("-")[2] for attempt in again) == ["1"] * 8 + ["2"] * 2
    for attempt in again:
        if attempt.spec["intent"] == "run":
            await report(store, attempt.path, phase="succeeded")
    ended = await node_when(store, low.path, lambda node: node.phase == "succeeded")
    assert "failed" not in ended.status["chunks"]


async def test_any_number_of_placers_may_race(store: PostgresStore) -> None:
    """Each goes by what it has read, all at once, each time from the same line: nothing is reserved twice, and no chunk has two
    attempts."""
    await race(store)


async def test_so_they_may_over_the_memory(memory: MemoryStore) -> None:
    await race(memory)


async def race(store: MemoryStore | PostgresStore) -> None:
    for name in "efgh":
        await new_edge(store, name)
        await done(store, Command("patchStatus", inventory_path("s", name), {"phase": "online"}), actor=SYSTEM)
    jobs = [await new_job(store, f"j{number}", chunks=3) for number in range(8)]
    async with Appender(store) as first, Appender(store) as second, Appender(store) as third:
        placers = [
            (Placement(store, appender, lambda: datetime.now(UTC)), f"placement/{number}")
            for number, appender in enumerate((first, second, third))
        ]
        for _ in range(6):
            line = asyncio.Barrier(len(placers))
            await asyncio.gather(*(_place(store, placement, lease, line) for placement, lease in placers))
    attempts = [attempt for one in jobs for attempt in await attempts_of(store, one)]
    assert len(attempts) == 16, "four on each edge, and no place is left"
    assert set(edges_of(attempts).values()) == {4}
    assert len({(attempt.spec["job"], attempt.spec["index"]) for attempt in attempts}) == 16
    for name in "efgh":
        pool = (await store.pools([inventory_path("s", name)]))[inventory_path("s", name)]
        assert pool.used["cpu"] == 4 * REQUESTS["cpu"] * 1_000 == pool.capacity["cpu"]
        assert desired_path("s", name) in {attempt.path.rpartition("/attempts/")[0] for attempt in attempts}


async def _place(store: MemoryStore | PostgresStore, placement: Placement, lease: str, line: asyncio.Barrier) -> None:
    fence = Fence(lease, (await store.acquire([lease], lease, 60.0))[lease])
    await placement.keys()
    await line.wait()
    try:
        await placement.reconcile("scheduler", fence)
    except TendrilError as error:
        raise AssertionError("losing a race is no error") from error
