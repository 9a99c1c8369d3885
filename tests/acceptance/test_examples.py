"""The README's examples, by REST, in processes and in containers; and the ways to stop."""

import json
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest

from sim.chaos.machine import ROOT, Machine, machine, until
from tests.services import IMAGE


async def test_the_examples_give_the_right_answers_without_an_engine(tmp_path: Path) -> None:
    async with machine(tmp_path / "home", edges=3, runtime="process") as up:
        await _primes(up, _document("primes"))
        await _pipeline(up, _document("pipeline"))
        await _report(up, _document("report"))


@pytest.mark.docker
async def test_the_examples_give_the_right_answers_in_containers(
    tmp_path: Path, docker_engine: docker.DockerClient
) -> None:
    async with machine(tmp_path / "home", edges=3, runtime="docker") as up:
        await _primes(up, _with_image(_document("primes")))
        await _pipeline(up, _with_image(_document("pipeline")))
        await _report(up, _with_image(_document("report")))
    left = docker_engine.containers.list(all=True, ignore_removed=True, filters={"label": "tendril.site=local"})
    assert left == []


async def test_stopping_interrupts_steps_without_a_retry_and_the_next_start_goes_on(tmp_path: Path) -> None:
    document = {
        "name": "long",
        "chunks": 2,
        "retries": 0,
        "requests": {"cpu": 0.1, "memoryBytes": 1_048_576, "powerW": 1},
        "steps": [{"name": "wait", "image": "busybox:latest", "script": "sleep ${WAIT:-3}"}],
    }
    home = tmp_path / "home"
    async with machine(home, edges=1, runtime="process") as up:
        location = await up.submit(document)

        async def running() -> bool:
            return bool((await up.job(location))["status"]["chunks"].get("running") == 2)

        await until(running, timeout_s=30)
        children = psutil.Process(up.process.pid).children(recursive=True)
        assert await up.stop() == 0
        assert not [child for child in children if child.is_running()]
    async with machine(home, edges=1, runtime="process") as up:
        job = await up.finished(location, timeout_s=60)
        assert job["status"]["phase"] == "succeeded", job["status"]
        attempts = (await up.ask("GET", "/v1/desired-config/sites/local/edges/edge-1/attempts")).json()["items"]
        phases = sorted(attempt["status"]["phase"] for attempt in attempts)
        assert phases == ["interrupted", "interrupted", "succeeded", "succeeded"]


def _document(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((ROOT / "examples" / name / "job.json").read_text())
    return document


def _with_image(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "steps": [{**step, "image": IMAGE} for step in document["steps"]]}


async def _primes(up: Machine, document: dict[str, Any]) -> None:
    job = await up.finished(await up.submit(document), timeout_s=110)
    assert job["status"]["phase"] == "succeeded", job["status"]
    assert job["status"]["outputs"]["primes"] == 664_579
    assert {execution["edge"] for execution in job["status"]["executions"]} == {"edge-1", "edge-2", "edge-3"}


async def _pipeline(up: Machine, document: dict[str, Any]) -> None:
    job = await up.finished(await up.submit(document), timeout_s=60)
    assert job["status"]["phase"] == "succeeded", job["status"]
    assert job["status"]["outputs"] == {"squares": 3000, "total": 9_004_500_500}
    assert job["status"]["artifacts"]["count"] == 3


async def _report(up: Machine, document: dict[str, Any]) -> None:
    job = await up.finished(await up.submit(document), timeout_s=60)
    assert job["status"]["phase"] == "succeeded", job["status"]
    assert job["status"]["outputs"] == {"lines": 3000, "total": 9_004_500_500}
