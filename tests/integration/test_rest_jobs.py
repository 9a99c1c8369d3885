"""The verbs of jobs over a real store."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from datamodel.command import Command
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from tests.gateway import STEP, Gateway, open_gateway
from tests.graph import JOBS, SYSTEM, done, new_edge, new_job, place, report

KEY = "Idempotency-Key"


@pytest_asyncio.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with PostgresStore(database_url, MODEL) as store, open_gateway(store) as gateway:
        yield gateway


async def submit(gateway: Gateway, **document: Any) -> dict[str, Any]:
    answer = await gateway.client.post("/v1/jobs", json={"steps": [STEP], **document})
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


async def test_a_job_is_accepted_and_read_where_location_says(gateway: Gateway) -> None:
    document = {"name": "a", "labels": {"team": "x"}, "chunks": 3, "steps": [STEP]}
    accepted = await gateway.client.post("/v1/jobs", json=document)
    assert accepted.status_code == 202
    assert accepted.headers["location"] == "/v1/jobs/default/a"
    job = (await gateway.client.get(accepted.headers["location"])).json()
    assert job["metadata"]["path"] == f"{JOBS}/a"
    assert job["metadata"]["labels"] == {"team": "x"}
    assert job["spec"]["chunks"] == 3
    assert job["status"]["phase"] == "pending"
    assert job["status"]["percentCompleted"] == 0
    assert job["status"]["chunks"]["pending"] == 3
    assert job["status"]["executions"] == []
    assert accepted.json()["metadata"] == job["metadata"]


async def test_a_job_without_a_name_gets_one(gateway: Gateway) -> None:
    first, second = await submit(gateway), await submit(gateway)
    assert first["metadata"]["name"].startswith("job-")
    assert first["metadata"]["name"] != second["metadata"]["name"]


async def test_a_key_makes_one_job_of_many_requests(gateway: Gateway) -> None:
    document, headers = {"steps": [STEP]}, {KEY: "k1"}
    first = await gateway.client.post("/v1/jobs", json=document, headers=headers)
    position = await gateway.position()
    again = await gateway.client.post("/v1/jobs", json=document, headers=headers)
    assert again.status_code == 202
    assert again.headers["location"] == first.headers["location"]
    assert await gateway.position() == position


async def test_a_key_stands_for_one_document(gateway: Gateway) -> None:
    await gateway.client.post("/v1/jobs", json={"steps": [STEP]}, headers={KEY: "k1"})
    other = await gateway.client.post("/v1/jobs", json={"steps": [STEP], "chunks": 2}, headers={KEY: "k1"})
    assert other.status_code == 422


async def test_pages_of_jobs_follow_each_other_without_gaps(gateway: Gateway) -> None:
    names = sorted(f"j{number}" for number in range(7))
    for name in names:
        await submit(gateway, name=name)
    found: list[str] = []
    query = {"limit": "3"}
    while True:
        page = (await gateway.client.get("/v1/jobs", params=query)).json()
        assert len(page["items"]) <= 3
        found += [item["metadata"]["name"] for item in page["items"]]
        if page["cursor"] is None:
            break
        query["cursor"] = page["cursor"]
    assert found == names


async def test_jobs_are_listed_by_group_and_phase(gateway: Gateway) -> None:
    await done(gateway.store, Command("create", "/config/job-groups/other"))
    await submit(gateway, name="a")
    await submit(gateway, name="b", group="other")
    await done(gateway.store, Command("patchStatus", f"{JOBS}/a", {"phase": "running"}), actor=SYSTEM)

    async def names(**query: str) -> list[str]:
        answer = await gateway.client.get("/v1/jobs", params=query)
        return [item["metadata"]["name"] for item in answer.json()["items"]]

    assert await names() == ["a", "b"]
    assert await names(group="other") == ["b"]
    assert await names(phase="pending") == ["b"]
    assert await names(phase="running", group="default") == ["a"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "?limit"),
        ("limit=1001", "?limit"),
        ("limit=x", "?limit"),
        ("cursor=x", "?cursor"),
        ("cursor=AAAA", "?cursor"),
        ("phase=odd", "?phase"),
        ("group=A", "?group"),
        ("grop=a", "?grop"),
    ],
)
async def test_a_wrong_parameter_is_named(gateway: Gateway, query: str, parameter: str) -> None:
    answer = await gateway.client.get(f"/v1/jobs?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == parameter


async def test_executions_show_every_edge_where_the_job_ran_or_runs(gateway: Gateway) -> None:
    for edge in ("e1", "e2", "e3"):
        await new_edge(gateway.store, edge)
    job = await new_job(gateway.store, chunks=3)
    failed = await place(gateway.store, job, 0, edge="e1")
    await report(gateway.store, failed, phase="failed")
    await place(gateway.store, job, 0, epoch=2, edge="e2")
    running = await place(gateway.store, job, 1, edge="e2")
    await report(gateway.store, running, phase="running", percent=50.0)
    ended = await place(gateway.store, job, 2, edge="e3")
    await report(gateway.store, ended, phase="succeeded")
    read = (await gateway.client.get("/v1/jobs/default/j")).json()
    executions = {execution.pop("edge"): execution for execution in read["status"]["executions"]}
    none = {"site": "s", "chunks": 0, "running": 0, "succeeded": 0, "failed": 0, "percent": 0.0, "heard": True}
    assert executions == {
        "e1": none,
        "e2": none | {"chunks": 2, "running": 1, "percent": 25.0},
        "e3": none | {"chunks": 1, "succeeded": 1, "percent": 100.0},
    }


async def test_deleting_takes_as_long_as_somebody_cleans_up(gateway: Gateway) -> None:
    await submit(gateway, name="a")
    going = await gateway.client.delete("/v1/jobs/default/a")
    assert going.status_code == 202
    assert "deletionRequestedAt" in going.json()["metadata"]
    await done(gateway.store, Command("finalize", f"{JOBS}/a", {"finalizer": "attempts"}), actor=SYSTEM)
    assert (await gateway.client.delete("/v1/jobs/default/a")).status_code == 404
    assert (await gateway.client.get("/v1/jobs/default/a")).status_code == 404


async def test_edges_show_what_is_free(gateway: Gateway) -> None:
    await new_edge(gateway.store, "e")
    job = await new_job(gateway.store)
    await place(gateway.store, job)
    (edge,) = (await gateway.client.get("/v1/edges")).json()["items"]
    assert edge["metadata"]["name"] == "e"
    assert edge["used"] == {"cpu": 0.25, "memoryBytes": 2**20, "powerW": 1.0}
    assert edge["free"] == {"cpu": 0.75, "memoryBytes": 2**30 - 2**20, "powerW": 9.0}
    (site,) = (await gateway.client.get("/v1/sites")).json()["items"]
    assert site["metadata"]["name"] == "s"


async def test_stats_are_the_schedulers_status(gateway: Gateway) -> None:
    counted = {"jobs": {"running": 2}, "sites": {"s": {"busy": 1}}}
    await done(gateway.store, Command("patchStatus", "/config/scheduler", counted), actor=SYSTEM)
    stats = (await gateway.client.get("/v1/stats")).json()
    assert stats["jobs"] == {"running": 2}
    assert stats["sites"] == {"s": {"busy": 1, "free": 0}}
    assert stats["chunksPerMinute"] == 0


async def test_a_dry_run_tells_of_jobs_and_writes_none(gateway: Gateway) -> None:
    before, dry = await gateway.position(), {"dryRun": "true"}
    told = await gateway.client.post("/v1/jobs", json={"name": "a", "steps": [STEP]}, params=dry)
    assert (told.status_code, told.json()["metadata"]["name"]) == (200, "a")
    assert "location" not in told.headers
    batch = {"jobs": [{"name": name, "steps": [STEP]} for name in ("a", "b")]}
    all_of_them = await gateway.client.post("/v1/jobs:batch", json=batch, params=dry)
    names = [job["metadata"]["name"] for job in all_of_them.json()["items"]]
    assert (all_of_them.status_code, names) == (200, ["a", "b"])
    refused = await gateway.client.post("/v1/jobs", json={"name": "a", "steps": []}, params=dry)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/steps")
    assert await gateway.position() == before


async def test_a_job_is_deleted_on_a_condition_and_once_for_a_key(gateway: Gateway) -> None:
    accepted = await gateway.client.post("/v1/jobs", json={"name": "a", "steps": [STEP]})
    url, before = accepted.headers["location"], await gateway.position()
    preview = await gateway.client.delete(f"{url}?preview=true")
    assert (preview.status_code, preview.json()["waiting"]) == (200, [f"{JOBS}/a"])
    for etag in ('"7777"', '"7777", "7778"'):
        refused = await gateway.client.delete(url, headers={"If-Match": etag})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (412, "If-Match")
    assert await gateway.position() == before
    for _ in range(2):
        headers = {"If-Match": f'{accepted.headers["etag"]}, "7777"', KEY: "k"}
        waiting = await gateway.client.delete(url, headers=headers)
        assert (waiting.status_code, waiting.json()["status"]["chunks"]["pending"]) == (202, 1)
        assert waiting.headers["etag"] == f'"{waiting.json()["metadata"]["version"]}"'
    assert await gateway.position() == before + 1
