"""retention with all reconcilers: what nobody wants is stopped and removed, and a job goes once nothing of it is left."""

from collections.abc import AsyncIterator

import pytest_asyncio

from datamodel.command import Command
from datamodel.feed.bus import Bus
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.edges import inventory_path
from datamodel.scheduling.model import MODEL
from datamodel.verify import verify
from tests.conftest import StartNats
from tests.feed import connected
from tests.graph import done, new_edge, new_job, present, report
from tests.hub import attempts_of, attempts_when, gone, heard, node_when, running_hub

EDGE = inventory_path("s", "e")


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(database_url, MODEL) as store:
        yield store
        found = await verify(store)
        assert found.clean, str(found)


@pytest_asyncio.fixture(autouse=True)
async def _bus(nats_server: StartNats, store: PostgresStore, database_url: str) -> AsyncIterator[Bus]:
    await new_edge(store)
    server = await nats_server()
    async with connected(server.url()) as bus, heard(bus, "e"), running_hub(database_url, server.url()):
        await node_when(store, EDGE, lambda node: node.phase == "online")
        yield bus


async def test_a_deleted_job_stops_and_takes_its_attempts_with_it(store: PostgresStore) -> None:
    job = await new_job(store, chunks=4)
    attempts = await attempts_when(store, job, lambda found: len(found) == 4)
    await report(store, attempts[0].path, phase="succeeded")
    await report(store, attempts[1].path, phase="running")
    await done(store, Command("delete", job.path))
    await attempts_when(store, job, lambda found: [a.spec["intent"] for a in found] == ["stop"] * 3)
    assert (await present(store, job.path)).deletion_requested_at is not None
    for attempt in attempts[1:]:
        await report(store, attempt.path, phase="stopped")
    await gone(store, job.path)
    assert await attempts_of(store, job) == []
    assert not (await store.pools([EDGE]))[EDGE].used


async def test_a_name_can_be_used_again(store: PostgresStore) -> None:
    job = await new_job(store)
    await done(store, Command("delete", job.path))
    (attempt, *_) = [*await attempts_of(store, job), None]
    if attempt is not None:
        await report(store, attempt.path, phase="stopped")
    await gone(store, job.path)
    again = await new_job(store)
    assert again.uid != job.uid
    await attempts_when(store, again, lambda found: len(found) == 1)


async def test_a_job_that_failed_stops_what_still_runs_of_it(store: PostgresStore) -> None:
    job = await new_job(store, chunks=3, retries=0)
    attempts = await attempts_when(store, job, lambda found: len(found) == 3)
    await report(store, attempts[1].path, phase="running")
    await report(store, attempts[0].path, phase="failed")
    await attempts_when(store, job, lambda found: [a.spec["intent"] for a in found] == ["run", "stop", "stop"])
    for attempt in attempts[1:]:
        await report(store, attempt.path, phase="stopped")
    failed = await node_when(store, job.path, lambda node: node.phase == "failed")
    assert failed.status["chunks"] == {"failed": 1, "aborted": 2}
