"""Jobs in batches: all or none, with pointers to the one that is wrong."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from datamodel.command import Command
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from gateway.rest.jobs import BATCH_LIMIT, BATCH_LIMIT_BYTES
from tests.gateway import STEP, Gateway, open_gateway
from tests.graph import JOBS, done

URL = "/v1/jobs:batch"
KEY = "Idempotency-Key"


@pytest_asyncio.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with PostgresStore(database_url, MODEL) as store, open_gateway(store) as gateway:
        yield gateway


def job(**fields: Any) -> dict[str, Any]:
    return {"steps": [STEP], **fields}


async def send(gateway: Gateway, *jobs: Any, **headers: str) -> httpx.Response:
    return await gateway.client.post(URL, json={"jobs": jobs}, headers=headers)


async def refused(gateway: Gateway, status: int, pointer: str, *jobs: Any) -> dict[str, Any]:
    """The problem that a batch is answered with; nothing may have been written."""
    before = await gateway.position()
    answer = await send(gateway, *jobs)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert await gateway.position() == before
    return problem


async def test_jobs_are_accepted_in_order(gateway: Gateway) -> None:
    await done(gateway.store, Command("create", "/config/job-groups/g"))
    accepted = await send(gateway, job(name="b", chunks=3), job(name="a", group="g", labels={"x": "y"}), job())
    assert accepted.status_code == 202, accepted.text
    items = accepted.json()["items"]
    assert [item["metadata"]["path"] for item in items[:2]] == [f"{JOBS}/b", "/config/job-groups/g/jobs/a"]
    assert items[0]["status"]["chunks"]["pending"] == 3
    assert items[1]["metadata"]["labels"] == {"x": "y"}
    assert items[2]["metadata"]["name"].startswith("job-")
    read = (await gateway.client.get("/v1/jobs/default/b")).json()
    assert read["metadata"] == items[0]["metadata"]
    assert read["spec"] == items[0]["spec"]


async def test_as_many_as_the_limit_are_accepted(gateway: Gateway) -> None:
    accepted = await send(gateway, *(job(name=f"j{number}") for number in range(BATCH_LIMIT)))
    assert accepted.status_code == 202
    assert len(accepted.json()["items"]) == BATCH_LIMIT
    assert await gateway.store.count_by_phase("Job") == {"": BATCH_LIMIT}


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"steps": []}, "/jobs/1/steps"),
        ({"steps": [{"name": "run"}]}, "/jobs/1/steps/0/image"),
        (job(colour="red"), "/jobs/1/colour"),
        (job(name="A"), "/jobs/1/name"),
        (job(name=7), "/jobs/1/name"),
        (job(group=[]), "/jobs/1/group"),
        (job(labels={"a": 1}), "/jobs/1/labels/a"),
        (job(labels={"a": "\x00"}), "/jobs/1/labels/a"),
        ([], "/jobs/1"),
        ("job", "/jobs/1"),
        (None, "/jobs/1"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_written(gateway: Gateway, wrong: Any, pointer: str) -> None:
    problem = await refused(gateway, 422, pointer, job(name="a"), wrong, job(name="b"))
    assert problem["detail"].startswith(f"{pointer}: ")
    assert problem["instance"] == URL


async def test_a_name_comes_once(gateway: Gateway) -> None:
    problem = await refused(gateway, 409, "/jobs/2/name", job(name="a"), job(name="b"), job(name="a"))
    assert "already exists" in problem["detail"]
    assert (await send(gateway, job(name="a"))).status_code == 202
    await refused(gateway, 409, "/jobs/1/name", job(name="b"), job(name="a"))


async def test_a_group_that_is_missing_or_going_is_the_reason_that_is_told(gateway: Gateway) -> None:
    problem = await refused(gateway, 404, "/jobs/1/group", job(name="a"), job(group="nowhere"), job(name="b"))
    assert "nowhere" in problem["detail"]
    await done(gateway.store, Command("create", "/config/job-groups/g"))
    assert (await send(gateway, job(group="g", name="j"))).status_code == 202
    await done(gateway.store, Command("delete", "/config/job-groups/g"))
    problem = await refused(gateway, 409, "/jobs/1", job(name="a"), job(group="g"))
    assert "is being deleted" in problem["detail"]


async def test_a_key_makes_one_batch_of_many_requests(gateway: Gateway) -> None:
    batch = [job(), job(name="a")]
    first = await send(gateway, *batch, **{KEY: "k"})
    position = await gateway.position()
    again = await send(gateway, *batch, **{KEY: "k"})
    assert again.status_code == 202
    assert again.json() == first.json()
    assert await gateway.position() == position
    other = await send(gateway, job(), job(name="b"), **{KEY: "k"})
    assert other.status_code == 422
    assert other.json()["errors"][0]["pointer"] == "Idempotency-Key"
    long = await send(gateway, job(), **{KEY: "k" * 256})
    assert long.status_code == 422
    assert long.json()["errors"][0]["pointer"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("batch", "pointer"),
    [
        ({}, "/jobs"),
        ({"jobs": []}, "/jobs"),
        ({"jobs": {}}, "/jobs"),
        ({"jobs": None}, "/jobs"),
        ({"jobs": [job()] * (BATCH_LIMIT + 1)}, "/jobs"),
        ({"jobs": [job()], "odd/x": 1}, "/odd~1x"),
        (job(), "/steps"),
    ],
)
async def test_a_batch_is_a_list_of_so_many_jobs(gateway: Gateway, batch: Any, pointer: str) -> None:
    before = await gateway.position()
    answer = await gateway.client.post(URL, json=batch)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert await gateway.position() == before


async def test_a_batch_may_be_larger_than_a_job_but_not_endless(gateway: Gateway) -> None:
    step = {**STEP, "script": "x" * 60_000}
    assert (await send(gateway, *(job(steps=[step]) for _ in range(40)))).status_code == 202
    position = await gateway.position()
    body = b'{"jobs":[' + b" " * BATCH_LIMIT_BYTES + b"]}"
    answer = await gateway.client.post(URL, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    twins = b'{"jobs": [{"name":"a","name":"b"}]}'
    answer = await gateway.client.post(URL, content=twins, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert await gateway.position() == position


async def test_only_posting_is_possible(gateway: Gateway) -> None:
    answer = await gateway.client.get(URL)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    document = (await gateway.client.get("/openapi.json")).json()
    schema = document["components"]["schemas"]["JobBatch"]
    assert schema["properties"]["jobs"]["maxItems"] == BATCH_LIMIT
    assert list(document["paths"][URL]) == ["post"]
