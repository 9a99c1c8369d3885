"""A site's own NATS server in tests, started from what `tendril edge leaf-config` writes."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGHUP, SIGKILL
from typing import Any

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Unit
from datamodel.feed.access import Access
from datamodel.identity.credentials import Credential
from datamodel.identity.nkeys import Key
from datamodel.kinds import USER
from datamodel.ports import Store
from datamodel.scheduling.credentials import ACCOUNT, leaf_path
from deploy.local.leaf import start_leaf
from deploy.local.ports import HOST, free_port
from deploy.local.supervisor import Supervisor
from gateway.leaf_nodes import Leaf, address, write_leaf
from tests.graph import present
from tests.hub import node_when

SOMEBODY = Actor("somebody", USER)


class PrivateLeaf:
    """One of a test, which may kill it, have its configuration written anew and start it again on the same port."""

    def __init__(self, store: Store, home: Path, hub_url: str, site: str, **more: Any) -> None:
        """`hub_url`: the hub's port for leaf nodes, or a way to it."""
        self.home, self.site = home / f"{site}-leaf", site
        self.home.mkdir()
        self.path = leaf_path(site, "leaf")
        self.key = Key.new("user")
        self.url = ""
        self._store = store
        self._supervisor = Supervisor(home / "logs")
        listen = address("--listen", f"{HOST}:{free_port()}", 0)
        self._leaf = Leaf(site, "leaf", address("--hub", hub_url.rpartition("/")[2], 0), listen, **more)
        self.log = home / "logs" / f"{site}-leaf.log"

    async def enroll(self, **spec: Any) -> None:
        """Makes it known."""
        create = Command("apply", self.path, {"publicKey": self.key.public, **spec})
        await self.write_nodes(Command("apply", f"/config/sites/{self.site}"), create)

    async def write_nodes(self, *commands: Command) -> None:
        async with Appender(self._store) as appender:
            await appender.write(Unit(commands, SOMEBODY, cause="request:leaf"))

    async def configure(self) -> None:
        """Writes what the graph has for it, once its key is signed."""
        node = await node_when(self._store, self.path, lambda node: node.phase == "signed")
        account = await present(self._store, ACCOUNT)
        write_leaf(self._leaf, self.home, Credential(self.key, node.status["jwt"]), account.status)

    async def start(self) -> None:
        self.url = await start_leaf(self.home, self._supervisor, f"{self.site}-leaf")

    async def kill(self) -> None:
        """SIGKILL, as a machine that fails. It stays so until `start`."""
        if (pid := self._supervisor.pid(f"{self.site}-leaf")) is not None:
            os.kill(pid, SIGKILL)
        await self._supervisor.stop()

    def reload(self) -> None:
        """Has it read its configuration again while it runs."""
        pid = self._supervisor.pid(f"{self.site}-leaf")
        assert pid is not None
        os.kill(pid, SIGHUP)

    def access(self, direct: Access) -> Access:
        """How one connects here who could connect directly."""
        return direct._replace(url=self.url)


@asynccontextmanager
async def running_leaf(store: Store, home: Path, hub_url: str, site: str, **more: Any) -> AsyncIterator[PrivateLeaf]:
    """One that is known and serves, whether it has reached its hub yet or not."""
    leaf = PrivateLeaf(store, home, hub_url, site, **more)
    await leaf.enroll()
    await leaf.configure()
    await leaf.start()
    try:
        yield leaf
    finally:
        await leaf.kill()
