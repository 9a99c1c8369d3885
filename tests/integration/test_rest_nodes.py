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
    assert attempt.json()["metadata"]["links"] == {"job": job.uid}
    assert (await gateway.client.get("/v1/inventory/sites/s/edges/e")).json()["spec"]["runtime"] == "simulated"
    assert len((await gateway.client.get("/v1/desired-config/sites/s/edges/e/attempts")).json()["items"]) == 1
    refused = await gateway.client.delete("/v1/inventory/sites/s/edges/e")
    assert refused.status_code == 405
    assert refused.headers["allow"] == "GET"


async def test_a_plane_cannot_be_deleted(gateway: Gateway) -> None:
    for fixed in ("/v1/config", "/v1/config/scheduler"):
        assert (await gateway.client.get(fixed)).status_code == 200
        assert (await gateway.client.delete(fixed)).status_code == 405


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/v1",
        "/v1/nothing",
        "/v1/jobs/default",
        "/v1/jobs/default/absent",
        "/v1/jobs/default/%00",
        "/v1/jobs/A/b",
        "/v1/jobs/",
        f"{GROUPS}/absent",
        f"{GROUPS}/%00",
        f"{GROUPS}/%ff",
        f"{GROUPS}/a%2Fb",
        f"{GROUPS}/absent/jobs",
        f"{GROUPS}/default/jobs/absent",
        "/static/../settings.py",
        "/static/%2e%2e/settings.py",
    ],
)
async def test_what_is_not_there_is_a_problem(gateway: Gateway, address: str) -> None:
    answer = await gateway.client.get(address)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == "Not Found"


async def test_a_wrong_method_says_which_are_right(gateway: Gateway) -> None:
    answer = await gateway.client.patch("/v1/jobs/default/j")
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["allow"] == "DELETE, GET"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost@evil.example"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "https://127.0.0.1:8080"},
        {"Origin": "null"},
    ],
)
async def test_web_pages_of_others_are_kept_out(gateway: Gateway, headers: dict[str, str]) -> None:
    for address in ("/v1/edges", "/graphql", "/livez", "/docs"):
        answer = await gateway.client.get(address, headers=headers)
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost"},
        {"Host": "LOCALHOST:8080"},
        {"Host": "127.0.0.1:1"},
        {"Host": "[::1]:8080"},
        {"Host": "localhost:8080", "Origin": "http://localhost:8080"},
    ],
)
async def test_programs_and_pages_of_this_machine_come_in(gateway: Gateway, headers: dict[str, str]) -> None:
    assert (await gateway.client.get("/v1/edges", headers=headers)).status_code == 200


async def test_the_openapi_document_describes_every_kind_and_resolves(gateway: Gateway) -> None:
    document = (await gateway.client.get("/openapi.json")).json()
    assert "/v1/desired-config/sites/{desiredSite}/edges/{desiredEdge}/attempts/{attempt}" in document["paths"]
    schemas = document["components"]["schemas"]
    assert set(MODEL.kinds) <= set(schemas)
    assert _references(document) <= {f"#/components/schemas/{name}" for name in schemas}


def _references(value: object) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(_references(inner) for inner in value.values()))
    return set().union(*(_references(inner) for inner in value)) if isinstance(value, list) else set()
