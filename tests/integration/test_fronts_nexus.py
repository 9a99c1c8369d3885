"""Nexus' routes over a real store."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import pytest
import pytest_asyncio

from datamodel.command import Command
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from tests.gateway import STEP, Gateway, open_gateway
from tests.graph import SYSTEM, done, new_edge, place, present, report

JOB = {"jobId": 1, "powerNeeded": 120, "creationTime": 1_731_500_000}
REQUESTS = "/v1alpha1/job-groups/group-0/job-requests"


@pytest_asyncio.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with PostgresStore(database_url, MODEL) as store, open_gateway(store) as gateway:
        yield gateway


async def put(gateway: Gateway, name: str = "job-1", **fields: Any) -> str:
    answer = await gateway.client.put(f"{REQUESTS}/{name}", json={**JOB, **fields})
    assert answer.status_code == 200, answer.text
    message: str = answer.json()["message"]
    return message


async def get(gateway: Gateway, address: str) -> Any:
    answer = await gateway.client.get(address)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_request_is_made_read_changed_and_deleted(gateway: Gateway) -> None:
    assert await put(gateway) == "job-1"
    assert await get(gateway, f"{REQUESTS}/job-1") == {
        "spec": JOB,
        "status": {"state": {"percentCompleted": 0, "startTime": 0, "endTime": 0, "execution": {}}},
    }
    assert (await get(gateway, "/v1/jobs/group-0/job-1"))["spec"]["workWs"] == 120
    position = await gateway.position()
    assert await put(gateway) == "Updated successfully"
    assert await gateway.position() == position
    assert await put(gateway, powerNeeded=60, jobId=2) == "Updated successfully"
    (named,) = await get(gateway, REQUESTS)
    assert named["name"] == "job-1"
    assert named["spec"] == {**JOB, "powerNeeded": 60, "jobId": 2}
    deleted = await gateway.client.delete(f"{REQUESTS}/job-1")
    assert deleted.status_code == 200
    assert (await gateway.client.delete(f"{REQUESTS}/job-2")).status_code == 404


async def test_a_group_is_made_with_its_first_job_and_left_alone_then(gateway: Gateway) -> None:
    group = "/v1/config/job-groups/group-0"
    made = {"metadata": {"labels": {"team": "red"}}, "spec": {"description": "mine"}}
    assert (await gateway.client.put(group, json=made)).status_code == 201
    await put(gateway)
    assert (await get(gateway, group))["spec"] == {"description": "mine"}
    other = "/v1alpha1/job-groups/group-1/job-requests/job-1"
    answers = await asyncio.gather(*(gateway.client.put(other, json=JOB) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum(answer.json()["message"] == "job-1" for answer in answers) == 1


async def test_nothing_of_a_refused_request_is_written(gateway: Gateway) -> None:
    before = await gateway.position()
    refused = await gateway.client.put(f"{REQUESTS}/job-1", json={**JOB, "powerNeeded": -1})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/powerNeeded"
    assert await gateway.position() == before


async def test_a_job_that_is_there_can_be_left_alone(gateway: Gateway) -> None:
    await put(gateway)
    address = f"{REQUESTS}/job-1?update_if_exists=false"
    assert (await gateway.client.put(address, json={**JOB, "powerNeeded": 1})).status_code == 409
    assert (await get(gateway, f"{REQUESTS}/job-1"))["spec"] == JOB


async def test_a_job_of_another_kind_is_not_made_one_of_these(gateway: Gateway) -> None:
    await put(gateway)
    other = {"name": "other", "group": "group-0", "steps": [STEP]}
    assert (await gateway.client.post("/v1/jobs", json=other)).status_code == 202
    answer = await gateway.client.put(f"{REQUESTS}/other", json=JOB)
    assert answer.status_code == 422
    assert (await get(gateway, "/v1/jobs/group-0/other"))["spec"]["steps"][0]["name"] == STEP["name"]


async def test_sites_edges_and_their_jobs(gateway: Gateway) -> None:
    await new_edge(gateway.store)
    await put(gateway)
    job = await present(gateway.store, "/config/job-groups/group-0/jobs/job-1")
    attempt = await place(gateway.store, job, workWs=120.0)
    await report(gateway.store, attempt, phase="running", percent=41.5, startedAt="2026-11-02T10:00:00Z")
    bare: dict[str, Any] = {"spec": {}, "status": {}}
    power = {"totalPowerAvailable": 10, "freePowerAvailable": 9}
    edge = {"spec": {}, "status": {"state": {"powerInfo": power}}}
    for address, name, shown in (
        ("/v1alpha1/sites", "s", bare),
        ("/v1alpha1/sites/s/edges", "e", edge),
        ("/v1alpha1/info/sites", "s", bare),
        ("/v1alpha1/info/sites/s/edge", "e", bare),
    ):
        assert await get(gateway, address) == [{"name": name, **shown}]
        assert await get(gateway, f"{address}/{name}") == shown
    for word in ("sites", "site"):
        jobs = f"/v1alpha1/info/{word}/s/edge/e/jobs"
        (running,) = await get(gateway, jobs)
        assert running.pop("name") == attempt.rpartition("/")[2]
        assert running == await get(gateway, f"{jobs}/{attempt.rpartition('/')[2]}")
        assert running["spec"] == {"requestorJob": "job-1", "requestorJobGroup": "group-0", "powerNeeded": 120}
        assert running["status"]["state"]["progress"] == 41
    state = (await get(gateway, f"{REQUESTS}/job-1"))["status"]["state"]
    assert state["execution"] == {"s/e": {"powerRequested": 120, "progress": 41}}


async def test_the_scheduler_has_counters(gateway: Gateway) -> None:
    status = {"jobs": {"pending": 2}, "chunks": {"placed": 1}, "sites": {"s": {"busy": 1, "free": 1}}}
    await done(gateway.store, Command("patchStatus", "/config/scheduler", status), actor=SYSTEM)
    assert await get(gateway, "/v1alpha1/schedular") == {
        "spec": {},
        "status": {
            "state": {
                "totalJobsExecuted": {"totalJobsProcessed": 0},
                "jobsQueued": 2,
                "jobsRunning": 1,
                "busyEdges": 1,
                "freeEdges": 1,
                "jobRate1Min": 0,
                "busyEdgesPerSite": {"s": 1},
            }
        },
    }


async def test_pages_follow_each_other(gateway: Gateway) -> None:
    for number in range(5):
        await put(gateway, f"job-{number}")
    found: list[str] = []
    query = "?limit=2"
    while query:
        answer = await gateway.client.get(f"{REQUESTS}{query}")
        assert len(answer.json()) <= 2
        found += [job["name"] for job in answer.json()]
        query = answer.headers.get("link", "").removeprefix("<").removesuffix('>; rel="next"')
        assert not query or set(parse_qs(query[1:])) == {"limit", "continue"}
    assert found == [f"job-{number}" for number in range(5)]


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [
        ("GET", f"{REQUESTS}/absent", 404),
        ("GET", "/v1alpha1/job-groups/absent/job-requests", 404),
        ("GET", "/v1alpha1/job-groups/A/job-requests", 404),
        ("PUT", f"{REQUESTS}/A", 404),
        ("POST", REQUESTS, 405),
        ("PATCH", f"{REQUESTS}/job-1", 405),
        ("PUT", "/v1alpha1/sites/s", 405),
        ("DELETE", "/v1alpha1/sites/s/edges/e", 405),
        ("PUT", "/v1alpha1/schedular", 405),
        ("GET", "/v1alpha1/sites/s/edges", 404),
        ("GET", "/v1alpha1/sites?limit=0", 422),
        ("GET", "/v1alpha1/sites?continue=x", 422),
        ("GET", "/v1alpha1/sites?other=x", 422),
        ("PUT", f"{REQUESTS}/job-1?update_if_exists=maybe", 422),
    ],
)
async def test_everything_else_is_a_problem(gateway: Gateway, method: str, address: str, status: int) -> None:
    answer = await gateway.client.request(method, address, json=JOB if method == "PUT" else None)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    if status == 422:
        assert answer.json()["errors"][0]["pointer"] == f"?{address.partition('?')[2].partition('=')[0]}"
