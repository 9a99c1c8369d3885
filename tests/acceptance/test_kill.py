"""Everything is killed while a job runs; the job succeeds, and every chunk of it is counted once."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from datamodel.verify import verify
from tests.acceptance.machine import Machine, machine, until

CHUNKS = 40
SCRIPT = """
set -eu
echo "$CHUNK_INDEX" >> "${SHARED_DIR:-/shared}/ran"
sleep 1.5
printf '{"indexes": %d, "ran": 1}' "$CHUNK_INDEX" > "${SHARED_DIR:-/shared}/result.json"
"""
JOB: dict[str, Any] = {
    "name": "survivor",
    "chunks": CHUNKS,
    "retries": 0,
    "requests": {"cpu": 0.25, "memoryBytes": 1_048_576, "powerW": 1},
    "steps": [{"name": "count", "image": "busybox:latest", "script": SCRIPT}],
    "outputs": {"ran": "sum", "indexes": "collect"},
}


@pytest.mark.timeout(240)
async def test_a_job_survives_the_death_of_every_program(tmp_path: Path) -> None:
    async with machine(tmp_path / "home", edges=4, runtime="process", EDGE_CPU="0.5") as up:
        location = await up.submit(JOB)
        await _counted(up, location, 2)

        await up.kill("agents", "EDGE_NAME=edge-2")
        await _progress(up, location)
        await up.kill("reconcilers")
        await _progress(up, location)
        await up.kill("gateway")
        await _progress(up, location)
        await up.kill("nats-server")
        await _progress(up, location)
        shutil.rmtree(
            up.home / "nats" / "jetstream", ignore_errors=True
        )  # under the running server: it restarts with nothing
        await up.kill("nats-server")
        await _progress(up, location)
        await up.kill("postgres", "-D")

        job = await up.finished(location, timeout_s=120)
        await _holds(up, job)
        assert await up.stop() == 0


async def _holds(up: Machine, job: dict[str, Any]) -> None:
    status = job["status"]
    assert status["phase"] == "succeeded", status
    assert status["percentCompleted"] == 100
    assert status["outputs"]["ran"] == CHUNKS
    assert status["outputs"]["indexes"] == list(range(CHUNKS))
    assert sum(execution["chunks"] for execution in status["executions"]) >= CHUNKS
    async with PostgresStore(up.environment()["TENDRIL_DATABASE_URL"], MODEL) as store:
        totals = (await store.totals([job["metadata"]["uid"]]))[job["metadata"]["uid"]]
        assert dict(totals.phases) == {"succeeded": CHUNKS}
        entries = await store.entries(job["metadata"]["uid"])
        assert [entry.index for entry in entries] == list(range(CHUNKS))
        report = await verify(store)
        assert not report.differences, str(report)


async def _counted(up: Machine, location: str, chunks: int) -> None:
    async def enough() -> bool:
        status = (await up.job(location))["status"]
        return bool(status["chunks"].get("succeeded", 0) >= chunks)

    await until(enough, timeout_s=60)


async def _progress(up: Machine, location: str) -> None:
    """Something more was counted since the last death: the system works again, and the next death meets it at work."""
    before = (await up.job(location))["status"]["chunks"].get("succeeded", 0)
    await _counted(up, location, min(before + 1, CHUNKS))
