"""From a submission to the ends of its attempts: the log tells what belongs to it, and what led to what."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from datamodel.cause import causing_position, is_known
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from tests.conftest import StartNats
from tests.gateway import STEP, open_gateway
from tests.graph import JOBS
from tests.hub import attempts_of, gone, node_when, running_hub
from tests.integration.test_agent import online, running_agent
from tests.services import PrivateNats


@pytest_asyncio.fixture
async def server(nats_server: StartNats) -> PrivateNats:
    return await nats_server()


@pytest_asyncio.fixture
async def store(database_url: str, server: PrivateNats) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(database_url, MODEL) as store, running_hub(database_url, server.access()):
        yield store


async def test_all_that_a_submission_leads_to_is_found_by_its_correlation(
    store: PostgresStore, server: PrivateNats, tmp_path: Path
) -> None:
    path = f"{JOBS}/j"
    async with running_agent(server, tmp_path):
        await online(store)
        async with open_gateway(store) as gateway:
            document = {"name": "j", "chunks": 6, "steps": [STEP], "requests": {"cpu": 0.5}}
            told = {"X-Request-Id": "submit-1", "X-Correlation-Id": "order-17"}
            assert (await gateway.client.post("/v1/jobs", json=document, headers=told)).status_code == 202
            job = await node_when(store, path, lambda node: node.phase == "succeeded", timeout_s=30.0)
            attempts = {attempt.path for attempt in await attempts_of(store, job)}
            told = {"X-Request-Id": "delete-1", "X-Correlation-Id": "cleaning"}
            assert (await gateway.client.delete("/v1/jobs/default/j", headers=told)).status_code == 202
            await gone(store, path, timeout_s=30.0)
    events = await store.events(0, 100_000)
    ours = [event for event in events if event.correlation == "order-17"]
    first, second = ours[:2]
    assert (first.op, first.path, first.cause) == ("created", path, "request:submit-1")
    assert (second.op, second.path in attempts, second.cause) == ("created", True, f"event:{first.position}")
    assert len(attempts) == 6
    for attempt in attempts:
        of_it = [event for event in events if event.path == attempt]
        assert {event.correlation for event in of_it if event.op != "deleted"} == {"order-17"}
        ends = [event for event in of_it if event.op == "statusChanged"]
        assert {event.cause.rpartition("/")[0].rpartition("/")[0] for event in ends} == {"report:s/e"}
        assert of_it[-1].op == "deleted"
    of_job = [event for event in (await store.history(path)).events if event.op == "statusChanged"]
    assert of_job[-1].part["status"]["phase"] == "succeeded"
    assert {event.correlation for event in of_job} == {"order-17"}
    led = causing_position(of_job[-1].cause)
    assert led is not None
    assert events[led - 1].path in attempts
    asked = next(event for event in events if event.correlation == "cleaning")
    assert (asked.op, asked.cause) == ("deletionRequested", "request:delete-1")
    for event in events:
        assert is_known(event.cause), event
        assert (causing_position(event.cause) or 0) < event.position
