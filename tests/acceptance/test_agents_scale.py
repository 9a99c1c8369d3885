"""`tendril agents scale` with a real system: a site that nobody configured grows and shrinks while a job runs on it."""

import asyncio
import os
import socket
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from signal import SIGTERM
from typing import Any

import httpx
import psutil
import pytest
import pytest_asyncio

from tests.waiting import eventually, until

WORK_S, POWER_W = 4.0, 10.0


Start = Callable[[], Awaitable["System"]]


class System:
    """One `tendril up`, its API, and its directory."""

    def __init__(self, process: Process, home: Path, url: str, environment: dict[str, str]) -> None:
        self.process, self._home, self._environment = process, home, environment
        self._api = httpx.AsyncClient(base_url=url, trust_env=False, timeout=10)

    async def close(self) -> None:
        """Stops it where it is up; nothing of it is left."""
        await self._api.aclose()
        if self.process.returncode is None:
            family = psutil.Process(self.process.pid).children(recursive=True)
            self.process.send_signal(SIGTERM)
            await self.process.wait()
            assert not any(child.is_running() for child in family)

    async def submit(self, chunks: int) -> None:
        """A job that may fail nowhere; of as many chunks as there are edges it keeps them busy."""
        await self.post(
            "/v1/jobs",
            {
                "name": "j",
                "chunks": chunks,
                "retries": 0,
                "workWs": chunks * WORK_S * POWER_W,
                "requests": {"cpu": 1.0, "memoryBytes": 2**20, "powerW": 1.0},
                "steps": [{"name": "work", "image": "busybox:latest", "script": "true"}],
            },
        )

    async def is_busy(self, agent: str) -> bool:
        return await self.running(agent) > 0

    async def has_succeeded(self, chunks: int) -> bool:
        """Whether a job of so many chunks has, with each chunk counted once and none failed: moves cost no retry."""
        status = (await self.get("/v1/jobs/default/j"))["status"]
        counts = {phase: count for phase, count in status.get("chunks", {}).items() if count}
        assert not counts.get("failed")
        return bool(status["phase"] == "succeeded") and counts == {"succeeded": chunks}

    async def get(self, path: str) -> Any:
        answer = await self._api.get(path)
        return answer.json() if answer.status_code == 200 else {}

    async def post(self, path: str, body: object) -> None:
        (await self._api.post(path, json=body)).raise_for_status()

    async def scale(self, count: int, *more: str) -> tuple[int, str]:
        """The exit code, and what it said."""
        argv = (sys.executable, "-m", "deploy.local.agents", "scale", "--site", "far", "--count", str(count), *more)
        process = await asyncio.create_subprocess_exec(*argv, env=self._environment, stdout=PIPE, stderr=STDOUT)
        text, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, text.decode()

    def agents(self) -> set[str]:
        """The agents of the site that run."""
        found = set[str]()
        for child in psutil.Process(self.process.pid).children(recursive=True):
            environment = child.environ()
            if environment.get("EDGE_SITE") == "far":
                found.add(environment["EDGE_NAME"])
        return found

    async def running(self, agent: str) -> int:
        """How many chunks run on an agent's edge."""
        under = f"/desired-config/sites/far/edges/{agent}"
        found = await self.get(f"/v1/kinds/Attempt/nodes?under={under}&phase=running")
        return len(found.get("items", ()))


@pytest_asyncio.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts it, and again where it was started before; what is up in the end is stopped, and nothing of it is left."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    trace = tmp_path / "power.csv"
    trace.write_text(f"seconds,watts\n0,{POWER_W}\n3600,{POWER_W}\n")
    environment = {
        **os.environ,
        "TENDRIL_HOME": str(tmp_path / "home"),
        "TENDRIL_PORT": str(port),
        "TENDRIL_EDGES": "1",
        "EDGE_RUNTIME": "simulated",
        "EDGE_SIMULATED_TRACE": str(trace),
        "EDGE_CPU": "1",
        "EDGE_MEMORY_BYTES": str(2**30),
        "EDGE_POWER_W": str(POWER_W),
    }
    started: list[System] = []

    async def start() -> System:
        log = tmp_path / f"up-{len(started)}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "deploy.local", env=environment, stdout=output, stderr=output
            )
        started.append(System(process, tmp_path / "home", f"http://127.0.0.1:{port}", environment))
        await until(lambda: "\nready" in log.read_text(), timeout_s=60.0)
        return started[-1]

    yield start
    for system in started:
        await system.close()


async def test_a_site_grows_and_shrinks_while_a_job_runs_and_nothing_is_lost(start: Start) -> None:
    system = await start()
    code, said = await system.scale(3)
    assert (code, said.splitlines()[-1]) == (0, "far: 3 of 3 agents online")
    assert system.agents() == {"agents-0", "agents-1", "agents-2"}
    await system.submit(12)
    await eventually(lambda: system.is_busy("agents-2"), timeout_s=30.0)
    code, said = await system.scale(1)
    assert code == 0, said
    assert system.agents() == {"agents-0"}
    assert await system.running("agents-2") == 0
    await eventually(lambda: system.has_succeeded(12), timeout_s=60.0)

    assert (await system.scale(0))[0] == 0
    assert not system.agents()
    gone = await system.get("/v1/config/sites/far/edges/agents-2")
    assert gone["status"]["phase"] == "drained"

    async def is_gone() -> bool:
        """What ran there is found by it."""
        edge = await system.get("/v1/inventory/sites/far/edges/agents-2")
        return bool(edge["status"]["phase"] == "gone")

    await eventually(is_gone, timeout_s=60.0)
    assert (await system.scale(2))[0] == 0

    async def are_used() -> bool:
        phases = {
            (await system.get(f"/v1/config/sites/far/edges/agents-{number}"))["status"]["phase"] for number in (0, 1)
        }
        return phases == {"open"}

    await eventually(are_used)
    code, said = await system.scale(2, "--group-size", "5")
    assert code == 1
    assert "scale it to 0" in said


@pytest.mark.timeout(300)  # two starts of a whole system, and each of its programs starts slowly on a busy machine
async def test_an_up_that_is_killed_while_agents_are_to_go_goes_on_with_it(start: Start) -> None:
    system = await start()
    assert (await system.scale(2))[0] == 0
    await system.submit(6)
    await eventually(lambda: system.is_busy("agents-1"), timeout_s=30.0)
    assert (await system.scale(0, "--grace-s", "600", "--timeout-s", "0"))[0] == 0

    async def is_draining() -> bool:
        found = await system.get("/v1/config/sites/far/edges/agents-1")
        return bool(found.get("spec", {}).get("intent") == "drain")

    await eventually(is_draining)
    family = psutil.Process(system.process.pid).children(recursive=True)
    system.process.kill()
    await system.process.wait()
    await until(lambda: not any(child.is_running() for child in family), timeout_s=30.0)

    system = await start()
    await eventually(lambda: system.has_succeeded(6), timeout_s=90.0)
    await until(lambda: not system.agents(), timeout_s=30.0)


async def test_where_nothing_is_up_there_is_nothing_to_scale(tmp_path: Path) -> None:
    for arguments, code, reason in (
        (["--site", "far", "--count", "1"], 1, "nothing is up"),
        (["--site", "FAR", "--count", "1"], 1, "DNS label"),
        (["--site", "far", "--count", "-1"], 2, '"-1" for --count. Must be >= 0'),
        (["--site", "local", "--count", "1"], 1, "TENDRIL_EDGES"),
    ):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deploy.local.agents", "scale", *arguments),
            env={**os.environ, "TENDRIL_HOME": str(tmp_path)},
            stdout=PIPE,
            stderr=STDOUT,
        )
        text, _ = await process.communicate()
        assert process.returncode == code
        assert reason in text.decode()
