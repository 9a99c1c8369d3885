"""What each action of a script does to a world."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from datamodel.event import Event
from datamodel.node import Node
from sim.world.client import Client
from sim.world.database import Database
from sim.world.hosts import EdgeHost, Host, Surroundings
from sim.world.script import (
    AnyAction,
    Away,
    Crash,
    Cut,
    Delete,
    Full,
    Jump,
    Kill,
    LoseDisk,
    Pause,
    Restore,
    RestoreDisk,
    Stop,
    Submit,
    Wipe,
)

DATABASE = "database"


@dataclass
class Memory:
    """What a database that was put back does not know, by path: nodes that it has lost, and deletions."""

    forgotten: set[str] = field(default_factory=set)
    revived: set[str] = field(default_factory=set)

    def written(self, event: Event) -> None:
        """It knows again."""
        self.forgotten.discard(event.path)
        if event.op in ("deletionRequested", "deleted"):
            self.revived.discard(event.path)


class Faults:
    """Does actions when they are due, and mends everything in the end. `bitten` counts those that met something to bite."""

    def __init__(
        self, around: Surroundings, hosts: Mapping[str, Host], edges: Mapping[str, EdgeHost], client: Client
    ) -> None:
        self.bitten = Counter[str]()
        self.memory = Memory()
        self._around, self._hosts, self._edges, self._client = around, hosts, edges, client
        self._database: Database = around.database

    def do(self, action: AnyAction) -> None:
        bites = True
        match action:
            case Submit():
                self._client.submit(action)
            case Delete():
                self._client.delete(action)
            case Kill(program=program, down_s=down_s):
                bites = self._hosts[program].process.alive
                self._hosts[program].kill(down_s)
            case Stop(program=program, down_s=down_s):
                bites = self._hosts[program].process.alive
                self._hosts[program].stop(down_s)
            case Pause(program=program, for_s=for_s):
                process = self._hosts[program].process
                bites = process.alive
                process.pause()
                self._after(for_s, process.resume)
            case Cut(program=program, for_s=for_s, up=up, down=down):
                host = self._hosts[program]
                host.cut(up=up, down=down)
                self._after(for_s, host.mend)
            case Jump(program=program, by_s=by_s) if program == DATABASE:
                self._database.jumped_s += by_s
            case Jump(program=program, by_s=by_s):
                self._hosts[program].process.jump(by_s)
            case Away(what=what, for_s=for_s):
                found = self._database if what == DATABASE else self._edges[what].engine
                found.away = True
                self._after(for_s, lambda: setattr(found, "away", False))
            case Restore(age_s=age_s):
                bites = self._put_back(age_s)
            case Wipe():
                self._around.streams.wipe()
            case Crash() | LoseDisk() | RestoreDisk():
                self._lose(action)
            case Full(program=program, for_s=for_s):
                disk = self._edges[program].disk
                disk.failure = "full"
                self._after(for_s, lambda: setattr(disk, "failure", None))
        self.bitten[type(action).__name__] += bites

    def mend(self) -> None:
        """Nothing is broken any more."""
        self._database.away = False
        for host in self._hosts.values():
            host.process.resume()
            host.mend()
            host.boot()
        for edge in self._edges.values():
            edge.engine.away, edge.disk.failure = False, None

    def _put_back(self, age_s: float) -> bool:
        """What was written since is known to be lost, and what was deleted since is there again."""
        store, restores = self._database.store, self._database.restores
        before = dict(store.state.nodes)
        self._database.restore(age_s)
        after = store.state.nodes
        self.memory.forgotten |= before.keys() - after.keys()
        self.memory.revived |= {path for path, node in after.items() if not _goes(node) and _goes(before.get(path))}
        return self._database.restores > restores

    def _lose(self, action: Crash | LoseDisk | RestoreDisk) -> None:
        edge = self._edges[action.program]
        edge.kill(action.down_s)
        match action:
            case Crash(empty=empty):
                edge.engine.crash()
                if empty:
                    edge.engine.wipe()
                    edge.disk.put_back(None)
            case LoseDisk():
                edge.disk.put_back(None)
            case RestoreDisk(age_s=age_s):
                edge.restore(age_s)

    def _after(self, delay_s: float, mend: Callable[[], object]) -> None:
        self._around.universe.after(delay_s, mend)


def _goes(node: Node | None) -> bool:
    """It is deleted, or about to be."""
    return node is None or node.deletion_requested_at is not None
