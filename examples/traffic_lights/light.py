"""One light, which shows what it should: `python -m traffic_lights.light GROUP NAME`."""

import sys

from traffic_lights.model import LIGHT

from datamodel.command import Actor, Command, Fence, Unit
from reconcilers.runtime.controller import Wake
from reconcilers.runtime.replica import Replica
from reconcilers.runtime.run import run_reconcilers


class Lamp:
    """Its only key is the light's path."""

    shards, resync_s = 1, 30.0

    def __init__(self, replica: Replica, group: str, light: str) -> None:
        self.name = f"lamp {group} {light}"
        place = f"/groups/{group}/lights/{light}"
        self._path = path = f"/signals{place}"
        self._actor = Actor(self.name, LIGHT, scopes=frozenset({place}))
        self._reads, self._appender = replica.reads, replica.appender
        self.watches = {"Light": lambda change: [Wake(path)] if change.path == path else []}

    async def keys(self) -> list[str]:
        return [self._path]

    async def reconcile(self, key: str, fence: Fence) -> None:
        light = await self._reads.node(key)
        if light is None or light.status.get("colour") == light.spec["colour"]:
            return
        print(self.name, "shows", light.spec["colour"], flush=True)  # noqa: T201 - the bulb
        shown = Command("patchStatus", key, light.spec, expected_version=light.version)
        await self._appender.write(Unit((shown,), self._actor, fence=fence))


if __name__ == "__main__":
    sys.exit(run_reconcilers("-".join(["light", *sys.argv[1:3]]), lambda replica: [Lamp(replica, *sys.argv[1:3])]))
