"""Turns each group's program into the colour that each of its lights should show."""

import sys
import time

from datamodel.command import Actor, Command, Fence, Unit
from datamodel.kinds import SYSTEM, Document
from datamodel.names import last_name
from reconcilers.runtime.controller import Wake
from reconcilers.runtime.replica import Replica
from reconcilers.runtime.run import run_reconcilers

ACTOR = Actor("controller", SYSTEM)


class Programs:
    """Its key is a group's name."""

    name, shards, resync_s = "programs", 4, 30.0

    def __init__(self, replica: Replica) -> None:
        self._store, self._reads, self._appender = replica.store, replica.reads, replica.appender
        self.watches = {"Group": lambda change: [Wake(last_name(change.path))]}

    async def keys(self) -> list[str]:
        wanted, present = await self._store.list_nodes("Group"), await self._store.list_nodes("SignalGroup")
        return [last_name(node.path) for node in (*wanted, *present)]

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        """Writes what differs; the seconds until the next stage."""
        group, signals = await self._reads.node(f"/streets/groups/{key}"), f"/signals/groups/{key}"
        left_s, commands = None, []
        if group is not None:
            wanted, left_s = colours(group.spec, time.time())
            lights = await self._store.list_nodes("Light", under=signals)
            commands = [Command("delete", light.path) for light in lights if last_name(light.path) not in wanted]
            commands.append(Command("apply", signals))
            for name, colour in wanted.items():
                commands.append(Command("apply", f"{signals}/lights/{name}", {"colour": colour}))
        elif await self._reads.node(signals) is not None:
            commands = [Command("delete", signals)]
        await self._appender.write(Unit(tuple(commands), ACTOR, fence=fence))
        return left_s


def colours(spec: Document, now_s: float) -> tuple[dict[str, str], float]:
    """What each light of a group should show, and for how many seconds yet."""
    left_s = now_s % sum(stage["seconds"] for stage in spec["program"])
    for stage in spec["program"]:
        left_s -= stage["seconds"]
        if left_s < 0:
            break
    return {light: "green" if light in stage["green"] else "red" for light in spec["lights"]}, max(-left_s, 0.01)


if __name__ == "__main__":
    sys.exit(run_reconcilers("controller", lambda replica: [Programs(replica)]))
