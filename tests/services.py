"""The real servers that tests run against: NATS servers that may be killed, images of a Docker engine."""

import gc
import hashlib
import os
import shutil
import warnings
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGKILL, SIGSTOP

import docker
import pytest
from docker.errors import DockerException

from datamodel.feed.access import Access
from datamodel.identity.credentials import Credential, write_credential
from datamodel.identity.nkeys import Key
from datamodel.scheduling import wire
from datamodel.scheduling.permissions import inbox, standing
from deploy.local.nats import Nats, Role
from deploy.local.supervisor import Supervisor
from sim.bench.busybox import busybox_tar

IMAGE = "tendril-test/busybox:1"


def agent_key(site: str, agent: str) -> Key:
    """The key that an agent has in tests: who knows its name can sign for it."""
    return Key("user", hashlib.sha256(f"{site}/{agent}".encode()).digest())


class PrivateNats:
    """A NATS server of one test, which may kill it, wipe its store and start it again on the same port."""

    def __init__(self, home: Path) -> None:
        self.nats = Nats(home)
        self._supervisor = Supervisor(home / "logs")
        self._home = home
        self.log = home / "logs" / "nats.log"

    async def start(self) -> None:
        await self.nats.start(self._supervisor)

    def pause(self) -> None:
        """SIGSTOP, as a machine that hangs: it answers nothing until it is killed."""
        pid = self._supervisor.pid("nats")
        assert pid is not None
        os.kill(pid, SIGSTOP)

    async def kill(self) -> None:
        """SIGKILL, as a machine that fails; returns when it is gone. It stays so until `start`."""
        if (pid := self._supervisor.pid("nats")) is not None:
            os.kill(pid, SIGKILL)
        await self._supervisor.stop()

    def wipe(self) -> None:
        """Loses every stream. The server must not run."""
        shutil.rmtree(self.nats.store, ignore_errors=True)

    def access(self, role: Role = "reconcilers") -> Access:
        return self.nats.access(role)

    def agent(self, site: str, name: str, count: int = 1) -> Access:
        """How an agent that hosts so many edges connects, with its key of tests."""
        role, title, tags = standing(site, name, wire.hosted_edges(name, count))
        key = agent_key(site, name)
        path = self._home / f"{site}_{name}.creds"
        jwt = self.nats.authority.sign(role, key.public, title, datetime.now(UTC), expires=None, tags=tags)
        write_credential(path, Credential(key, jwt))
        return Access(self.nats.url, path, inbox=inbox(site, name))


def docker_client() -> docker.DockerClient:
    """A client of the machine's engine. Skips the test where none answers, or fails it where the run must have one."""
    if reason := _engine_failure():
        if os.environ.get("TENDRIL_REQUIRE_DOCKER") == "1":
            pytest.fail(f"TENDRIL_REQUIRE_DOCKER=1, and no Docker engine answers: {reason}")
        pytest.skip(f"no Docker engine answers; start one to run this test: {reason}")
    return docker.DockerClient.from_env(timeout=60)


def import_busybox(engine: docker.DockerClient) -> None:
    """Makes `IMAGE` with a shell, awk and the rest from this machine's static busybox: nothing is pulled."""
    repository, _, tag = IMAGE.partition(":")
    engine.api.import_image_from_data(busybox_tar(), repository=repository, tag=tag)


def _engine_failure() -> str:
    """Why no engine answers; empty where one does."""
    with warnings.catch_warnings():
        # The client leaves a socket that it could not connect to the garbage collector, which warns.
        warnings.simplefilter("ignore", ResourceWarning)
        reason = ""
        try:
            docker.DockerClient.from_env(timeout=60).close()
        except DockerException as error:
            reason = str(error)
        gc.collect()
    return reason
