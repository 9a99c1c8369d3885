"""The machines of a world and the programs on them: each boot composes the product's real code over the world's ports."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from agents.comparing import SURE_S, Comparing
from agents.leases import Leases
from agents.link import Link
from agents.logs.shipper import Shipper
from agents.loop import Agent
from agents.memory_journal import Content, Disk, MemoryJournal
from agents.news.images import DeclaredImages, ImageNews
from agents.news.ports import News
from agents.news.power import PowerNews
from agents.outbox import Outbox
from agents.program import live
from agents.session import Session
from datamodel.errors import TendrilError
from datamodel.feed.memory import MemoryMessages, MemoryStreams
from datamodel.feed.signing import Signing
from datamodel.identity.envelope import body_of
from datamodel.names import last_name
from datamodel.ports import Store
from datamodel.scheduling import wire
from datamodel.scheduling.attempts import claim_of
from datamodel.scheduling.edges import desired_path
from datamodel.scheduling.images import image_name
from datamodel.scheduling.logs import key_of
from datamodel.scheduling.windows import BOOT_BITS
from reconcilers.program import Program
from reconcilers.settings import Settings
from sim.world.beliefs import Beliefs
from sim.world.copies import Copies
from sim.world.database import Connection, Database
from sim.world.dice import Dice
from sim.world.engine import FULL_W, Engine, EnginePower, EngineRuntime
from sim.world.exclusion import Exclusion
from sim.world.journal import WorldJournal
from sim.world.keys import SITE, agent_key
from sim.world.line import Line, LineFeed, LineStreams
from sim.world.logbook import LineTranscripts, Logbook
from sim.world.outboxes import Outboxes
from sim.world.process import Process
from sim.world.receivers import Receivers
from sim.world.universe import Universe
from sim.world.weather import Weather

BEAT_S = 5.0
"""Three beats in a row must be lost before an edge is suspected: rough seas lose one of a hundred."""
COMPARE_S, ASK_S = 40.0, 20.0
"""Rather often, so that what the feed misses, or a database that was put back, is made good before a world's end."""
REVIVED_S = 1.0
"""After which a supervisor starts a program that ended by itself."""
UNHEARD = 0.02
KNOWN_S = 0.5
"""After which an agent knows what its disk has said, and what it has asked of its engine before is done."""
IMAGE = "world"
"""What all jobs run."""
WITH_IMAGES = 0.3
"""Of how many edges the engines say which images they have."""
WRITING = 0.06
"""Of how many edges the steps write: shipping a log takes many steps of a world's, and one costs time."""


@dataclass
class Surroundings:
    """What all programs of a world share. `complain(what)` is told of what no program may do."""

    universe: Universe
    dice: Dice
    weather: Weather
    database: Database
    messages: MemoryMessages
    streams: MemoryStreams
    settings: Settings
    outboxes: Outboxes
    logbook: Logbook
    receivers: Receivers
    exclusion: Exclusion
    complain: Callable[[str], None]


class Host(ABC):
    """One program and the machine under it, with a supervisor that starts the program whenever it is not running."""

    def __init__(self, around: Surroundings, name: str, delay_s: tuple[float, float]) -> None:
        self.around, self.name = around, name
        self.process = Process(around.universe, name)
        self.line = self._new_line(delay_s)
        self._delay_s = delay_s
        self._boots = 0
        self._stop = asyncio.Event()
        self._revived_s = REVIVED_S
        self._cut = (False, False)

    @abstractmethod
    async def run(self, stop: asyncio.Event) -> None:
        """The program, until `stop` is set."""

    def boot(self) -> None:
        """Starts the program, unless it runs."""
        if not self.process.alive:
            self._boots += 1
            self.line.drop()
            self.line = self._new_line(self._delay_s)
            up, down = self._cut
            if up or down:
                self.line.cut(up=up, down=down)
            self._stop = asyncio.Event()
            self.process.start(self._life)

    def cut(self, *, up: bool, down: bool) -> None:
        """Cuts the machine's line, whichever program is behind it, until `mend`."""
        self._cut = (up, down)
        self.line.cut(up=up, down=down)

    def mend(self) -> None:
        self._cut = (False, False)
        self.line.mend()

    def kill(self, down_s: float) -> None:
        """SIGKILL."""
        self._boots += 1
        self.process.kill()
        self.line.drop()
        self.around.universe.after(down_s, self._revive, self._boots)

    def stop(self, down_s: float) -> None:
        """SIGTERM."""
        self._revived_s = down_s
        self.process.deliver(self._stop.set)

    async def _life(self) -> None:
        boot = self._boots
        try:
            await self.run(self._stop)
        except* TendrilError:
            pass  # a program may give up; it is started again
        except* Exception as bugs:  # noqa: BLE001 - whatever it is, a program of ours must not end by it
            if boot == self._boots:  # else it was killed, and its ends are loose
                self.around.complain(f"{self.name} crashed: {bugs.exceptions}")
        self.around.universe.after(self._revived_s, self._revive, boot)
        self._revived_s = REVIVED_S

    def _revive(self, boot: int) -> None:
        if boot == self._boots:
            self.boot()

    def _new_line(self, delay_s: tuple[float, float]) -> Line:
        around = self.around
        rng = around.dice.stream(f"line/{self.name}")
        return Line(around.universe, self.process, around.messages, rng, around.weather, delay_s)


class HubHost(Host):
    """One replica of the reconcilers."""

    def __init__(self, around: Surroundings, name: str) -> None:
        super().__init__(around, name, around.weather.hub_delay_s)
        self.away = False
        """The database does not answer this one."""

    async def run(self, stop: asyncio.Event) -> None:
        around, rng = self.around, self.around.dice.stream(f"hub/{self.name}")
        store = Connection(self.process, around.database, rng, around.weather, around.weather.hub_delay_s)
        store.is_cut = lambda: self.away
        streams = LineStreams(self.line, around.streams, rng, around.weather)
        sender = around.receivers.sender(self.process)
        program = Program(around.settings, cast("Store", store), self.line, streams, sender, self.process.wall)
        store.leased = Beliefs(self.process, program.shards, store.leases, around.complain).watch
        async with asyncio.TaskGroup() as group:
            running = group.create_task(program.run())
            await stop.wait()
            running.cancel()


class EdgeHost(Host):
    """One agent with one edge: its engine and its disk outlive the program."""

    def __init__(self, around: Surroundings, name: str, slots: int, *, host: str = "") -> None:
        """`host`: the machine's name, where that is not the edge's: it runs from a copy of another one's disk."""
        self.host = host or name
        super().__init__(around, self.host, around.weather.edge_delay_s)
        self.name = name
        self._rng = around.dice.stream(f"edge/{self.host}")
        self._slots = slots
        self.engine = Engine(around.universe, self._rng, self.process.wall_s, _epoch_of)
        self.engine.clearing, self.engine.beginning = self._clearing, self._beginning
        around.exclusion.watch(name, self.engine)
        if not host and around.dice.stream(f"logs/{name}").random() < WRITING:
            self.engine.logbook = around.logbook
        if around.dice.stream(f"images/{name}").random() < WITH_IMAGES:
            self.engine.images = (str(image_name(IMAGE)),)
        self.disk = Disk()
        self.swallowing = False
        """Whether messages of the feed to its agent are lost."""
        self._swallowed: set[str] = set()
        """Attempts of which some were: the agent may believe that nobody wants them."""
        self.comparing: Comparing | None = None
        """What the agent of now, or the last one, compares."""
        self._journal: WorldJournal | None = None
        self._copies: Copies[Content | None] = Copies(around.universe, lambda: self.disk.content)

    def kill(self, down_s: float) -> None:
        super().kill(down_s)
        self.disk.crash(unsynced=self._rng.random() < 0.5)

    def end(self) -> None:
        """The machine is gone for good."""
        super().kill(0.0)
        self._boots += 1  # nobody starts it again
        self.engine.wipe()

    def restore(self, age_s: float) -> None:
        """The disk is as it was so long ago, or as near to it as copies go back."""
        older = self._copies.of(age_s)
        self.disk.put_back(older[-1] if older else None)

    async def run(self, stop: asyncio.Event) -> None:
        around, process, rng = self.around, self.process, self._rng
        around.outboxes.began(SITE, self.name, self.host)
        journal = self._journal = WorldJournal(process, MemoryJournal(self.disk), rng, self._kept, self._forgot)
        incarnations = iter(lambda: f"{rng.getrandbits(128):032x}", "")
        async with Outbox(journal, lambda: next(incarnations)) as outbox:
            runtime = EngineRuntime(process, self.engine, rng, unheard=UNHEARD)
            registration = wire.EdgeReport(
                edge=self.name,
                at=process.wall(),
                cpu=float(self._slots),
                memory_bytes=2**30,
                power_w=FULL_W,
                runtime=runtime.name,
                agent_version="world",
            )
            logs = Shipper(runtime, LineTranscripts(self.line, around.logbook)) if runtime.keeps_output else None
            messages = Signing(self.line, agent_key(self.name))
            session = Session(outbox, host=self.host, draw=lambda: rng.getrandbits(BOOT_BITS), clock=self._clock_s)
            leases = Leases(messages, session, runtime, SITE, self.name, clock=self._clock_s)
            agent = Agent(runtime, outbox, [registration], process.wall, logs=logs, news=self._news(), leases=leases)
            feed = LineFeed(self.line, around.streams, self._swallows)
            link = Link(
                messages,
                feed,
                outbox,
                SITE,
                self.name,
                [self.name],
                beat_s=BEAT_S,
                ask_s=ASK_S,
                compare_s=(COMPARE_S, SURE_S),
                session=session,
            )
            self.comparing = link.comparing
            await live(agent, link, stop)

    def _clock_s(self) -> float:
        """The machine's CLOCK_BOOTTIME, by which its engine goes too."""
        return self.around.universe.now_s

    def _news(self) -> list[News]:
        edges = [self.name]
        news: list[News] = [PowerNews(EnginePower(self.engine), edges, FULL_W, self.process.wall)]
        if self.engine.images is not None:
            news.append(ImageNews(DeclaredImages(self.engine.images), edges))
        return news

    def _new_line(self, delay_s: tuple[float, float]) -> Line:
        line = super()._new_line(delay_s)
        line.published = self._published
        return line

    def _published(self, subject: str, body: bytes) -> None:
        if subject == wire.report_subject(SITE, self.name):
            self.around.outboxes.sent(body_of(body), self.host)

    def _kept(self, incarnation: str, first: int, bodies: Sequence[bytes]) -> None:
        self.around.outboxes.kept(f"{SITE}/{self.name}/{incarnation}", first, bodies, self.host)

    def _forgot(self, incarnation: str, through: int) -> None:
        """A database that was put back has forgotten too."""
        if not self.around.database.restores:
            state = self.around.database.store.state
            self.around.outboxes.forgot(f"{SITE}/{self.name}/{incarnation}", through, state, self.host)

    def _beginning(self, attempt: str) -> None:
        """What a disk takes no report of is not begun, once the agent knows."""
        refused_s = self._journal.refused_s if self._journal is not None else None
        if refused_s is not None and self.around.universe.now_s - refused_s > KNOWN_S:
            self.around.complain(f"{self.name} begins {attempt}, and its disk takes no reports")

    def _swallows(self, path: str) -> bool:
        if self.swallowing:
            self._swallowed.add(last_name(path))
        return self.swallowing

    def _clearing(self, attempt: str) -> None:
        """Of a database that was put back, the agent may still know that the attempt is not wanted."""
        if self.around.database.restores or attempt in self._swallowed:
            return
        state = self.around.database.store.state
        self.around.outboxes.cleared(SITE, self.name, attempt, state)
        # One that is told to end has no time, and what nobody wants any more is not waited for.
        known = f"{desired_path(SITE, self.name)}/attempts/{attempt}" in state.nodes
        if self.engine.logbook is not None and known and not self._stop.is_set():
            observed = self.engine.observed(attempt)
            assert observed is not None, "it is about to be cleared away"
            self.engine.logbook.cleared(key_of(SITE, self.name, attempt), observed)


def _epoch_of(attempt: str) -> int:
    claim = claim_of(attempt)
    return claim.epoch if claim is not None else 0
