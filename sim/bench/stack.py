"""A whole system for one measurement: real servers and programs, as children of this process, in a temporary directory."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import httpx

from datamodel.feed.access import Access
from deploy.local.child import Child
from deploy.local.nats import SITE, Nats
from deploy.local.ports import HOST, free_port
from deploy.local.postgres import Postgres
from deploy.local.supervisor import Supervisor

READY_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Stack:
    """Where the system that runs is reached, NATS in the reconcilers' role, and who keeps it. The process ids are its agent's
    and its gateway's, 0 where it has none."""

    port: int
    database_url: str
    nats: Access
    supervisor: Supervisor
    home: Path
    agent_pid: int = 0
    gateway_pid: int = 0

    async def join(self, name: str, count: int, site: str, **settings: str) -> None:
        """Starts one more agent, which hosts so many simulated edges unless its `settings` say otherwise."""
        own = {"EDGE_SITE": site, "EDGE_NAME": name, **await self.token(site), **settings}
        self.supervisor.launch(_agent(name, self.nats.url, self.home / name, count, own))

    async def enrolled(self, site: str, name: str, count: int = 1) -> Access:
        """How an agent connects that hosts so many edges, and runs in this process."""
        path = self.home / f"{site}_{name}.creds"
        await self.supervisor.run(_enrollment(f"{site}/{name}", count, path, self.port), timeout_s=READY_TIMEOUT_S)
        return self.nats._replace(creds=path)

    async def token(self, site: str) -> dict[str, str]:
        """The setting by which an agent of a site joins."""
        path = self.home / f"token-{site}"
        if not path.exists():
            await self.supervisor.run(_token(site, path, self.port), timeout_s=READY_TIMEOUT_S)
        return {"EDGE_JOIN_TOKEN_FILE": str(path)}


@asynccontextmanager
async def servers() -> AsyncIterator[Stack]:
    """Runs Postgres (fsync on, migrated) and NATS, and no program. Nothing is left afterwards."""
    async with _servers() as (home, supervisor, postgres, nats):
        yield Stack(0, postgres.url(), nats.access("reconcilers"), supervisor, home)


@asynccontextmanager
async def stack(*, edges: int, **settings: str) -> AsyncIterator[Stack]:
    """Runs the servers, the gateway, the reconcilers, and one agent with so many edges, simulated unless its `settings` (its
    environment variables) say otherwise; ready when all edges are online. Without edges, there is no agent. Nothing is left
    afterwards."""
    async with _servers() as (home, supervisor, postgres, nats):
        port = free_port()
        database = _environment(postgres)
        authority = {"TENDRIL_NATS_AUTHORITY": str(nats.authority_file)}
        reconcilers = database | _nats(nats.access("reconcilers")) | authority
        gateway = database | {
            **_nats(nats.access("gateway")),
            "TENDRIL_HOST": HOST,
            "TENDRIL_PORT": str(port),
        }
        supervisor.launch(_program("reconcilers", reconcilers))
        supervisor.launch(_program("gateway", gateway))
        await until_served(port, timeout_s=READY_TIMEOUT_S)
        reached = port, postgres.url(), nats.access("reconcilers"), supervisor, home
        if edges:
            own = {**settings, **await Stack(*reached).token(settings.get("EDGE_SITE", SITE))}
            supervisor.launch(_agent("agents", nats.url, home / "edges", edges, own, partial(_online, port, edges)))
        await supervisor.until_ready(timeout_s=READY_TIMEOUT_S)
        agent_pid, gateway_pid = (supervisor.pid(name) or 0 for name in ("agents", "gateway"))
        yield Stack(*reached, agent_pid, gateway_pid)


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


def _nats(access: Access) -> dict[str, str]:
    return {"TENDRIL_NATS_URL": access.url, "TENDRIL_NATS_CREDS": str(access.creds)}


def _program(name: str, environment: dict[str, str]) -> Child:
    return Child(name, (sys.executable, "-m", name), environment)


def _token(site: str, path: Path, port: int) -> Child:
    """Makes what agents of a site join by."""
    asked = (site, f"--out={path}", f"--url=http://{HOST}:{port}")
    return Child("token", (sys.executable, "-m", "gateway.enrolling", "token", *asked), dict(os.environ))


def _enrollment(agent: str, count: int, path: Path, port: int) -> Child:
    asked = (agent, f"--count={count}", f"--out={path}", f"--url=http://{HOST}:{port}")
    return Child("enrollment", (sys.executable, "-m", "gateway.enrolling", "enroll", *asked), dict(os.environ))


async def until_served(port: int, *, timeout_s: float) -> None:
    """Returns once the gateway answers. Raises `TimeoutError`."""
    async with asyncio.timeout(timeout_s), httpx.AsyncClient(trust_env=False, timeout=5) as client:
        while True:
            with suppress(httpx.TransportError):
                if (await client.get(f"http://{HOST}:{port}/readyz")).status_code == httpx.codes.OK:
                    return
            await asyncio.sleep(0.05)


def _agent(
    program: str,
    nats_url: str,
    home: Path,
    edges: int,
    settings: Mapping[str, str],
    ready: Callable[[], Awaitable[bool]] | None = None,
) -> Child:
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
    child = Child(program, (sys.executable, "-m", "agents"), environment)
    return child if ready is None else replace(child, ready=ready)


async def _online(port: int, edges: int = 0) -> bool:
    """Whether the gateway answers, and shows that so many edges are online."""
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        try:
            answer = await client.get(f"http://{HOST}:{port}/v1/edges", params={"limit": 1000})
        except httpx.TransportError:
            return False
    if answer.status_code != httpx.codes.OK:
        return False
    return len([edge for edge in answer.json()["items"] if edge["status"].get("phase") == "online"]) >= edges
