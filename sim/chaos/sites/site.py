"""A site: a namespace, its line, and an agent that runs steps there as processes."""

import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from signal import SIGKILL
from urllib.parse import urlsplit

import psutil

from datamodel.errors import NotFound
from deploy.local.child import Child
from deploy.local.leaf import leaf_child
from deploy.local.nats import Tls
from deploy.local.supervisor import Supervisor
from sim.chaos.load import CLOSET
from sim.chaos.machine import ROOT, Machine
from sim.chaos.sites.network import Line, Namespace, run

NAMES = ("east", "north", CLOSET)
BEHIND_A_LEAF = "south"
"""The site whose agent is connected to a nats-server there, and that to the hub's."""
LEAF = f"{BEHIND_A_LEAF}-leaf"
LEAF_ADDRESS = "127.0.0.1:4222"
EDGE = "edge-1"
SLOTS = 4
"""How many chunks of the load an edge there has room for."""
TIMES = {"suspectAfterS": 3, "disconnectedAfterS": 6, "lostAfterS": 3600}
"""Of each site: what runs there is waited for, however long its line is cut."""
CLOSET_BYTES = 48 * 2**20
ENROLLING_TIMEOUT_S = 60.0
READY_TIMEOUT_S = 60.0
AGENT = (sys.executable, "-m", "agents")
_CPU_OF_A_CHUNK = 0.25


@dataclass(frozen=True, slots=True)
class Site:
    """One. `home` is its agent's directory; `port` the hub's, none where the site has a server of its own, and `hub` what else
    its programs are told to get there."""

    name: str
    line: Line
    home: Path
    port: int | None
    hub: Mapping[str, str]
    supervisor: Supervisor

    @property
    def url(self) -> str:
        return f"nats://{LEAF_ADDRESS}" if self.port is None else f"tls://{self.line.hub}:{self.port}"

    @property
    def log(self) -> Path:
        """What its agent says."""
        return self.home.parent.parent / "logs" / f"{self.name}.log"

    def child(self, program: Sequence[str], **environment: str) -> Child:
        """A program in the site's network, with an agent's environment."""
        known = {name: value for name, value in os.environ.items() if not name.startswith(("TENDRIL_", "EDGE_"))}
        ours = {"EDGE_SITE": self.name, "EDGE_NAME": EDGE, "PYTHONUNBUFFERED": "1"}
        argv = (*self.line.namespace.inside, *program)
        return Child(self.name, argv, {**known, **self.hub, "TENDRIL_NATS_URL": self.url, **ours, **environment})

    def agent(self, program: Sequence[str] = AGENT) -> Child:
        """It is ready where it has joined; whether its edge is online, the API says."""
        child = self.child(
            program,
            EDGE_HOME=str(self.home),
            EDGE_RUNTIME="process",
            EDGE_SANDBOX="false",
            EDGE_CPU=str(SLOTS * _CPU_OF_A_CHUNK),
            EDGE_MEMORY_BYTES=str(2**30),
        )
        return replace(child, ready=self._has_joined)

    def process(self) -> psutil.Process:
        """The agent's. Raises `NotFound` while it does not run."""
        pid = self.supervisor.pid(self.name)
        if pid is None:
            raise NotFound(f"the agent of {self.name} does not run")
        return psutil.Process(pid)

    def kill_all(self) -> int:
        """SIGKILL to everything that runs there, as when a host's power goes; how many these were."""
        there = [process for process in psutil.process_iter() if self._is_here(process)]
        for process in there:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(SIGKILL)
        return len(there)

    def _is_here(self, process: psutil.Process) -> bool:
        with suppress(OSError):
            here = str(Path(f"/proc/{process.pid}/ns/net").readlink()) == self.line.namespace.place
            return here and process.pid != self.line.namespace.pid
        return False

    async def _has_joined(self) -> bool:
        return (self.home / "agent.creds").exists()


@asynccontextmanager
async def sites(directory: Path, up: Machine, tls: Tls) -> AsyncIterator[dict[str, Site]]:
    """All of them, with agents that have joined; stopped afterwards. Raises `Transient` where one does not start."""
    async with Supervisor(directory / "logs") as supervisor:
        namespaces: list[Namespace] = []
        found: dict[str, Site] = {}
        try:
            for name in NAMES:
                namespaces.append(Namespace())
                line = Line.laid(namespaces[-1])
                found[name] = await founded(directory, up, tls, supervisor, name, line)
                if name == CLOSET:
                    _shrink(found[name].home)
            namespaces.append(Namespace())
            line = Line.laid(namespaces[-1])
            behind = await founded(directory, up, tls, supervisor, BEHIND_A_LEAF, line)
            found[BEHIND_A_LEAF] = replace(behind, port=None, hub=_without_tls(behind.hub))
            supervisor.launch(await _leaf(directory, up, tls, supervisor, line))
            supervisor.launch(*(site.agent() for site in found.values()))
            await supervisor.until_ready(timeout_s=READY_TIMEOUT_S)
            yield found
        finally:
            await supervisor.stop()
            if CLOSET in found:
                run("umount", "--lazy", str(found[CLOSET].home))
            for namespace in namespaces:
                namespace.close()


async def founded(
    directory: Path, up: Machine, tls: Tls, supervisor: Supervisor, name: str, line: Line, *, uses: int = 1
) -> Site:
    """The site as the hub knows it, with what lets so many agents join."""
    home = directory / name / EDGE
    home.mkdir(parents=True)
    for public in (home, home.parent):
        public.chmod(0o711)  # steps are another user's
    await up.ask("PUT", f"/v1/config/sites/{name}", json={"spec": TIMES})
    token = directory / f"{name}.token"
    await enrolling(up, supervisor, "token", name, "--name=chaos", f"--uses={uses}", f"--out={token}")
    port = urlsplit(up.environment()["TENDRIL_NATS_URL"]).port
    hub = {"TENDRIL_NATS_CA": str(tls.ca), "EDGE_JOIN_TOKEN_FILE": str(token)}
    return Site(name, line, home, port, hub, supervisor)


async def _leaf(directory: Path, up: Machine, tls: Tls, supervisor: Supervisor, line: Line) -> Child:
    """The site's own server, in its network, as an operator configures it."""
    out = directory / LEAF
    hub = f"--hub=tls://{line.hub}:{urlsplit(up.environment()['TENDRIL_LEAF_URL']).port}"
    asked = (BEHIND_A_LEAF, hub, f"--ca={tls.ca}", f"--listen={LEAF_ADDRESS}", f"--out={out}")
    await enrolling(up, supervisor, "leaf-config", *asked)
    child, _ = leaf_child(out, LEAF)
    return Child(LEAF, (*line.namespace.inside, *child.argv), child.env, child.directory)


def _without_tls(hub: Mapping[str, str]) -> dict[str, str]:
    """Within a site of one host, nobody can listen in."""
    return {name: value for name, value in hub.items() if name != "TENDRIL_NATS_CA"}


async def enrolling(up: Machine, supervisor: Supervisor, *arguments: str) -> None:
    """`tendril edge`, as an operator at the hub. Raises `Transient` where it fails."""
    argv = (sys.executable, "-m", "gateway.enrolling", *arguments, f"--url=http://127.0.0.1:{up.port}")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    await supervisor.run(Child("enrolling", argv, environment), timeout_s=ENROLLING_TIMEOUT_S)


def _shrink(home: Path) -> None:
    """Makes a small disk of it, which is gone with the run's mount namespace."""
    run("mount", "-t", "tmpfs", "-o", f"size={CLOSET_BYTES},mode=711", "tendril-chaos", str(home))
