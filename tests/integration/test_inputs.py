"""Inputs end to end: jobs that wait for others, and what their chunks are given."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from datamodel.artifacts.jetstream import STREAM
from datamodel.command import Command
from datamodel.node import Node
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from datamodel.verify import verify
from tests.conftest import StartNats
from tests.feed import connected
from tests.gateway import open_gateway, serving
from tests.graph import STEPS, done, new_job, present
from tests.hub import attempts_of, node_when, running_hub
from tests.integration.test_logs import Stand
from tests.waiting import until

PARTS = [{"name": "part", "path": "part"}]
LEAVE = "echo part $CHUNK_INDEX > $SHARED_DIR/part"


@pytest_asyncio.fixture
async def stand(database_url: str, nats_server: StartNats, tmp_path: Path) -> AsyncIterator[Stand]:
    server = await nats_server()
    async with (
        PostgresStore(database_url, MODEL) as store,
        running_hub(database_url, server.access()),
        open_gateway(store, server.access("gateway")) as gateway,
        serving(gateway) as (_, client),
    ):
        yield Stand(server, store, gateway, client, tmp_path)
        found = await verify(store)
        assert found.clean, str(found)


def an_input(**fields: Any) -> dict[str, Any]:
    return {"job": "default/a", "artifact": "part", "path": "parts", **fields}


def condition(job: Node) -> dict[str, Any]:
    found: dict[str, Any] = next((one for one in job.status.get("conditions", ()) if one["type"] == "InputsReady"), {})
    return found


async def ended(stand: Stand, job: Node, phase: str = "succeeded") -> Node:
    found = await node_when(stand.store, job.path, lambda node: node.phase in ("succeeded", "failed"), timeout_s=60.0)
    assert found.phase == phase, [found.status, *[attempt.status for attempt in await attempts_of(stand.store, job)]]
    return found


async def test_a_job_waits_for_another_and_is_given_what_that_has_left(stand: Stand) -> None:
    await stand.job(LEAVE, name="a", chunks=3, artifacts=PARTS)
    reads = 'echo "{\\"text\\": \\"$(cat $SHARED_DIR/inputs/parts/* $SHARED_DIR/inputs/one | tr \'\\n\' \',\')\\"}"'
    job = await stand.job(
        f"{reads} > $SHARED_DIR/result.json",
        name="b",
        chunks=2,
        inputs=[an_input(), an_input(path="one", chunk=1)],
        outputs={"text": "collect"},
    )
    waiting = await node_when(stand.store, job.path, lambda node: bool(condition(node)))
    assert (condition(waiting)["status"], condition(waiting)["reason"]) == ("False", "WaitingForJobs")
    assert condition(waiting)["message"] == "waits for default/a"
    assert not await attempts_of(stand.store, job)
    async with stand.agent():
        finished = await ended(stand, job)
    assert finished.status["outputs"] == {"text": ["part 0,part 1,part 2,part 1,"] * 2}
    assert condition(finished)["status"] == "True"
    assert [one["path"] for one in finished.status["inputs"]] == ["parts/0", "parts/1", "parts/2", "one"]
    source = await present(stand.store, "/config/job-groups/default/jobs/a")
    for attempt in await attempts_of(stand.store, job):
        assert attempt.created_version > source.version
        assert attempt.spec["inputs"] == finished.status["inputs"]


@pytest.mark.parametrize(
    ("fields", "reason", "told"),
    [
        ({"job": "default/none"}, "SourceMissing", "inputs/0: there is no job default/none, or no more"),
        ({"job": "default/b"}, "SourceLater", "inputs/0: default/b was submitted after this job, or is this job"),
        ({"artifact": "other"}, "InputUnknown", "inputs/0: default/a has no artifact other"),
        ({"chunk": 3}, "InputUnknown", "inputs/0: default/a has 3 chunks, from 0 on"),
    ],
)
async def test_what_can_never_be_had_fails_the_job_at_once(
    stand: Stand, fields: dict[str, Any], reason: str, told: str
) -> None:
    await stand.job(LEAVE, name="a", chunks=3, artifacts=PARTS)
    job = await stand.job("true", name="b", inputs=[an_input(**fields)])
    failed = await ended(stand, job, "failed")
    assert (condition(failed)["reason"], condition(failed)["message"]) == (reason, told)
    shown = (await stand.client.get("/v1/jobs/default/b")).json()["status"]
    assert (shown["phase"], shown["chunks"]["pending"]) == ("failed", 1)
    assert shown["finishedAt"]


async def test_jobs_that_name_each_other_fail(stand: Stand) -> None:
    def body(other: str) -> dict[str, Any]:
        return {"steps": STEPS, "artifacts": PARTS, "inputs": [an_input(job=f"default/{other}")]}

    paths = [f"/config/job-groups/default/jobs/{name}" for name in ("a", "b")]
    await done(stand.store, Command("create", paths[0], body("b")), Command("create", paths[1], body("a")))
    for path, reason in zip(paths, ("SourceLater", "SourceFailed"), strict=True):
        failed = await node_when(stand.store, path, lambda node: node.phase == "failed")
        assert condition(failed)["reason"] == reason


async def test_a_source_that_fails_or_is_deleted_fails_who_waits_for_it(stand: Stand) -> None:
    failing = await stand.job("exit 1", name="a", retries=0, artifacts=PARTS)
    deleted = await stand.job("true", name="c", requests={"cpu": 1000}, artifacts=PARTS)
    waits = [
        await stand.job("true", name=f"w-{number}", inputs=[an_input(job=source)])
        for number, source in enumerate(("default/a", "default/c"))
    ]
    for job in waits:
        await node_when(stand.store, job.path, lambda node: bool(condition(node)))
    async with stand.agent():
        await ended(stand, failing, "failed")
        assert condition(await ended(stand, waits[0], "failed"))["reason"] == "SourceFailed"
        await done(stand.store, Command("delete", deleted.path))
        assert condition(await ended(stand, waits[1], "failed"))["reason"] == "SourceMissing"
    for job in waits:
        assert not await attempts_of(stand.store, job)


async def test_what_the_hub_has_lost_fails_the_attempt(stand: Stand) -> None:
    async with stand.agent():
        await ended(stand, await stand.job(LEAVE, name="a", artifacts=PARTS))
        async with connected(stand.server.access()) as bus:
            await bus.manager.purge_stream(STREAM)
        job = await stand.job("true", name="b", retries=0, inputs=[an_input()])
        await ended(stand, job, "failed")
        assert [attempt.status["reason"] for attempt in await attempts_of(stand.store, job)] == ["InputGone"]


async def test_a_fetch_goes_on_where_a_killed_agent_was(stand: Stand) -> None:
    size = 30 * 2**20 + 3
    script = f"head -c {size} /dev/urandom > $SHARED_DIR/part"
    checksum = 'echo "{\\"sha256\\": \\"$(sha256sum < $SHARED_DIR/inputs/part | cut -d " " -f 1)\\"}" > $SHARED_DIR/result.json'
    cache = stand.home / "inputs"
    async with stand.agent() as agent:
        await ended(stand, await stand.job(script, name="a", artifacts=PARTS))
        listed = (await stand.client.get("/v1/jobs/default/a/artifacts")).json()["items"]
        part = cache / f"{listed[0]['sha256']}.part"
        job = await stand.job(
            checksum, name="b", inputs=[an_input(path="part", chunk=0)], outputs={"sha256": "collect"}
        )
        await until(lambda: part.exists() and part.stat().st_size > 10 * 131072, timeout_s=30.0)
        agent.kill()
        await agent.wait()
    got = part.stat().st_size
    assert got < size, "it was cut in the middle"
    before = part.read_bytes()
    async with stand.agent():
        finished = await ended(stand, job)
    whole = (cache / listed[0]["sha256"]).read_bytes()
    assert whole.startswith(before[: got - got % 131072])
    assert finished.status["outputs"]["sha256"] == [hashlib.sha256(whole).hexdigest()] == [listed[0]["sha256"]]


async def test_a_job_without_inputs_is_none_of_the_reconciler_s(stand: Stand) -> None:
    job = await new_job(stand.store, "plain")
    async with stand.agent():
        finished = await ended(stand, job)
    assert "inputs" not in finished.status
    assert not condition(finished)
