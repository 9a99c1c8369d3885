"""A world: hosts, database and message server, to which a script happens, until it is mended and has come to rest."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec

from datamodel.audit import Audit
from datamodel.event import Event
from datamodel.feed.memory import MemoryMessages, MemoryStreams
from datamodel.feed.ports import Stream
from datamodel.node import Node
from datamodel.ports import Head
from datamodel.rows import Keys, Rows
from datamodel.scheduling.edges import DISCONNECTED, GONE, LOST, SUSPECT
from datamodel.scheduling.model import MODEL
from datamodel.state import State
from datamodel.verify import Report, verify
from reconcilers.settings import Settings
from sim.world import checks
from sim.world.beginnings import Beginnings
from sim.world.causes import Causes
from sim.world.client import Client
from sim.world.cutoffs import Cutoffs
from sim.world.database import Database
from sim.world.dice import Dice
from sim.world.exclusion import Exclusion
from sim.world.faults import Faults
from sim.world.hosts import EdgeHost, Host, HubHost, Surroundings
from sim.world.keepers import Keepers
from sim.world.lateness import LOOK_S, Lateness, waiting
from sim.world.logbook import Logbook
from sim.world.manners import Manners
from sim.world.operating import Operating
from sim.world.outboxes import Outboxes
from sim.world.past import Past
from sim.world.process import EPOCH, Process
from sim.world.reasons import Reasons, untold
from sim.world.receivers import Receivers
from sim.world.rests import Rests
from sim.world.rogues import Rogues
from sim.world.script import Jump, Script, Submit, Watch, is_timely
from sim.world.splits import Splits
from sim.world.universe import Universe
from sim.world.watchers import Watcher
from sim.world.weather import CALM
from sim.world.witness import Witness

LOOKED_S = 2.0
REST_LIMIT_S = 600.0
"""How long a mended world may take to come to rest."""
STILL_S = 30.0
"""For which a world at rest must not write anything."""
ROUGH_RESTS = 2
"""How often that may be tried in rough weather: it may lose three heartbeats in a row, and then an edge's silence is a fact."""
DAY_S = 86_400.0
SETTINGS = Settings(
    database_url="world:",
    nats_url="world:",
    suspect_after_s=18.0,
    disconnected_after_s=30.0,
    lost_after_s=90.0,
    lease_ttl_s=15.0,
    poll_s=5.0,
    callbacks_timeout_s=5.0,
    callbacks_give_up_s=120.0,
)
PATIENCE_S = {
    SUSPECT: SETTINGS.suspect_after_s,
    DISCONNECTED: SETTINGS.disconnected_after_s,
    LOST: SETTINGS.lost_after_s,
    GONE: SETTINGS.disconnected_after_s,
}

_encode = msgspec.json.Encoder().encode


@dataclass
class Outcome:
    """What happened in a world, and what did not hold."""

    script: Script
    broken: list[str] = field(default_factory=list)
    """A sentence for each violation; empty where everything held."""
    seconds: float = 0.0
    """Virtual, until rest."""
    counts: Counter[str] = field(default_factory=Counter)
    digest: str = ""
    """Of every event, in order: the same seed has the same."""


class World:
    """Made of a script, and run once."""

    def __init__(self, script: Script) -> None:
        self.outcome = Outcome(script)
        self._script = script
        self._universe = Universe()
        self._dice = Dice(script.seed)
        self._digest = hashlib.sha256()
        self._audit = Audit(MODEL)
        self._causes = Causes()
        complain = self.outcome.broken.append
        self._witness, self._manners = Witness(MODEL, complain, PATIENCE_S), Manners(complain)
        self._beginnings, self._splits, self._reasons = Beginnings(complain), Splits(complain), Reasons(complain)
        self._rests = Rests(complain, is_steady=not any(isinstance(action, Jump) for action in script.actions))
        timely = is_timely(script.actions)
        self._operating = Operating(complain, lambda: self._faults.whole_since(""), is_timely=timely)
        outboxes = Outboxes(complain)
        self._database = Database(self._universe, MODEL, self._appended, self._restored, self._witness, outboxes)
        self._receivers = Receivers(self._dice, self.outcome.broken, SETTINGS.callbacks_timeout_s)
        self._streams, self._logbook, self._cutoffs = MemoryStreams(), Logbook(complain), Cutoffs(complain)
        self._exclusion = Exclusion(self._universe, self._database, self.outcome.broken)
        around = Surroundings(
            self._universe,
            self._dice,
            script.weather,
            self._database,
            MemoryMessages(),
            self._streams,
            _settings(script),
            outboxes,
            self._logbook,
            self._receivers,
            self._exclusion,
            complain,
        )
        self._edges = {name: EdgeHost(around, name, script.slots) for name in _names("edge", script.edges)}
        self._hub = {name: HubHost(around, name) for name in _names("reconcilers", script.replicas)}
        self._hosts: dict[str, Host] = {**self._hub, **self._edges}
        self._engines = {name: edge.engine for name, edge in self._edges.items()}
        self._client = Client(self._universe, self._dice, self._database, script.weather, around.complain)
        self._rogues = Rogues(around, script.slots)
        self._keepers, self._past = Keepers(around), Past()
        watching = [action for action in script.actions if isinstance(action, Watch)]
        self._watchers = {action: Watcher(around, action, self._past) for action in watching}
        doers = self._client, self._rogues, self._keepers, self._watchers
        self._faults = Faults(around, self._hosts, self._edges, self._hub, *doers, script.slots)
        self._lateness = Lateness(self._faults.whole_since, around.complain)

    def run(self) -> Outcome:
        with self._dice.in_charge(), self._universe:
            self._client.start(self._begin, self._edges)
            if not self._goes_wrong_until(self._script.seconds):
                self._faults.mend()
                self._come_to_rest()
            self._tell()
        return self.outcome

    @property
    def nodes(self) -> Mapping[str, Node]:
        """The graph as it is, by path."""
        return self._state.nodes

    @property
    def now_s(self) -> float:
        return self._universe.now_s

    def _begin(self) -> None:
        for host in self._hosts.values():
            host.boot()
        self._rogues.start()
        self._look()
        for action in self._script.actions:
            self._universe.at(action.at_s, self._faults.do, action)

    def _look(self) -> None:
        position = self._database.position
        now = EPOCH + timedelta(seconds=self._universe.now_s) if is_timely(self._script.actions) else None
        self._lateness.look(
            self._universe.now_s, lambda: waiting(self._state, self._engines, self._streams.end, position, now)
        )
        self._universe.after(LOOK_S, self._look)

    def _goes_wrong_until(self, until_s: float) -> bool:
        return self._universe.run_until(self.outcome.broken.__len__, until_s)

    def _come_to_rest(self) -> None:
        """Nothing may be broken on the way there, and at rest everything must hold."""
        limit_s = self._universe.now_s + REST_LIMIT_S
        while going_on := list(self._unrest()):
            if self._universe.now_s >= limit_s:
                self.outcome.broken.extend(f"no rest: {what}" for what in going_on[:10])
                return
            if self._goes_wrong_until(self._universe.now_s + LOOKED_S):
                return
        self.outcome.seconds = self._universe.now_s
        if self._goes_wrong_until(self._universe.now_s + STILL_S):
            return
        for _ in range(1 if self._script.weather == CALM else ROUGH_RESTS):
            position = self._database.position
            if self._goes_wrong_until(self._universe.now_s + STILL_S):
                return
            if self._database.position == position:
                break
        else:
            self.outcome.broken.append(f"{self._database.position - position} events were written at rest")
        self.outcome.broken.extend(self._violations())

    def _unrest(self) -> Iterator[str]:
        yield from checks.unrest(self._state, self._client, self._faults.memory, self._engines)
        yield from checks.unseen(self._state, self._edges)
        if self._rogues.waiting:
            yield f"{self._rogues.waiting} rogues are not answered"
        if self._keepers.waiting:
            yield f"{self._keepers.waiting} compactions are not done"
        for watcher in self._watchers.values():
            if watcher.behind(self._database.position):
                yield f"{watcher.process.name} is behind the log, which is at {self._database.position}"

    def _violations(self) -> Iterator[str]:
        yield from checks.lost_or_wrong(self._state, self._client, self._faults.memory)
        yield from checks.made_wrong(self._state)
        yield from untold(self._state)
        yield from checks.unbelievable(self._state, {**self._engines, **dict(self._faults.clones.engines())})
        yield from checks.untold(
            self._state, self._client, self._faults.memory, self._receivers, is_quiet=self._is_quiet
        )
        for watcher in self._watchers.values():
            yield from watcher.wrong(self._state.nodes)
        report, newest = self._read_at_rest()
        yield from self._unrelayed(newest)
        yield from report.differences
        for process in self._processes():
            yield from (f"{process.name}: {complaint}" for complaint in process.complaints)
            if process.exception is not None:
                yield f"{process.name} crashed: {process.exception!r}"

    @property
    def _is_quiet(self) -> bool:
        """Whether nothing was wrong at any time with the hub and what it stands on."""
        return self._script.weather == CALM and not self._faults.whole_since("")

    def _processes(self) -> Iterator[Process]:
        yield from (self._client.process, self._rogues.process, *self._keepers.processes)
        yield from (host.process for host in self._hosts.values())
        yield from (watcher.process for watcher in self._watchers.values())

    def _unrelayed(self, newest: Stream | None) -> Iterator[str]:
        if newest is None or newest.last != self._database.position:
            yield f"the log is at {self._database.position}, the feed at {newest}"
        else:
            if newest.epoch > 1 and self._is_quiet:
                yield f"the feed was made {newest.epoch} times, and nothing was ever wrong with the hub"
            yield from checks.not_relayed(self._state, self._streams, newest.epoch)

    def _read_at_rest(self) -> tuple[Report, Stream | None]:
        """The whole log folded, and the feed, as a program of its own finds them."""
        found: list[tuple[Report, Stream | None]] = []

        async def read() -> None:
            found.append((await verify(self._database.store), await self._streams.newest()))

        Process(self._universe, "verifier").start(read)
        self._universe.run(self._universe.now_s)
        return found[0]

    @property
    def _state(self) -> State:
        return self._database.store.state

    def _appended(self, events: list[Event]) -> None:
        """Audits each event, and the rows that it touched, before anybody sees them."""
        touched = Keys()
        for event in events:
            self._faults.memory.written(event)
            self._receivers.appended(event)
            self._splits.appended(event, self._state)
            self._reasons.appended(event, self._universe.now_s)
            for one in (self._witness, self._manners, self._beginnings, self._rests, self._cutoffs, self._operating):
                one.appended(event, self._state, self._universe.now_s)
            self._digest.update(_encode(event))
            self.outcome.counts[event.op] += 1
            self.outcome.broken.extend(self._audit.step(event))
            self.outcome.broken.extend(self._causes.wrong(event, self._state))
            touched.touch(MODEL, event)
        self.outcome.broken.extend(self._audit.compare(Rows.of(MODEL, self._state, touched), touched))
        if self._watchers:
            self._past.note(events[-1].position, self._state.nodes)

    def _restored(self, head: Head) -> None:
        self._audit = Audit.at(MODEL, head, self._state)
        self._manners.restored(self._state, self._universe.now_s)
        self._causes.restored()
        self._beginnings.restored(self._state.nodes)
        self._splits.restored(self._state)
        for one in (self._receivers, self._rests, self._reasons, self._cutoffs, self._exclusion):
            one.restored()
        self._operating.restored(self._universe.now_s)
        if self._watchers:
            self._past.restored(head.position, self._state.nodes)

    def _tell(self) -> None:
        outcome, counts = self.outcome, self.outcome.counts
        outcome.digest = self._digest.hexdigest()
        counts["positions"] = self._database.position
        counts["steps"] = self._universe.steps
        counts["chunks"] = sum(action.chunks for action in self._script.actions if isinstance(action, Submit))
        counts["containers"] = sum(line.what == "start" for engine in self._engines.values() for line in engine.ledger)
        counts["logs"] = self._logbook.whole
        counts["calls"], counts["told"] = self._receivers.calls, self._reasons.told
        counts["exclusive"], counts["refused"] = self._exclusion.started, self._rogues.tried
        counts.update(self._cutoffs.counts)
        counts["gone"] = self._database.gone + sum(watcher.left_behind for watcher in self._watchers.values())
        counts["oldest"] = self._database.oldest
        counts.update(self._faults.bitten)


def _settings(script: Script) -> Settings:
    """The reconcilers' own, which forget the log where the script says so."""
    if script.keep_s is None:
        return SETTINGS
    return SETTINGS.model_copy(update={"keep_log_days": script.keep_s / DAY_S})


def _names(kind: str, count: int) -> list[str]:
    return [f"{kind}-{number}" for number in range(count)]
