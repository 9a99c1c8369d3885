"""Artifacts end to end: what chunks leave at an edge, as people fetch it at the gateway, through kills of either side."""

import asyncio
import hashlib
import os
import signal
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import docker
import nats.errors
import pytest
import pytest_asyncio
from nats.js.api import AckPolicy, ConsumerConfig

from datamodel.artifacts.jetstream import STREAM, JetPieces
from datamodel.artifacts.pieces import PIECE_BYTES, count_of
from datamodel.errors import Transient
from datamodel.node import Node
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from deploy.local.nats import SITE
from tests.conftest import StartNats
from tests.feed import connected
from tests.gateway import open_gateway, serving
from tests.graph import new_job
from tests.hub import attempts_of, attempts_when, node_when, running_hub
from tests.integration.test_logs import Stand
from tests.services import IMAGE
from tests.waiting import eventually, until

URL = "/v1/jobs/default/j/artifacts"
SIZE = 40 * 2**20 + 11
MAKE = f"head -c {SIZE} /dev/urandom > $SHARED_DIR/data; sha256sum < $SHARED_DIR/data | cut -d ' ' -f 1"
OUTPUT = 'echo "{\\"sha256\\": \\"$(sha256sum < $SHARED_DIR/data | cut -d " " -f 1)\\"}" > $SHARED_DIR/result.json'
DATA = [{"name": "data", "path": "data"}]


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


async def succeeded(stand: Stand, job: Node, *, timeout_s: float = 60.0) -> Node:
    found = await node_when(
        stand.store, job.path, lambda node: node.phase in ("succeeded", "failed"), timeout_s=timeout_s
    )
    assert found.phase == "succeeded", [attempt.status for attempt in await attempts_of(stand.store, job)]
    return found


async def fetched_sha256(stand: Stand, url: str = f"{URL}/0/data") -> str:
    checksum = hashlib.sha256()
    async with stand.client.stream("GET", url, timeout=60) as answer:
        assert answer.status_code == 200
        async for part in answer.aiter_bytes():
            checksum.update(part)
    assert answer.headers["etag"] == f'"{checksum.hexdigest()}"'
    return checksum.hexdigest()


async def reached_again(stand: Stand) -> None:
    """Returns when the gateway has found a server that was away, which it looks for now and then."""

    async def answers() -> bool:
        answer = await stand.client.get(f"{URL}/0/data", headers={"Range": "bytes=0-0"})
        return answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE

    await eventually(answers)


async def begun(pieces: JetPieces, attempt: Node, least: int = 20) -> int:
    """How many pieces of an attempt's artifact are at the hub, once some are."""
    found: set[int] = set()

    async def some() -> bool:
        found.update(await pieces.numbers(_key(attempt)))
        return len(found) >= least

    await eventually(some, timeout_s=30.0)
    return len(found)


async def uploading(stand: Stand, **spec: Any) -> tuple[Node, Node]:
    """A job of one chunk whose artifact is large, and its attempt."""
    job = await stand.job(MAKE, OUTPUT, artifacts=DATA, outputs={"sha256": "collect"}, **spec)
    (attempt,) = await attempts_when(stand.store, job, lambda found: len(found) == 1, timeout_s=30.0)
    return job, attempt


async def test_what_chunks_leave_is_listed_and_fetched(stand: Stand) -> None:
    async with stand.agent():
        artifacts = [{"name": "out", "path": "d/out.txt", "maxBytes": 100}, {"name": "empty", "path": "e"}]
        job = await stand.job(
            "mkdir $SHARED_DIR/d; echo chunk $CHUNK_INDEX > $SHARED_DIR/d/out.txt; : > $SHARED_DIR/e",
            artifacts=artifacts,
            chunks=3,
        )
        finished = await succeeded(stand, job)
        listed = (await stand.client.get(URL)).json()["items"]
        assert [(one["chunk"], one["name"], one["bytes"]) for one in listed] == [
            (chunk, name, size) for chunk in range(3) for name, size in (("out", 8), ("empty", 0))
        ]
        for chunk in range(3):
            assert (await stand.client.get(f"{URL}/{chunk}/out")).text == f"chunk {chunk}\n"
        assert finished.status["artifacts"] == {"count": 6, "bytes": 24}
        assert (await stand.client.get("/v1/jobs/default/j")).json()["status"]["artifacts"] == {"count": 6, "bytes": 24}


@pytest.mark.parametrize(
    ("script", "fields", "reason"),
    [
        ("true", {}, "ArtifactMissing"),
        ("ln -s /etc/passwd $SHARED_DIR/data", {}, "ArtifactRefused"),
        ("mkfifo $SHARED_DIR/data", {}, "ArtifactRefused"),
        ("dd if=/dev/zero of=$SHARED_DIR/data bs=1 count=1 seek=1T", {}, "ArtifactTooLarge"),
        ("head -c 60 /dev/zero > $SHARED_DIR/data", {"limits": {"artifactsBytes": 59}}, "ArtifactTooLarge"),
    ],
)
async def test_a_chunk_without_its_artifact_fails_with_a_reason(
    stand: Stand, script: str, fields: dict[str, Any], reason: str
) -> None:
    async with stand.agent():
        job = await stand.job(script, artifacts=DATA, retries=0, **fields)
        await node_when(stand.store, job.path, lambda node: node.phase == "failed", timeout_s=30.0)
        (attempt,) = await attempts_of(stand.store, job)
        assert attempt.status["reason"] == reason
        assert attempt.status["exitCodes"] == [0]
        assert (await stand.client.get(f"{URL}/0/data")).status_code == 404


async def test_an_upload_goes_on_where_a_killed_agent_was(stand: Stand) -> None:
    async with connected(stand.server.access()) as bus:
        pieces = JetPieces(bus)
        async with stand.agent() as agent:
            job, attempt = await uploading(stand)
            before = await begun(pieces, attempt)
            agent.kill()
            await agent.wait()
        assert before < count_of(SIZE), "it was cut in the middle"
        first = (await bus.manager.stream_info(STREAM)).state.last_seq
        assert (await attempts_of(stand.store, job))[0].phase == "running"
        async with stand.agent():
            finished = await succeeded(stand, job)
        last = (await bus.manager.stream_info(STREAM)).state.last_seq
        assert last == count_of(SIZE)
        assert last - first <= count_of(SIZE) - before, "what was there was not stored again"
    assert [await fetched_sha256(stand)] == finished.status["outputs"]["sha256"]
    assert len(await attempts_of(stand.store, job)) == 1


async def test_an_upload_goes_on_when_a_killed_server_is_back(stand: Stand) -> None:
    async with connected(stand.server.access()) as bus, stand.agent() as agent:
        job, attempt = await uploading(stand)
        await begun(JetPieces(bus), attempt)
        os.kill(agent.pid, signal.SIGSTOP)
        assert len(await JetPieces(bus).numbers(_key(attempt))) < count_of(SIZE), "it was cut in the middle"
        await stand.server.kill()
        os.kill(agent.pid, signal.SIGCONT)
        await asyncio.sleep(0.5)  # of the cut, not for luck
        await stand.server.start()
        finished = await succeeded(stand, job)
        await reached_again(stand)
    assert [await fetched_sha256(stand)] == finished.status["outputs"]["sha256"]
    assert len(await attempts_of(stand.store, job)) == 1


async def test_a_server_that_lost_what_it_had_gets_all_of_it_again(stand: Stand) -> None:
    async with connected(stand.server.access()) as bus, stand.agent() as agent:
        job, attempt = await uploading(stand)
        await begun(JetPieces(bus), attempt)
        os.kill(agent.pid, signal.SIGSTOP)
        await stand.server.kill()
        stand.server.wipe()
        await stand.server.start()
        os.kill(agent.pid, signal.SIGCONT)
        finished = await succeeded(stand, job)
        await reached_again(stand)
    assert [await fetched_sha256(stand)] == finished.status["outputs"]["sha256"]


async def test_a_download_that_was_cut_goes_on_by_a_range(stand: Stand) -> None:
    async with stand.agent():
        job, _ = await uploading(stand)
        finished = await succeeded(stand, job)
        checksum, got = hashlib.sha256(), 0
        headers: dict[str, str] = {}
        for stop_at in (10 * PIECE_BYTES + 5, SIZE // 2, SIZE):
            async with stand.client.stream("GET", f"{URL}/0/data", headers=headers, timeout=60) as answer:
                async for part in answer.aiter_raw():
                    checksum.update(part)
                    got += len(part)
                    if stop_at <= got < SIZE:
                        break
            headers = {"Range": f"bytes={got}-", "If-Range": answer.headers["etag"]}
        assert got == SIZE
        assert [checksum.hexdigest()] == finished.status["outputs"]["sha256"]


async def test_an_edge_speaks_for_its_own_site_alone(stand: Stand) -> None:
    async with connected(stand.server.access()) as bus:
        await eventually(lambda: _taken(JetPieces(bus), "attic.edge-1.a.x"))
    async with connected(stand.server.agent(SITE, "edge-1")) as bus:
        pieces = JetPieces(bus)
        assert await pieces.put(f"{SITE}.edge-1.a.x", 0, b"mine") is True
        assert await pieces.get("attic.edge-1.a.x", 0) == b"theirs", "which may be an input here"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await pieces.put("attic.edge-1.a.x", 1, b"")
        for name in ("", "C"):
            config = ConsumerConfig(name=name or None, ack_policy=AckPolicy.NONE, inactive_threshold=5)
            with pytest.raises(nats.errors.Error):
                await bus.client.jsm(timeout=0.5).add_consumer(STREAM, config)
        with pytest.raises(nats.errors.Error):
            await bus.client.jsm(timeout=0.5).purge_stream(STREAM)
    async with connected(stand.server.access()) as bus:
        assert (await bus.manager.stream_info(STREAM)).state.messages == 2


def _key(attempt: Node) -> str:
    return f"{SITE}.edge-1.{attempt.path.rpartition('/')[2]}.data"


async def _taken(pieces: JetPieces, key: str) -> bool:
    try:
        return await pieces.put(key, 0, b"theirs")
    except Transient:
        return False


@pytest.mark.docker
async def test_containers_leave_files_and_are_given_them(stand: Stand, docker_engine: docker.DockerClient) -> None:
    requests = {"cpu": 0.5, "memoryBytes": 64 * 1024 * 1024}

    def step(script: str) -> list[dict[str, str]]:
        return [{"name": "run", "image": IMAGE, "script": script}]

    engine = {name: os.environ[name] for name in ("DOCKER_HOST",) if name in os.environ}
    async with stand.agent(EDGE_RUNTIME="docker", **engine):
        left = await new_job(
            stand.store,
            "a",
            steps=step("head -c 3000000 /dev/urandom > /shared/data"),
            artifacts=DATA,
            requests=requests,
        )
        await succeeded(stand, left)
        job = await new_job(
            stand.store,
            steps=step(OUTPUT.replace("$SHARED_DIR/data", "/shared/inputs/d/0")),
            inputs=[{"job": "default/a", "artifact": "data", "path": "d"}],
            outputs={"sha256": "collect"},
            requests=requests,
        )
        finished = await succeeded(stand, job)
        mine = {"label": [f"tendril.site={SITE}", "tendril.edge=edge-1"]}
        await until(lambda: not docker_engine.volumes.list(filters=mine), timeout_s=30.0)
    assert [await fetched_sha256(stand, "/v1/jobs/default/a/artifacts/0/data")] == finished.status["outputs"]["sha256"]
