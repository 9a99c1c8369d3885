"""retention with all reconcilers: what nobody wants is stopped and removed, and a job goes once nothing of it is left."""

from collections.abc import AsyncIterator

import pytest_asyncio

from datamodel.command import Command
from datamodel.feed.bus import Bus
from datamodel.node import Node
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.attempts import claim_of
from datamodel.scheduling.edges import inventory_path
from datamodel.scheduling.model import MODEL
from datamodel.verify import verify
from tests.conftest import StartNats
from tests.feed import connected
from tests.graph import done, new_edge, new_job, place, present, report
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
    async with connected(server.access()) as bus, heard(bus, "e"), running_hub(database_url, server.access()):
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


async def ask(store: PostgresStore, job: Node, **change: object) -> None:
    await done(store, Command("patchSpec", job.path, change))


def epochs(attempts: list[Node]) -> list[int]:
    claims = [claim_of(attempt.path) for attempt in attempts]
    return sorted(claim.epoch for claim in claims if claim is not None)


async def test_a_suspended_job_stops_and_goes_on_where_it_is_resumed(store: PostgresStore) -> None:
    job = await new_job(store, chunks=3)
    attempts = await attempts_when(store, job, lambda found: len(found) == 3)
    await report(store, attempts[0].path, phase="succeeded")
    await ask(store, job, intent="suspend")
    await attempts_when(store, job, lambda found: [a.spec["intent"] for a in found] == ["run", "abandon", "abandon"])
    for attempt in attempts[1:]:
        await report(store, attempt.path, phase="stopped")
    rests = await node_when(store, job.path, lambda node: node.status["chunks"] == {"succeeded": 1, "retrying": 2})
    assert (rests.phase, rests.status["conditions"][0]["reason"]) == ("running", "Suspended")
    await ask(store, job, intent="run")
    again = await attempts_when(store, job, lambda found: len(found) == 5)
    assert epochs(again) == [1, 1, 1, 2, 2]
    for attempt in again:
        if attempt.phase in {"", "pending"}:
            await report(store, attempt.path, phase="succeeded")
    await node_when(store, job.path, lambda node: node.phase == "succeeded")


async def test_what_is_placed_while_its_job_is_suspended_is_stopped_too(store: PostgresStore) -> None:
    job = await new_job(store, chunks=2, requests={"cpu": 1_000})  # too much: nobody but this test places it
    await ask(store, job, intent="suspend")
    await node_when(store, job.path, lambda node: node.status.get("observedGeneration") == 2)
    small = {**job.spec["requests"], "cpu": 0.25}
    await place(store, job, 0, requests=small)
    await attempts_when(store, job, lambda found: [a.spec["intent"] for a in found] == ["abandon"])


async def test_an_aborted_job_ends_once_nothing_of_it_runs(store: PostgresStore) -> None:
    job = await new_job(store, chunks=8)  # of which four have room
    attempts = await attempts_when(store, job, lambda found: len(found) == 4)
    await ask(store, job, intent="abort")
    await attempts_when(store, job, lambda found: [a.spec["intent"] for a in found] == ["stop"] * 4)
    assert (await present(store, job.path)).phase != "aborted"
    await report(store, attempts[0].path, phase="succeeded")
    for attempt in attempts[1:]:
        await report(store, attempt.path, phase="stopped")
    ended = await node_when(store, job.path, lambda node: node.phase == "aborted")
    assert ended.status["chunks"] == {"aborted": 3, "pending": 4, "succeeded": 1}
    assert "finishedAt" in ended.status
    assert len(await attempts_of(store, job)) == 4, "nothing more was placed"


async def test_what_nothing_was_placed_of_is_aborted_at_once(store: PostgresStore) -> None:
    job = await new_job(store, requests={"cpu": 1_000})
    await ask(store, job, intent="abort")
    await node_when(store, job.path, lambda node: node.phase == "aborted")


async def test_a_job_that_has_failed_goes_on_where_it_may_fail_more_often(store: PostgresStore) -> None:
    job = await new_job(store, chunks=3, retries=0)
    first, second, third = await attempts_when(store, job, lambda found: len(found) == 3)
    await report(store, second.path, phase="succeeded")
    await report(store, first.path, phase="failed")
    await attempts_when(store, job, lambda found: found[2].spec["intent"] == "stop")
    await report(store, third.path, phase="stopped")
    await node_when(store, job.path, lambda node: node.phase == "failed")
    await ask(store, job, retries=1)
    again = [a for a in await attempts_when(store, job, lambda found: len(found) == 5) if a.phase in {"", "pending"}]
    assert epochs(again) == [2, 2], "what failed, and what was stopped because of that; what succeeded stays"
    goes_on = await node_when(store, job.path, lambda node: node.phase == "running")
    assert "finishedAt" not in goes_on.status
    for attempt in again:
        await report(store, attempt.path, phase="succeeded")
    done_job = await node_when(store, job.path, lambda node: node.phase == "succeeded")
    assert done_job.status["chunks"] == {"succeeded": 3}
