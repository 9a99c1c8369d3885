"""One agent's life: it makes what runs on its edges follow its part of the graph, and reports every step of the way.

Attempts are keys of a queue: a change in the graph or at the engine wakes one, a worker observes it, asks `converge` for
the next action and does it. A report is in the outbox before anything that depends on it happens.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from agents.convergence import (
    Desired,
    Remove,
    Reported,
    ReportEnd,
    ReportRunning,
    StartStep,
    Stop,
    Wait,
    converge,
)
from agents.outbox import Outbox
from agents.reports import ended, outputs_of, running
from agents.runtimes.protocol import Observed, Runtime
from agents.work import desired_of, phase_of
from datamodel.errors import Invalid, TendrilError
from datamodel.keyqueue import KeyQueue
from datamodel.kinds import Document
from datamodel.names import last_name
from datamodel.ports import FeedItem, Message, Restarted, Synced
from datamodel.scheduling import wire
from datamodel.scheduling.attempts import ENDED

GRACE_S = 10.0
PROGRESS_S = 2.0
PROGRESS_PERCENT = 10.0
WORKERS = 64
RETRY_S = (0.2, 10.0)
_log = structlog.get_logger("agent")


@dataclass(slots=True)
class Told:
    """What the outbox has of one attempt, and when its progress was told last. `gone`: its end is told and nothing of it is
    left here, so what the hub says of it until it has settled the end changes nothing."""

    story: Reported = "nothing"
    percent: float = 0.0
    at_s: float = 0.0
    gone: bool = False
    uid: str = ""
    """Of the node that it was told of, where that is known."""


class Agent:
    """The loop. `registrations` are the reports that introduce its edges; `clock` stamps the others."""

    def __init__(
        self,
        runtime: Runtime,
        outbox: Outbox,
        registrations: list[wire.EdgeReport],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._runtime = runtime
        self._outbox = outbox
        self._registrations = registrations
        self._clock = clock
        self._desired: dict[str, Desired] = {}
        self._listing: set[str] | None = None
        self._told: dict[str, Told] = {}
        self._queue = KeyQueue()
        self._synced = asyncio.Event()
        self._feed_restarted = asyncio.Event()
        self._failures: dict[str, int] = {}
        self._stopping = False
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self) -> None:
        """Runs until it is cancelled. What runs at the engine goes on; see `interrupt`."""
        self._remember_outbox()
        await self._runtime.open(self._queue.add)
        await self._introduce()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._adopt(), name="adopt")
            group.create_task(self._introduce_again(), name="introductions")
            group.create_task(self._converge_all(), name="attempts")

    def deliver(self, item: FeedItem) -> None:
        """Takes in a message of the feed."""
        match item:
            case Message():
                self._take(item)
            case Restarted():
                self._listing = set()
                if self._synced.is_set():
                    self._feed_restarted.set()
            case Synced():
                self._forget_unlisted()
                self._synced.set()

    def tell_anew(self) -> None:
        """Of what was told, only what is in the outbox still is: the hub, or this agent, has forgotten the rest."""
        known = {**self._desired, **self._told}
        self._told = {}
        self._remember_outbox()
        for name in {**known, **self._told}:
            self._queue.add(name)

    async def interrupt(self) -> None:
        """Ends everything that runs and reports it as interrupted, so that it is tried elsewhere at no cost of a retry."""
        self._stopping = True
        await self._idle.wait()
        begun = [name for name, told in self._told.items() if told.story != "ended"]
        for name, result in zip(
            begun, await asyncio.gather(*map(self._interrupt, begun), return_exceptions=True), strict=True
        ):
            if isinstance(result, Exception):  # the next agent finds it as it is
                _log.warning("an attempt could not be interrupted", attempt=name, error=str(result))

    def _take(self, message: Message) -> None:
        name = last_name(message.path)
        if self._listing is not None:
            self._listing.add(name)
        known, told = self._desired.get(name), self._told.get(name)
        phase = None if message.deleted else phase_of(message)
        if told is not None and told.uid not in ("", message.uid) and not message.deleted:
            del self._told[name]  # that was of another node of this name, in a database that was put back since
            told = None
        if (told is None or told.gone) and (phase is None or phase in ENDED):
            self._forget(name)  # nothing of it is here; what is being started just now finds so when it has
            return
        if phase is None:
            self._desired.pop(name, None)
        else:
            desired = self._desired[name] = desired_of(message, phase, known)
            if told is not None and (told.gone or (told.story == phase and _asks_the_same(desired, known))):
                return
        if self._synced.is_set():
            self._queue.add(name)

    def _forget_unlisted(self) -> None:
        """After a present, what it did not name is gone."""
        listed, self._listing = self._listing or set(), None
        for name in self._desired.keys() - listed:
            del self._desired[name]
        for name in (*self._desired, *self._told):
            self._queue.add(name)

    def _remember_outbox(self) -> None:
        """A restarted agent knows from its outbox which stories are told."""
        for _, body in self._outbox.pending:
            report = wire.decode_report(body)
            if isinstance(report, wire.AttemptReport):
                story: Reported = "running" if report.phase == "running" else "ended"
                self._told[report.attempt] = Told(story, report.percent, uid=report.uid)

    async def _introduce(self) -> None:
        for report in self._registrations:
            await self._outbox.add(wire.encode(report))

    async def _introduce_again(self) -> None:
        """Whenever the feed has begun anew, since then the hub's database may be an older one, which may not know the edges.
        That it knows them already costs nothing."""
        while True:
            await self._feed_restarted.wait()
            self._feed_restarted.clear()
            try:
                await self._introduce()
            except TendrilError as error:
                _log.warning("the edges could not be introduced again", error=error.message)
                await asyncio.sleep(RETRY_S[1])
                self._feed_restarted.set()

    async def _adopt(self) -> None:
        """Once the present is known, everything that is found at the engine is looked at."""
        await self._synced.wait()
        for observed in await self._discovered():
            self._told.setdefault(observed.attempt, Told())
            self._queue.add(observed.attempt)

    async def _discovered(self) -> list[Observed]:
        while True:
            try:
                return await self._runtime.discover()
            except TendrilError as error:
                _log.warning("the engine does not answer", error=error.message)
                await asyncio.sleep(RETRY_S[1] / 10)

    async def _converge_all(self) -> None:
        await self._synced.wait()  # until then, whatever an engine tells of would seem to be wanted by nobody
        await self._queue.serve(self._work, WORKERS, "attempts")

    async def _work(self, name: str) -> None:
        self._busy += 1
        self._idle.clear()
        try:
            await self._converge(name)
            self._failures.pop(name, None)
        except TendrilError as error:
            failures = self._failures[name] = self._failures.get(name, 0) + 1
            _log.warning("again", attempt=name, error=error.message)
            self._queue.add_after(name, min(RETRY_S[0] * float(1 << min(failures, 10)), RETRY_S[1]))
        except Exception:  # noqa: BLE001 - one attempt's bug must not stop the others; it is logged with its trace
            _log.exception("an attempt's convergence crashed", attempt=name)
            self._queue.add_after(name, RETRY_S[1])
        finally:
            self._busy -= 1
            if not self._busy:
                self._idle.set()

    async def _converge(self, name: str) -> None:
        """Does actions until there is nothing to do for the attempt. It is observed anew where an action changed it; if it
        changes by itself meanwhile, the queue has it again."""
        observed = await self._runtime.observe(name)
        while not self._stopping:
            desired, told = self._desired.get(name), self._told.get(name)
            action = converge(desired, observed, told.story if told is not None else "nothing")
            match action:
                case Wait():
                    self._rest(name)
                    return
                case StartStep(index):
                    assert desired is not None
                    if self._outbox.full:
                        self._queue.add_after(name, RETRY_S[1])
                        return
                    await self._runtime.start_step(desired.work, index)
                    self._told.setdefault(name, Told())
                    observed = await self._runtime.observe(name)
                case Stop():
                    await self._runtime.stop(name, GRACE_S)
                    observed = await self._runtime.observe(name)
                case Remove():
                    await self._runtime.remove(name)
                    observed = None
                case ReportRunning():
                    assert desired is not None
                    assert observed is not None
                    await self._report_running(name, desired, observed, action)
                    self._queue.add_after(name, PROGRESS_S)
                    return
                case ReportEnd():
                    assert desired is not None
                    await self._report_end(name, desired, observed, action)

    def _rest(self, name: str) -> None:
        """Nothing of an attempt is left at the engine: it is forgotten if it is settled by the hub or wanted by nobody."""
        desired, told = self._desired.get(name), self._told.get(name)
        if desired is None or desired.phase in ENDED:
            self._forget(name)
        elif told is not None:
            told.gone = True

    def _forget(self, name: str) -> None:
        self._told.pop(name, None)
        self._desired.pop(name, None)

    async def _report_running(self, name: str, desired: Desired, observed: Observed, action: ReportRunning) -> None:
        """Tells that it runs, at once for the first time, then every 2 s or 10 %. It is to be looked at again either way: an
        engine may measure progress without saying so, or lose a word of an end."""
        told = self._told.setdefault(name, Told())
        now = asyncio.get_running_loop().time()
        moved = action.percent - told.percent
        if told.story == "running" and moved < PROGRESS_PERCENT and (moved <= 0 or now - told.at_s < PROGRESS_S):
            return
        report = running(desired, observed, action, self._clock())
        await self._outbox.add(wire.encode(report))
        told.story, told.percent, told.at_s, told.uid = "running", action.percent, now, desired.uid

    async def _report_end(self, name: str, desired: Desired, observed: Observed | None, end: ReportEnd) -> None:
        outputs: Document | None = None
        if end.phase == "succeeded":
            try:
                outputs = outputs_of(await self._runtime.result(name))
            except Invalid as error:
                end = ReportEnd("failed", end.exit_codes, "InvalidResult", error.message)
        report = ended(desired, observed, end, outputs, self._clock())
        await self._outbox.add(wire.encode(report))
        told = self._told.setdefault(name, Told())
        told.story, told.uid = "ended", desired.uid

    async def _interrupt(self, name: str) -> None:
        desired = self._desired.get(name)
        observed = await self._runtime.observe(name)
        if desired is None or observed is None:
            return
        end = converge(desired, observed, "running")
        if not isinstance(end, ReportEnd):  # else it has ended by itself, and is told as it was
            await self._runtime.stop(name, GRACE_S)
            observed = await self._runtime.observe(name)
            end = ReportEnd("interrupted", reason="AgentStopped", message="the agent was told to stop")
        await self._report_end(name, desired, observed, end)
        await self._runtime.remove(name)


def _asks_the_same(desired: Desired, known: Desired | None) -> bool:
    """Whether a message says nothing new but how far the hub has settled what it was told."""
    return known is not None and known.generation == desired.generation
