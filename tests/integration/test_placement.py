"""placement and progress with all reconcilers: chunks go where there is room, again where they failed, and are counted once."""

from collections.abc import AsyncIterator

import pytest_asyncio

from datamodel.command import Command
from datamodel.feed.bus import Bus
from datamodel.node import Node
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.edges import inventory_path
from datamodel.scheduling.model import MODEL
from datamodel.scheduling.service import config_path
from datamodel.scheduling.waiting import told_of
from datamodel.verify import verify
from tests.conftest import StartNats
from tests.feed import connected
from tests.graph import done, new_edge, new_job, present, report
from tests.hub import attempts_of, attempts_when, heard, node_when, running_hub
from tests.services import PrivateNats


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(database_url, MODEL) as store:
        yield store
        found = await verify(store)
        assert found.clean, str(found)


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


async def test_a_job_is_split_as_there_is_room_and_never_beyond(store: PostgresStore, bus: Bus) -> None:
    job = await new_job(store, chunks=30)
    first = await attempts_when(store, job, lambda found: len(found) == 8)
    assert sorted(attempt.spec["index"] for attempt in first) == list(range(8))
    pools = await store.pools([inventory_path("s", edge) for edge in ("e", "f")])
    assert [pool.used["cpu"] for pool in pools.values()] == [1000, 1000]
    assert (await store.totals([job.uid]))[job.uid].entries == 8, "what was never placed is a number, not rows"

    ended: set[str] = set()
    while len(ended) < 30:
        running = await attempts_when(store, job, lambda found: any(a.path not in ended for a in found))
        for attempt in running:
            if attempt.path not in ended:
                ended.add(attempt.path)
                await report(store, attempt.path, phase="succeeded", outputs={"n": 1})
    finished = await node_when(store, job.path, lambda node: node.phase == "succeeded")
    assert finished.status["percentCompleted"] == 100.0
    assert finished.status["chunks"] == {"succeeded": 30}
    assert len(await attempts_of(store, job)) == 30


async def test_a_job_that_leaves_it_open_is_split_by_the_room_that_there_is(store: PostgresStore, bus: Bus) -> None:
    wide = await new_job(store, "wide", maxChunks=30, workWs=800.0, outputs={"n": "sum"})
    first = await attempts_when(store, wide, lambda found: len(found) == 8)
    assert {(attempt.spec["count"], attempt.spec["workWs"]) for attempt in first} == {(8, 100.0)}
    late = await new_job(store, "late", maxChunks=30, workWs=800.0)
    await node_when(store, late.path, lambda node: bool(node.status))
    assert "split" not in (await present(store, late.path)).status, "it is one row until there is room"
    for attempt in first:
        await report(store, attempt.path, phase="succeeded", outputs={"n": 1})
    finished = await node_when(store, wide.path, lambda node: node.phase == "succeeded")
    assert (finished.status["split"], finished.status["outputs"]) == ({"chunks": 8}, {"n": 8})
    placed = await attempts_when(store, late, lambda found: len(found) > 0)
    chosen = (await present(store, late.path)).status["split"]["chunks"]
    assert 1 <= chosen <= 8
    assert {attempt.spec["count"] for attempt in placed} == {chosen}


async def test_an_array_runs_so_many_at_a_time(store: PostgresStore, bus: Bus) -> None:
    job = await new_job(store, array="7,10-30:10%2")
    seen: dict[int, int] = {}
    while len(seen) < 4:
        running = await attempts_when(store, job, lambda found: len(found) > len(seen))
        unseen = [one for one in running if one.spec["index"] not in seen]
        assert len(unseen) <= 2
        for attempt in unseen:
            seen[attempt.spec["index"]] = attempt.spec["arrayIndex"]
            await report(store, attempt.path, phase="succeeded")
    assert seen == {0: 7, 1: 10, 2: 20, 3: 30}
    await node_when(store, job.path, lambda node: node.phase == "succeeded")


async def test_outputs_are_reduced(store: PostgresStore, bus: Bus) -> None:
    job = await new_job(store, chunks=3, outputs={"n": "sum", "all": "collect"})
    for attempt in await attempts_when(store, job, lambda found: len(found) == 3):
        await report(store, attempt.path, phase="succeeded", outputs={"n": 2, "all": attempt.spec["index"]})
    finished = await node_when(store, job.path, lambda node: node.phase == "succeeded")
    assert finished.status["outputs"] == {"n": 6, "all": [0, 1, 2]}


async def test_a_failed_chunk_is_tried_again_as_often_as_the_job_allows(store: PostgresStore, bus: Bus) -> None:
    job = await new_job(store, chunks=1, retries=2)
    for epoch in (1, 2, 3):
        *_, last = await attempts_when(store, job, lambda found: len(found) == epoch)  # noqa: B023 - awaited here
        await report(store, last.path, phase="running")
        await report(store, last.path, phase="failed", reason="NonZeroExit")
    failed = await node_when(store, job.path, lambda node: node.phase == "failed")
    assert failed.status["chunks"] == {"failed": 1}
    assert len(await attempts_of(store, job)) == 3


async def test_an_interruption_costs_no_retry(store: PostgresStore, bus: Bus) -> None:
    job = await new_job(store, chunks=1, retries=0)
    for epoch in (1, 2, 3):
        *_, last = await attempts_when(store, job, lambda found: len(found) == epoch)  # noqa: B023 - awaited here
        await report(store, last.path, phase="interrupted")
    *_, last = await attempts_when(store, job, lambda found: len(found) == 4)
    await report(store, last.path, phase="succeeded")
    await node_when(store, job.path, lambda node: node.phase == "succeeded")


async def test_a_job_that_fits_nowhere_keeps_nobody_waiting(store: PostgresStore, bus: Bus) -> None:
    big = await new_job(store, "big", requests={"cpu": 64.0, "memoryBytes": 1, "powerW": 1.0})
    small = await new_job(store, "small")
    await attempts_when(store, small, lambda found: len(found) == 1)
    waiting = await node_when(store, big.path, lambda node: bool(node.status))
    assert (waiting.phase, waiting.status["conditions"][0]["reason"]) == ("pending", "Waiting")


async def test_a_job_that_waits_says_why_until_it_is_placed(store: PostgresStore, bus: Bus) -> None:
    first = await new_job(store, "first", chunks=8)
    placed = await attempts_when(store, first, lambda found: len(found) == 8)
    assert all(attempt.spec["decision"]["edges"] == 2 for attempt in placed)
    waiting = await new_job(store, "waiting")
    told = await node_when(store, waiting.path, lambda node: condition(node) is not None)
    assert condition(told) == ("NoRoom", "of 2 edges, 2 have too little cpu left")
    await ask_of_edge(store, "f", "cordon", "cordoned")
    await node_when(store, waiting.path, lambda node: condition(node) == ("NoRoom", CORDONED), timeout_s=30.0)
    await report(store, next(attempt.path for attempt in placed if "/edges/e/" in attempt.path), phase="succeeded")
    await attempts_when(store, waiting, lambda found: len(found) == 1)
    after = await node_when(store, waiting.path, lambda node: condition(node) is None, timeout_s=30.0)
    assert after.status["conditions"][0]["reason"] == "Placed"


CORDONED = "of 2 edges, 1 is cordoned, 1 has too little cpu left"


def condition(job: Node) -> tuple[str, str] | None:
    """What it is told of why it waits."""
    told = told_of(job.status.get("conditions", ()))
    return (told["reason"], told["message"]) if told is not None else None


async def ask_of_edge(store: PostgresStore, name: str, intent: str, phase: str) -> None:
    """Until it is as it is asked to be."""
    path = config_path("s", name)
    await done(store, Command("apply", "/config/sites/s"), Command("apply", path, {"intent": intent}))
    await node_when(store, path, lambda node: node.phase == phase)


async def test_a_cordoned_edge_gets_nothing_new(store: PostgresStore, bus: Bus) -> None:
    await ask_of_edge(store, "e", "cordon", "cordoned")
    before = await new_job(store, "before")  # a job later in the log: what it sees has seen the cordon
    await attempts_when(store, before, lambda found: len(found) == 1)
    job = await new_job(store, chunks=4)
    attempts = await attempts_when(store, job, lambda found: len(found) == 3)
    assert {attempt.path.split("/")[5] for attempt in attempts} == {"f"}
    await ask_of_edge(store, "e", "use", "open")
    await attempts_when(store, job, lambda found: len(found) == 4)


async def test_what_runs_on_a_drained_edge_goes_elsewhere_at_no_cost_of_a_retry(store: PostgresStore, bus: Bus) -> None:
    await ask_of_edge(store, "f", "cordon", "cordoned")
    job = await new_job(store, chunks=2, retries=0)
    for attempt in await attempts_when(store, job, lambda found: len(found) == 2):
        await report(store, attempt.path, phase="running")
    await ask_of_edge(store, "f", "use", "open")
    await ask_of_edge(store, "e", "drain", "draining")
    found = await attempts_when(store, job, lambda found: len(found) == 4)
    old = [attempt for attempt in found if "/edges/e/" in attempt.path]
    assert {attempt.spec["intent"] for attempt in old} == {"abandon"}
    assert len(old) == 2
    for attempt in found:
        await report(store, attempt.path, phase="stopped" if attempt in old else "succeeded")
    await node_when(store, job.path, lambda node: node.phase == "succeeded")
    await node_when(store, config_path("s", "e"), lambda node: node.phase == "drained")


async def test_a_feed_that_is_lost_in_the_middle_stops_nothing(
    store: PostgresStore, bus: Bus, server: PrivateNats
) -> None:
    job = await new_job(store, chunks=12)
    first = await attempts_when(store, job, lambda found: len(found) == 8)
    await server.kill()
    server.wipe()
    for attempt in first:
        await report(store, attempt.path, phase="succeeded")
    await server.start()
    second = await attempts_when(store, job, lambda found: len(found) == 12, timeout_s=30.0)
    for attempt in second[8:]:
        await report(store, attempt.path, phase="succeeded")
    await node_when(store, job.path, lambda node: node.phase == "succeeded")
    assert (await present(store, job.path)).status["chunks"] == {"succeeded": 12}
