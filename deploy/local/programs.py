"""Tendril's own programs as children: what each is told, and how to see that it serves."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from datamodel.feed.access import Access
from datamodel.loading import VARIABLE
from deploy.local.child import Child
from deploy.local.nats import SITE, Role
from deploy.local.ports import HOST
from deploy.local.settings import Settings

# Steps that run are stopped and reported as interrupted before an agent ends.
AGENT_STOP_TIMEOUT_S = 20.0

# Names that say where a program connects or who it is: only we say that to our children.
_OURS = (
    *("TENDRIL_DATABASE_URL", "TENDRIL_NATS_URL", "TENDRIL_NATS_CREDS", "TENDRIL_NATS_AUTHORITY"),
    *("TENDRIL_NATS_CERTIFICATE", "TENDRIL_NATS_KEY", "TENDRIL_NATS_CA"),
    *("TENDRIL_SECRETS_KEYS", "TENDRIL_SECRETS_KEY_FILE", "TENDRIL_SECRETS_PUBLIC_KEY"),
    *("EDGE_SITE", "EDGE_NAME", "EDGE_COUNT", "EDGE_HOME", "EDGE_CREDS", "EDGE_JOIN_TOKEN", "EDGE_JOIN_TOKEN_FILE"),
)


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of one machine.

    `inherited` is the environment that they add to: whatever else it declares (`EDGE_RUNTIME`, …) reaches them.
    `cpu_count` and `memory_bytes` are the machine's, to be divided among the edges that declare no capacity.
    """

    settings: Settings
    home: Path
    database_url: str
    accesses: Mapping[Role, Access]
    leaf_url: str
    authority: Path
    secrets_key: Path
    secrets_public_key: str
    inherited: Mapping[str, str]
    cpu_count: int
    memory_bytes: int

    def migrations(self) -> Child:
        """Brings the database to this version's schema, then ends."""
        return Child("migrations", _module("migrations"), self._environment(TENDRIL_DATABASE_URL=self.database_url))

    def reconcilers(self) -> Child:
        """All reconcilers in one process."""
        environment = self._with_database(
            "reconcilers", TENDRIL_SECRETS_KEY_FILE=str(self.secrets_key), TENDRIL_NATS_AUTHORITY=str(self.authority)
        )
        return Child("reconcilers", _module("reconcilers"), environment)

    def gateway(self) -> Child:
        """The API, ready when it says so itself."""
        environment = self._with_database("gateway", TENDRIL_SECRETS_PUBLIC_KEY=self.secrets_public_key)
        return Child("gateway", _module("gateway"), environment, ready=self._gateway_ready)

    def token(self) -> Child:
        """Makes what the agents join by, where they have not yet; then it ends."""
        asked = (SITE, "--name=up", f"--uses={self.settings.edges}", f"--out={self._token}", f"--url={self.address}")
        return Child("token", (*_module("gateway.enrolling"), "token", *asked), self._environment())

    def agents(self) -> list[Child]:
        """One process for each edge, `edge-1` to `edge-n`, ready when the graph shows its edge online."""
        return [self._agent(f"edge-{number}") for number in range(1, self.settings.edges + 1)]

    def scaled(self, site: str, name: str, edges: int, runtime: str) -> Child:
        """An agent of another site with so many edges; its capacity is this machine's where the environment says none."""
        child = self.scaled_name(site, name)
        environment = self._environment(
            **_server(self.accesses["reconcilers"]),
            EDGE_SITE=site,
            EDGE_NAME=name,
            EDGE_COUNT=str(edges),
            EDGE_RUNTIME=runtime,
            EDGE_HOME=str(self.home / "edges" / child),
        )
        return Child(child, _module("agents"), environment, stop_timeout_s=AGENT_STOP_TIMEOUT_S)

    def enrollment(self, site: str, name: str, edges: int) -> Child:
        """Makes such an agent known with so many edges, and its key where it has none yet; then it ends."""
        creds = self.home / "edges" / self.scaled_name(site, name) / "agent.creds"
        asked = (f"{site}/{name}", f"--count={edges}", f"--out={creds}", f"--url={self.address}")
        return Child("enrollment", (*_module("gateway.enrolling"), "enroll", *asked), self._environment())

    def scaled_name(self, site: str, name: str) -> str:
        """What the child of such an agent is called."""
        return f"{site}.{name}"

    def by_hand(self) -> dict[str, str]:
        """The variables under which a person can start any program beside these, in the role that may do everything."""
        return {
            "TENDRIL_DATABASE_URL": self.database_url,
            **_nats(self.accesses["reconcilers"]),
            "TENDRIL_LEAF_URL": self.leaf_url,
            "TENDRIL_NATS_AUTHORITY": str(self.authority),
            "TENDRIL_SECRETS_KEY_FILE": str(self.secrets_key),
            "TENDRIL_SECRETS_PUBLIC_KEY": self.secrets_public_key,
            "TENDRIL_URL": self.address,
            "TENDRIL_HOST": HOST,
            "TENDRIL_PORT": str(self.settings.port),
            "TENDRIL_HOME": str(self.home),
            **{name: value for name, value in self.inherited.items() if name == VARIABLE},
        }

    @property
    def address(self) -> str:
        """The gateway's base URL."""
        return f"http://{HOST}:{self.settings.port}"

    @property
    def _token(self) -> Path:
        return self.home / "run" / "join-token"

    def _agent(self, name: str) -> Child:
        """An agent knows NATS alone: no database URL."""
        settings = self.settings
        environment = self._environment(
            **_server(self.accesses["reconcilers"]),
            EDGE_JOIN_TOKEN_FILE=str(self._token),
            EDGE_SITE=SITE,
            EDGE_NAME=name,
            EDGE_HOME=str(self.home / "edges" / name),
            EDGE_CPU=str(settings.cpu or round(self.cpu_count / settings.edges, 3)),
            EDGE_MEMORY_BYTES=str(settings.memory_bytes or self.memory_bytes // settings.edges),
            EDGE_POWER_W=str(settings.power_w),
        )

        async def online() -> bool:
            return await self._edge_online(name)

        return Child(name, _module("agents"), environment, ready=online, stop_timeout_s=AGENT_STOP_TIMEOUT_S)

    def _with_database(self, role: Role, **own: str) -> dict[str, str]:
        return self._environment(TENDRIL_DATABASE_URL=self.database_url, **_nats(self.accesses[role]), **own)

    def _environment(self, **own: str) -> dict[str, str]:
        inherited = {name: value for name, value in self.inherited.items() if name not in _OURS}
        shared = {
            "TENDRIL_HOST": HOST,
            "TENDRIL_PORT": str(self.settings.port),
            "TENDRIL_HOME": str(self.home),
            # A log that is read after a crash must hold the last line before it.
            "PYTHONUNBUFFERED": "1",
        }
        return inherited | shared | own

    async def _gateway_ready(self) -> bool:
        answer = await _get(f"{self.address}/readyz")
        return answer is not None and answer.status_code == httpx.codes.OK

    async def _edge_online(self, name: str) -> bool:
        answer = await _get(f"{self.address}/v1/edges?phase=online&fieldSelector=metadata.name={name}")
        return answer is not None and answer.status_code == httpx.codes.OK and bool(answer.json()["items"])


def _nats(access: Access) -> dict[str, str]:
    return {**_server(access), "TENDRIL_NATS_CREDS": str(access.creds)}


def _server(access: Access) -> dict[str, str]:
    ca = {"TENDRIL_NATS_CA": str(access.ca)} if access.ca is not None else {}
    return {"TENDRIL_NATS_URL": access.url, **ca}


def _module(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name)


async def _get(url: str) -> httpx.Response | None:
    """The answer; None where there is none. A proxy that the environment names has no part in what is on this host."""
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        try:
            return await client.get(url)
        except httpx.TransportError:
            return None
