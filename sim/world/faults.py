"""What each action of a script does to a world."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from agents.news.power import Power
from datamodel.event import Event
from datamodel.node import Node
from datamodel.scheduling.wire import Foreseen
from sim.world import script
from sim.world.client import Client
from sim.world.clones import Clones
from sim.world.database import Database
from sim.world.engine import FULL_W
from sim.world.hosts import EdgeHost, Host, HubHost, Surroundings
from sim.world.keepers import Keepers
from sim.world.process import EPOCH
from sim.world.rogues import Rogues
from sim.world.watchers import Watcher

Spells = script.Pause | script.Cut | script.Away | script.Full | script.Swallow | script.Clone
DATABASE = "database"
READ_S = 5.0
"""Where nothing is broken, everybody has read by then what was written."""
HEALED_S = 240.0
"""In which what a feed missed is made good: three looks, of which rough weather may lose some."""
ENDING_S = 20.0
"""How long an agent may take to end by itself: it gives its steps ten seconds, and the hub five."""


@dataclass
class Memory:
    """What a database that was put back does not know, by path: nodes that it has lost, and deletions."""

    forgotten: set[str] = field(default_factory=set)
    revived: set[str] = field(default_factory=set)
    restored: bool = False
    """Whether it ever was put back."""

    def written(self, event: Event) -> None:
        """It knows again."""
        self.forgotten.discard(event.path)
        if event.op in ("deletionRequested", "deleted"):
            self.revived.discard(event.path)


class Faults:
    """Does actions when they are due, and mends everything in the end. `bitten` counts those that met something to bite."""

    def __init__(
        self,
        around: Surroundings,
        hosts: Mapping[str, Host],
        edges: Mapping[str, EdgeHost],
        hub: Mapping[str, HubHost],
        client: Client,
        rogues: Rogues,
        keepers: Keepers,
        watchers: Mapping[script.Watch, Watcher],
        slots: int,
    ) -> None:
        self.bitten = Counter[str]()
        self.memory = Memory()
        self.clones = Clones(edges, slots)
        self._trouble_s: dict[str, float] = {}
        self._spells: dict[tuple[type[script.Spell], str], float] = {}
        self._around, self._hosts, self._edges, self._hub, self._client = around, hosts, edges, hub, client
        self._rogues, self._keepers, self._watchers = rogues, keepers, watchers
        self._database: Database = around.database

    def whole_since(self, edge: str) -> float:
        """Since when an edge, or the hub (empty), has had no trouble of this script's; in the future while it has."""
        return self._trouble_s.get(edge, 0.0)

    def do(self, action: script.AnyAction) -> None:
        bites = True
        self._note(action)
        match action:
            case script.Submit() | script.Delete() | script.Ask() | script.Serve() | script.Repeat():
                self._client.ask(action)
            case script.Plan() | script.Replan() | script.Rule() | script.Shed() | script.Maintain() | script.Times():
                self._client.ask(action)
            case script.Foresee() | script.Say() | script.Adopt():
                self._client.ask(action)
            case script.Power(edge=edge, watts=watts, ahead=ahead):
                now = EPOCH + timedelta(seconds=self._around.universe.now_s)
                expected = tuple(Foreseen(now + timedelta(seconds=after_s), later_w) for after_s, later_w in ahead)
                self._edges[edge].engine.power = Power(watts, expected)
            case script.Rogue():
                self._rogues.do(action)
            case script.Compact():
                self._keepers.do(action)
            case script.Watch():
                self._watchers[action].start()
            case script.Kill(program=program, down_s=down_s):
                bites = self._hosts[program].process.alive
                self._hosts[program].kill(down_s)
            case script.Stop(program=program, down_s=down_s):
                bites = self._hosts[program].process.alive
                self._hosts[program].stop(down_s)
            case script.Crash() | script.LoseDisk() | script.RestoreDisk():
                self._lose(action)
            case script.Pause() | script.Cut() | script.Away() | script.Full() | script.Swallow() | script.Clone():
                bites = self._have_a_spell(action)
            case script.Jump(program=program, by_s=by_s) if program == DATABASE:
                self._database.jumped_s += by_s
            case script.Jump(program=program, by_s=by_s):
                self._hosts[program].process.jump(by_s)
            case script.Restore(age_s=age_s):
                bites = self._put_back(age_s)
            case script.Wipe():
                self._around.streams.wipe()
                self._around.logbook.wipe()
        self.bitten[type(action).__name__] += bites

    def mend(self) -> None:
        """Nothing is broken any more, every edge is used and has its power, and no schedule goes on."""
        self._client.use_all_edges()
        self._client.end_maintenance()
        self._client.suspend_all_schedules()
        self._trouble_s = dict.fromkeys(self._trouble_s, self._around.universe.now_s)
        self.clones.end_all()
        self._database.away = False
        for host in self._hosts.values():
            host.process.resume()
            host.mend()
            host.boot()
        for replica in self._hub.values():
            replica.away = False
        for edge in self._edges.values():
            edge.engine.away, edge.disk.failure, edge.swallowing = False, None, False
            edge.engine.power = Power(FULL_W)

    def _note(self, action: script.AnyAction) -> None:
        """When the trouble that an action makes is over."""
        match action:
            case script.Fall(at_s=at_s, program=program, down_s=down_s):
                until_s = at_s + down_s + (ENDING_S if isinstance(action, script.Stop) else 0.0)
            case script.Spell(at_s=at_s, program=program, for_s=for_s):
                until_s = at_s + for_s + (HEALED_S if isinstance(action, script.Swallow) else 0.0)
            case script.Jump(at_s=until_s, program=program):
                pass
            case script.Restore(at_s=until_s) | script.Wipe(at_s=until_s):
                program = DATABASE
            case script.Compact(at_s=until_s, keep_s=keep_s) if keep_s < READ_S:
                program = DATABASE
            case _:
                return
        whose = program if program in self._edges else ""
        self._trouble_s[whose] = max(until_s, self._trouble_s.get(whose, 0.0))

    def _put_back(self, age_s: float) -> bool:
        """What was written since is known to be lost, and what was deleted since is there again."""
        store, restores = self._database.store, self._database.restores
        before = dict(store.state.nodes)
        self._database.restore(age_s)
        after = store.state.nodes
        self.memory.forgotten |= {*before}.difference(after)
        self.memory.revived |= {path for path, node in after.items() if not _goes(node) and _goes(before.get(path))}
        self.memory.restored |= self._database.restores > restores
        return self._database.restores > restores

    def _lose(self, action: script.Crash | script.LoseDisk | script.RestoreDisk) -> None:
        edge = self._edges[action.program]
        edge.kill(action.down_s)
        match action:
            case script.Crash(empty=empty):
                edge.engine.crash()
                if empty:
                    edge.engine.wipe()
                    edge.disk.put_back(None)
            case script.LoseDisk():
                edge.disk.put_back(None)
            case script.RestoreDisk(age_s=age_s):
                edge.restore(age_s)

    def _have_a_spell(self, action: Spells) -> bool:
        """Whether there was anything to bite. Where two of a kind overlap, the later end is the end."""
        universe, spell = self._around.universe, (type(action), action.program)
        begin, end, bites = self._spell(action)
        begin()
        end_s = self._spells[spell] = max(action.at_s + action.for_s, self._spells.get(spell, 0.0))
        universe.at(end_s, lambda: end() if self._spells[spell] == end_s else None)
        return bites

    def _spell(self, action: Spells) -> tuple[Callable[[], object], Callable[[], object], bool]:
        match action:
            case script.Pause(program=program):
                process = self._hosts[program].process
                return process.pause, process.resume, process.alive
            case script.Cut(program=program, up=up, down=down):
                host = self._hosts[program]
                return lambda: host.cut(up=up, down=down), host.mend, True
            case script.Away(program=program):
                found = (
                    self._edges[program].engine if program in self._edges else self._hub.get(program, self._database)
                )
                return lambda: setattr(found, "away", True), lambda: setattr(found, "away", False), True
            case script.Clone(program=program):
                bites = self.clones.begin(program)
                return lambda: None, lambda: self.clones.end(program), bites
            case script.Full(program=program):
                disk = self._edges[program].disk
                return lambda: setattr(disk, "failure", "full"), lambda: setattr(disk, "failure", None), True
            case script.Swallow(program=program):
                edge = self._edges[program]
                return lambda: setattr(edge, "swallowing", True), lambda: setattr(edge, "swallowing", False), True


def _goes(node: Node | None) -> bool:
    """It is deleted, or about to be."""
    return node is None or node.deletion_requested_at is not None
