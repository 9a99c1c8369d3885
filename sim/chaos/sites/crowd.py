"""A site with hundreds of agents, whose edges are simulated."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import msgspec

from datamodel.errors import Transient
from deploy.local.child import Child
from deploy.local.nats import Tls
from deploy.local.supervisor import Supervisor
from sim.chaos.machine import Machine, until
from sim.chaos.sites.network import Line, Namespace
from sim.chaos.sites.site import Site, founded

NAME = "crowd"
PROCESSES = 4
JOINED_TIMEOUT_S = 300.0
LOOK_S = 0.5
_PAGE = 1000
_RECONNECTED = b'"nats reconnected"'


class _Said(msgspec.Struct):
    timestamp: datetime


@dataclass(frozen=True, slots=True)
class Crowd:
    """So many agents, by what their processes say and what the API says of their edges."""

    count: int
    logs: tuple[Path, ...]
    up: Machine

    def reconnected_since(self, moment: datetime) -> list[datetime]:
        """When each connection was made anew."""
        lines = [line for log in self.logs for line in log.read_bytes().splitlines() if _RECONNECTED in line]
        return sorted(at for line in lines if (at := msgspec.json.decode(line, type=_Said).timestamp) >= moment)

    async def online(self) -> int:
        """How many of its edges the hub hears."""
        answer = await self.up.ask("GET", "/v1/edges", params={"phase": "online", "limit": str(_PAGE)})
        answer.raise_for_status()
        prefix = f"/inventory/sites/{NAME}/"
        return sum(node["metadata"]["path"].startswith(prefix) for node in answer.json()["items"])

    async def until_online(self, timeout_s: float) -> None:
        """Raises `TimeoutError` where some stay away."""

        async def all_are() -> bool:
            await asyncio.sleep(LOOK_S)
            return await self.online() == self.count

        await until(all_are, timeout_s=timeout_s)


@asynccontextmanager
async def crowd(directory: Path, up: Machine, tls: Tls, count: int) -> AsyncIterator[Crowd]:
    """All of them online; ended afterwards. Raises `Transient` where they do not get there."""
    namespace = Namespace()
    try:
        async with Supervisor(directory / "logs") as supervisor:
            line = Line.laid(namespace)
            site = await founded(directory, up, tls, supervisor, NAME, line, uses=count)
            share = -(-count // PROCESSES)
            names = []
            for first in range(0, count, share):
                supervisor.launch(_agents(site, first, min(share, count - first)))
                names.append(f"{NAME}-{first}")
            found = Crowd(count, tuple(directory / "logs" / f"{name}.log" for name in names), up)
            try:
                await found.until_online(JOINED_TIMEOUT_S)
            except TimeoutError:
                raise Transient(f"{await found.online()} of {count} agents are online") from None
            yield found
    finally:
        namespace.close()


def _agents(site: Site, first: int, count: int) -> Child:
    program = (sys.executable, "-m", "sim.chaos.sites.many", str(first), str(count))
    return replace(
        site.child(program, EDGE_NAME=NAME, EDGE_HOME=str(site.home), EDGE_RUNTIME="simulated"), name=f"{NAME}-{first}"
    )
