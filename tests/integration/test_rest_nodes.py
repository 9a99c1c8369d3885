"""The routes that follow from the declared kinds, and what every route has in common."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from tests.gateway import STEP, Gateway, open_gateway
from tests.graph import new_edge, new_job, place

GROUPS = "/v1/config/job-groups"


@pytest_asyncio.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with PostgresStore(database_url, MODEL) as store, open_gateway(store) as gateway:
        yield gateway


async def test_a_node_is_created_applied_read_and_deleted(gateway: Gateway) -> None:
    created = await gateway.client.post(GROUPS, json={"metadata": {"name": "g", "labels": {"a": "b"}}})
    assert created.status_code == 201
    assert created.headers["location"] == f"{GROUPS}/g"
    applied = await gateway.client.put(f"{GROUPS}/g", json={"spec": {"description": "d"}})
    assert applied.status_code == 200
    assert applied.json()["metadata"]["generation"] == 2
    assert applied.json()["metadata"]["labels"] == {"a": "b"}
    read = await gateway.client.get(f"{GROUPS}/g")
    assert read.json() == applied.json()
    assert (await gateway.client.delete(f"{GROUPS}/g")).status_code == 204
    assert (await gateway.client.get(f"{GROUPS}/g")).status_code == 404


async def test_applying_what_does_not_exist_creates_it(gateway: Gateway) -> None:
    document = {"metadata": {"name": "g"}, "spec": {}}
    assert (await gateway.client.put(f"{GROUPS}/g", json=document)).status_code == 201
    assert (await gateway.client.put(f"{GROUPS}/g", json=document)).status_code == 200


async def test_a_job_is_created_in_its_collection(gateway: Gateway) -> None:
    document = {"metadata": {"name": "j"}, "spec": {"steps": [STEP]}}
    created = await gateway.client.post(f"{GROUPS}/default/jobs", json=document)
    assert created.status_code == 201
    assert created.json()["status"]["phase"] == "pending"
    listed = (await gateway.client.get(f"{GROUPS}/default/jobs", params={"phase": "pending"})).json()
    assert [item["metadata"]["name"] for item in listed["items"]] == ["j"]


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({}, "/metadata/name"),
        ({"metadata": {"name": "A"}}, "/metadata/name"),
        ({"metadata": {"name": "g", "uid": "x"}}, "/metadata/uid"),
        ({"metadata": {"name": "g", "labels": {"a": 1}}}, "/metadata/labels/a"),
        ({"metadata": [], "spec": {}}, "/metadata"),
        ({"metadata": {"name": "g"}, "status": {}}, "/status"),
        ({"metadata": {"name": "g"}, "spec": {"description": 1}}, "/spec/description"),
        ({"metadata": {"name": "g"}, "spec": {"odd/x": 1}}, "/spec/odd~1x"),
    ],
)
async def test_what_is_wrong_with_a_node_is_named(gateway: Gateway, document: object, pointer: str) -> None:
    before = await gateway.position()
    answer = await gateway.client.post(GROUPS, json=document)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert await gateway.position() == before


async def test_the_other_planes_are_read_only(gateway: Gateway) -> None:
    await new_edge(gateway.store)
    job = await new_job(gateway.store)
    path = await place(gateway.store, job)
    attempt = await gateway.client.get(f"/v1{path}")
    assert attempt.json()["metadata"]["links"] == {"job": [job.uid]}
    assert (await gateway.client.get("/v1/inventory/sites/s/edges/e")).json()["spec"]["runtime"] == "simulated"
    assert len((await gateway.client.get("/v1/desired-config/sites/s/edges/e/attempts")).json()["items"]) == 1
    refused = await gateway.client.delete("/v1/inventory/sites/s")
    assert refused.status_code == 405
    assert refused.headers["allow"] == "GET, HEAD"
    held = await gateway.client.delete("/v1/inventory/sites/s/edges/e")
    assert held.status_code == 409, "what is left there is not settled"


async def test_a_plane_cannot_be_deleted(gateway: Gateway) -> None:
    for fixed in ("/v1/config", "/v1/config/scheduler"):
        assert (await gateway.client.get(fixed)).status_code == 200
        assert (await gateway.client.delete(fixed)).status_code == 405
