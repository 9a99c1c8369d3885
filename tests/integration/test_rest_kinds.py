"""The kinds as REST tells of them, and the nodes of one wherever they are."""

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from datamodel.command import Command
from datamodel.seeds import seed
from tests import garden
from tests.gateway import Gateway, open_gateway
from tests.graph import done, job, memory_store, new_edge


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[Gateway]:
    store = memory_store()
    await seed(store)
    async with open_gateway(store) as gateway:
        yield gateway


async def kinds(gateway: Gateway) -> dict[str, dict[str, Any]]:
    return {item["kind"]: item for item in (await gateway.client.get("/v1/kinds")).json()["items"]}


async def test_kinds_say_how_they_are_called_and_where_they_are(gateway: Gateway) -> None:
    found = await kinds(gateway)
    plurals = {name: kind["plural"] for name, kind in found.items()}
    assert len(set(plurals.values())) == len(plurals)
    assert (plurals["Edge"], plurals["DesiredEdge"], plurals["JobGroup"]) == ("edges", "desired-edges", "job-groups")
    assert found["DesiredEdge"]["path"] == "/desired-config/sites/{desired-site}/edges/{desired-edge}"
    job_kind = found["Job"]
    assert job_kind["path"] == "/config/job-groups/{job-group}/jobs/{job}"
    assert job_kind["defaults"] == {"job-group": "default"}
    assert job_kind["finished"] == ["aborted", "failed", "succeeded"]
    assert job_kind["phases"] == ["aborted", "failed", "pending", "running", "succeeded"]
    assert "online" in found["Edge"]["phases"]
    assert found["EdgeConfig"]["phases"] == ["open", "cordoned", "draining", "drained"]
    assert (job_kind["writable"], found["Attempt"]["writable"]) == (True, False)
    assert job_kind["columns"][1] == {"name": "done", "path": "status.percentCompleted", "format": "percent"}


async def test_nodes_are_listed_wherever_they_are(gateway: Gateway) -> None:
    await done(gateway.store, Command("create", "/config/job-groups/night"), job("a"))
    steps = [{"name": "run", "image": "busybox", "script": "true"}]
    await done(gateway.store, Command("create", "/config/job-groups/night/jobs/b", {"steps": steps}))
    await new_edge(gateway.store)

    async def paths(kind: str, **parameters: str) -> list[str]:
        answer = await gateway.client.get(f"/v1/kinds/{kind}/nodes", params=parameters)
        assert answer.status_code == 200, answer.text
        return [item["metadata"]["path"] for item in answer.json()["items"]]

    jobs = ["/config/job-groups/default/jobs/a", "/config/job-groups/night/jobs/b"]
    assert await paths("Job") == jobs
    assert await paths("Job", sort="-path", limit="1") == jobs[1:]
    assert await paths("Job", under="/config/job-groups/night") == jobs[1:]
    assert await paths("Job", fieldSelector="metadata.name=a") == jobs[:1]
    assert await paths("DesiredEdge", under="/desired-config/sites/s") == ["/desired-config/sites/s/edges/e"]
    assert await paths("Scheduler") == ["/config/scheduler"]
    assert await paths("Config") == ["/config"]


async def test_what_nothing_can_be_below_is_refused(gateway: Gateway) -> None:
    for under, status in (("/config/job-groups/none", 404), ("/nowhere", 422), ("config", 422)):
        answer = await gateway.client.get("/v1/kinds/Job/nodes", params={"under": under})
        assert answer.status_code == status, answer.text
        assert [error["pointer"] for error in answer.json()["errors"]] == ["?under"]
    assert (await gateway.client.get("/v1/kinds/Flower/nodes")).status_code == 404


async def test_kinds_of_another_model_are_told_of() -> None:
    store = memory_store(garden.MODEL)
    await seed(store)
    async with open_gateway(store) as gateway:
        found = await kinds(gateway)
        assert found.keys() == garden.MODEL.kinds.keys()
        assert found["Flower"]["path"] == "/garden/beds/{bed}/flowers/{flower}"
        assert found["Shed"]["singleton"]
        await done(store, Command("create", "/garden/beds/b"), Command("create", "/garden/beds/b/flowers/rose"))
        flowers = (await gateway.client.get("/v1/kinds/Flower/nodes")).json()["items"]
        assert [flower["metadata"]["name"] for flower in flowers] == ["rose"]
