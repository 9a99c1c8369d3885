"""The Redis scheduler's routes over a real store, with what its own client and tests send."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from datamodel.command import Command
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from gateway.page import LIMIT_MAX
from tests.gateway import Gateway, open_gateway
from tests.graph import JOBS, SYSTEM, done, job, memory_store, new_edge, new_job, place, present, report

RESOURCES = {"cpu_cores": 0.1, "memory_mb": 128, "gpu_count": 0}
SUCCESS: dict[str, Any] = {
    "name": "simple-success",
    "image": "alpine:latest",
    "command": ["echo", "hello world"],
    "resources": RESOURCES,
}
GPU = {**SUCCESS, "name": "gpu-job", "resources": {**RESOURCES, "gpu_count": 1, "gpu_type": "nvidia-t4"}}
"""Of `tests/e2e/conftest.py` there."""


@pytest_asyncio.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with PostgresStore(database_url, MODEL) as store, open_gateway(store) as gateway:
        yield gateway


async def submit(gateway: Gateway, definition: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = await gateway.client.post("/jobs", json={"definition": definition or SUCCESS})
    assert answer.status_code == 201, answer.text
    job: dict[str, Any] = answer.json()
    return job


async def test_a_job_is_submitted_read_and_aborted(gateway: Gateway) -> None:
    job = await submit(gateway, {**SUCCESS, "environment": {"GREETING": "hello"}})
    assert str(UUID(job["id"])) == job["id"]
    assert job["status"] == "pending"
    assert job["definition"]["image"] == "alpine:latest"
    assert job["definition"]["command"] == ["echo", "hello world"]
    assert job["definition"]["environment"] == {"GREETING": "hello"}
    assert job["definition"]["resources"] == {**RESOURCES, "gpu_type": None}
    read = await gateway.client.get(f"/jobs/{job['id']}")
    assert read.json() == job
    assert (await gateway.client.get(f"/v1/jobs/default/{job['id']}")).json()["spec"]["retries"] == 0
    aborted = await gateway.client.post(f"/jobs/{job['id']}/abort")
    assert aborted.status_code == 202
    assert aborted.json()["id"] == job["id"]
    node = await present(gateway.store, f"{JOBS}/{job['id']}")
    assert node.spec["intent"] == "abort"


async def test_gpus_are_asked_for(gateway: Gateway) -> None:
    job = await submit(gateway, GPU)
    assert job["definition"]["resources"] == GPU["resources"]
    node = await present(gateway.store, f"{JOBS}/{job['id']}")
    assert node.spec["requests"]["gpus"] == {"count": 1, "driver": "nvidia", "type": "nvidia-t4"}


async def test_a_key_makes_one_job_of_two_requests(gateway: Gateway) -> None:
    headers = {"Idempotency-Key": "k"}
    first = await gateway.client.post("/jobs", json={"definition": SUCCESS}, headers=headers)
    again = await gateway.client.post("/jobs", json={"definition": SUCCESS}, headers=headers)
    assert first.json() == again.json()
    assert (await submit(gateway))["id"] != first.json()["id"]


async def test_where_a_job_runs_is_told(gateway: Gateway) -> None:
    await new_edge(gateway.store)
    name = (await submit(gateway))["id"]
    attempt = await place(gateway.store, await present(gateway.store, f"{JOBS}/{name}"))
    await report(gateway.store, attempt, phase="running")
    job = (await gateway.client.get(f"/jobs/{name}")).json()
    assert job["assigned_executor_id"] == "s/e"


async def test_jobs_are_listed_by_status(gateway: Gateway) -> None:
    jobs = {status: (await submit(gateway))["id"] for status in ("pending", "assigned", "running", "failed")}
    patches: dict[str, dict[str, Any]] = {
        "assigned": {"phase": "pending", "chunks": {"placed": 1}},
        "running": {"phase": "running"},
        "failed": {"phase": "failed"},
    }
    for status, patch in patches.items():
        await done(gateway.store, Command("patchStatus", f"{JOBS}/{jobs[status]}", patch), actor=SYSTEM)
    for status, name in jobs.items():
        found = (await gateway.client.get("/jobs", params={"status_filter": status})).json()
        assert [(job["id"], job["status"]) for job in found["jobs"]] == [(name, status)]
        assert found["cursor"] is None
    everything = (await gateway.client.get("/jobs")).json()["jobs"]
    assert {job["id"] for job in everything} == set(jobs.values())
    assert (await gateway.client.get("/jobs", params={"status_filter": "aborted"})).json()["jobs"] == []


async def test_pages_of_jobs_follow_each_other() -> None:
    """Over the fake: a page is long."""
    store = memory_store()
    await seed(store)
    names = [f"j{number:04}" for number in range(LIMIT_MAX + 1)]
    await done(store, *(job(name) for name in names))
    async with open_gateway(store) as gateway:
        first = (await gateway.client.get("/jobs")).json()
        assert len(first["jobs"]) == LIMIT_MAX
        second = (await gateway.client.get("/jobs", params={"cursor": first["cursor"]})).json()
    assert [job["id"] for job in (*first["jobs"], *second["jobs"])] == names
    assert second["cursor"] is None


async def test_executors_are_edges(gateway: Gateway) -> None:
    for name in ("e", "lost"):
        await new_edge(gateway.store, name)
    lost = Command("patchStatus", "/inventory/sites/s/edges/lost", {"phase": "lost"})
    await done(gateway.store, lost, actor=SYSTEM)
    await place(gateway.store, await new_job(gateway.store))
    everyone = (await gateway.client.get("/executors")).json()["executors"]
    assert [one["executor_info"]["id"] for one in everyone] == ["s/e", "s/lost"]
    (healthy,) = (await gateway.client.get("/executors/healthy")).json()["executors"]
    total = {"cpu_cores": 1.0, "memory_mb": 1024, "gpu_type": None, "gpu_count": 0}
    assert healthy == {
        "executor_info": {"id": "s/e", "ip_address": None, "resources": total},
        "available_resources": {"id": "s/e", "resources": {**total, "cpu_cores": 0.75, "memory_mb": 1023}},
    }


async def test_stats_count_jobs(gateway: Gateway) -> None:
    counted = Command("patchStatus", "/config/scheduler", {"jobs": {"pending": 2, "failed": 1}})
    await done(gateway.store, counted, actor=SYSTEM)
    stats = {"pending": 2, "running": 0, "succeeded": 0, "failed": 1, "aborted": 0}
    assert (await gateway.client.get("/stats")).json() == stats


@pytest.mark.parametrize(
    ("definition", "pointer"),
    [
        ({**GPU, "resources": {**GPU["resources"], "gpu_type": "a b"}}, "/definition/resources/gpu_type"),
        ({**GPU, "resources": {**GPU["resources"], "gpu_count": 10**6}}, "/definition/resources/gpu_count"),
        ({**SUCCESS, "image": "a b"}, "/definition/image"),
        ({**SUCCESS, "environment": {"1x": "y"}}, "/definition/environment"),
        ({**SUCCESS, "resources": {**RESOURCES, "cpu_cores": 5_000}}, "/definition/resources/cpu_cores"),
        ({**SUCCESS, "resources": {**RESOURCES, "memory_mb": 2**40}}, "/definition/resources/memory_mb"),
        ({**SUCCESS, "resources": {"cpu": 0.1, "memory": 128}}, "/definition/resources/cpu_cores"),
        ({**SUCCESS, "command": ["a\x00"]}, "/definition/command"),
    ],
)
async def test_the_field_that_was_sent_is_named(gateway: Gateway, definition: dict[str, Any], pointer: str) -> None:
    before = await gateway.position()
    refused = await gateway.client.post("/jobs", json={"definition": definition})
    assert refused.status_code == 422, refused.text
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["errors"][0]["pointer"] == pointer
    assert "/spec" not in refused.text
    assert await gateway.position() == before


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [
        ("GET", "/jobs/6f6f3c1e-2b0c-4e2a-9d53-6a2a7c0f9d11", 404),
        ("GET", "/jobs/A", 404),
        ("POST", "/jobs/absent/abort", 404),
        ("POST", "/jobs/ended/abort", 409),
        ("DELETE", "/jobs/ended", 405),
        ("GET", "/jobs?status_filter=odd", 422),
        ("GET", "/jobs?limit=1", 422),
        ("GET", "/jobs?cursor=x", 422),
        ("GET", "/executors?cursor=x", 422),
    ],
)
async def test_everything_else_is_a_problem(gateway: Gateway, method: str, address: str, status: int) -> None:
    await new_job(gateway.store, "ended")
    await done(gateway.store, Command("patchStatus", f"{JOBS}/ended", {"phase": "succeeded"}), actor=SYSTEM)
    answer = await gateway.client.request(method, address)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
