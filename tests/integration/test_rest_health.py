"""Health: what is missing is said, in bounded time, and what does not need it goes on."""

from collections.abc import AsyncIterator

import pytest_asyncio

from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from tests.conftest import StartNats
from tests.databases import Databases
from tests.gateway import STEP, Gateway, open_gateway
from tests.waiting import eventually


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(database_url, MODEL) as store:
        yield store


async def lacking(gateway: Gateway) -> str:
    """What `/readyz` says is missing, empty where nothing is."""
    answer = await gateway.client.get("/readyz")
    assert answer.status_code in (200, 503)
    return str(answer.json()["detail"]) if answer.status_code == 503 else ""


async def test_nats_may_go_and_come_back(store: PostgresStore, nats_server: StartNats) -> None:
    nats = await nats_server()
    async with open_gateway(store, nats.access("gateway")) as gateway:

        async def is_ready() -> bool:
            return not await lacking(gateway)

        async def lacks_nats() -> bool:
            return await lacking(gateway) == "NATS is not connected"

        await eventually(is_ready)
        await nats.kill()
        await eventually(lacks_nats)
        assert (await gateway.client.post("/v1/jobs", json={"steps": [STEP]})).status_code == 202
        await nats.start()
        await eventually(is_ready)


async def test_a_database_that_does_not_answer_is_missed(database_url: str) -> None:
    async with PostgresStore(database_url, MODEL) as store, open_gateway(store) as gateway:
        assert await lacking(gateway) == "NATS is not connected"
        await store.__aexit__()  # from now on every read fails as it does where the server is gone
        assert (await lacking(gateway)).startswith("the database does not answer")
        assert (await gateway.client.get("/livez")).status_code == 200
        refused = await gateway.client.get("/v1/jobs")
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert "pool" not in refused.text


async def test_a_database_that_is_not_migrated_is_not_ready(databases: Databases) -> None:
    async with PostgresStore(databases.postgres.url("postgres"), MODEL) as store, open_gateway(store) as gateway:
        assert (await lacking(gateway)).startswith("the database is not migrated")
        refused = await gateway.client.get("/v1/jobs")
        assert refused.status_code == 503
        assert refused.headers["content-type"] == "application/problem+json"
        assert "relation" not in refused.text
