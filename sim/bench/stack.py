"""A whole system for one measurement: real servers and programs, as children of this process, in a temporary directory."""

import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from deploy.local.child import Child
from deploy.local.nats import SITE, Nats
from deploy.local.ports import HOST, free_port
from deploy.local.postgres import Postgres
from deploy.local.supervisor import Supervisor

READY_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Stack:
    """Where the system that runs is reached. The process ids are its agent's and its gateway's, 0 where it has none."""

    port: int
    database_url: str
    nats_url: str
    agent_pid: int = 0
    gateway_pid: int = 0


@asynccontextmanager
async def servers() -> AsyncIterator[Stack]:
    """Runs Postgres (fsync on, migrated) and NATS, and no program. Nothing is left afterwards."""
    async with _servers() as (_, _, postgres, nats):
        yield Stack(0, postgres.url(), nats.url("reconcilers"))


@asynccontextmanager
async def stack(*, edges: int, **settings: str) -> AsyncIterator[Stack]:
    """Runs the servers, the gateway, the reconcilers, and one agent with so many edges, simulated unless its `settings` (its
    environment variables) say otherwise; ready when all edges are online. Nothing is left afterwards."""
    async with _servers() as (home, supervisor, postgres, nats):
        port = free_port()
        database = _environment(postgres)
        reconcilers = database | {"TENDRIL_NATS_URL": nats.url("reconcilers")}
        gateway = database | {
            "TENDRIL_NATS_URL": nats.url("gateway"),
            "TENDRIL_HOST": HOST,
            "TENDRIL_PORT": str(port),
        }
        supervisor.launch(_program("reconcilers", reconcilers))
        supervisor.launch(_program("gateway", gateway))
        supervisor.launch(_agent(nats.url("agent"), home / "edges", edges, port, settings))
        await supervisor.until_ready(timeout_s=READY_TIMEOUT_S)
        agent_pid, gateway_pid = (supervisor.pid(name) or 0 for name in ("agents", "gateway"))
        yield Stack(port, postgres.url(), nats.url("reconcilers"), agent_pid, gateway_pid)


@asynccontextmanager
async def _servers() -> AsyncIterator[tuple[Path, Supervisor, Postgres, Nats]]:
    with tempfile.TemporaryDirectory(prefix="tendril-bench-") as directory:
        home = Path(directory)
        async with Supervisor(home / "logs") as supervisor:
            postgres, nats = Postgres(home), Nats(home)
            await postgres.start(supervisor)
            await nats.start(supervisor)
            await supervisor.run(_program("migrations", _environment(postgres)), timeout_s=READY_TIMEOUT_S)
            yield home, supervisor, postgres, nats


def _environment(postgres: Postgres) -> dict[str, str]:
    return {**os.environ, "TENDRIL_DATABASE_URL": postgres.url()}


def _program(name: str, environment: dict[str, str]) -> Child:
    return Child(name, (sys.executable, "-m", name), environment)


def _agent(nats_url: str, home: Path, edges: int, port: int, settings: Mapping[str, str]) -> Child:
    environment = {
        **os.environ,
        "TENDRIL_NATS_URL": nats_url,
        "EDGE_SITE": SITE,
        "EDGE_NAME": "edge",
        "EDGE_COUNT": str(edges),
        "EDGE_RUNTIME": "simulated",
        "EDGE_HOME": str(home),
        "EDGE_CPU": "16",
        "EDGE_MEMORY_BYTES": str(64 * 2**30),
        "EDGE_POWER_W": "1000",
        **settings,
    }

    async def online() -> bool:
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            try:
                answer = await client.get(f"http://{HOST}:{port}/v1/edges", params={"limit": 1000})
            except httpx.TransportError:
                return False
        listed = answer.json()["items"] if answer.status_code == httpx.codes.OK else []
        return len([edge for edge in listed if edge["status"].get("phase") == "online"]) == edges

    return Child("agents", (sys.executable, "-m", "agents"), environment, ready=online)
