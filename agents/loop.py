"""One agent's life: it makes what runs on its edges follow its part of the graph, and reports every step of the way.

Attempts are keys of a queue: a change in the graph or at the engine wakes one, a worker observes it, asks `converge` for
the next action and does it. A report is in the outbox before anything that depends on it happens.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import structlog

from agents.adopting import Adopting
from agents.artifacts.carrier import Carrier
from agents.convergence import Desired, Remove, Reported, ReportEnd, ReportRunning, StartStep, Stop, Wait, converge
from agents.health import Health
from agents.introductions import Introductions
from agents.leases import Leases
from agents.logs.shipper import Shipper
from agents.news.ports import News
from agents.outbox import Outbox
from agents.runtimes.protocol import GRACE_S, Observed, Runtime
from agents.runtimes.reasons import ENGINE_AWAY
from agents.starting import RETRY_S, Starting
from agents.telling import PROGRESS_S, STOPPED, Telling
from agents.told import Told
from agents.work import desired_of, phase_of
from datamodel.backoff import Backoff
from datamodel.errors import TendrilError, Transient
from datamodel.keyqueue import KeyQueue
from datamodel.names import last_name
from datamodel.ports import FeedItem, Message, Restarted, Synced
from datamodel.scheduling import wire
from datamodel.scheduling.attempts import ENDED

WORKERS = 64
LOOK_S = 10.0
"""How often what runs is looked at though nothing was heard: a word of the engine's may be lost."""
LAST_WORDS_S = 2.0
"""How long a stopping agent waits for the log of an attempt that it ended."""
_log = structlog.get_logger("agent")


class Agent:
    """The loop. `registrations` are the reports that introduce its edges, and `news` what changes of that; `clock` stamps the
    others; `logs` ships what the steps write, `carrier` what they leave."""

    def __init__(
        self,
        runtime: Runtime,
        outbox: Outbox,
        registrations: Sequence[wire.EdgeReport],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        logs: Shipper | None = None,
        carrier: Carrier | None = None,
        news: Sequence[News] = (),
        leases: Leases | None = None,
    ) -> None:
        self._runtime = runtime
        self._outbox = outbox
        self._introductions = Introductions(outbox, registrations, news)
        self._health = Health(runtime, outbox, lambda trouble: self._introductions.introduce(trouble=trouble))
        self._clock = clock
        self._logs = logs
        self._carrier = carrier
        self._adopting = Adopting(runtime)
        self._starting = Starting(runtime, outbox, carrier, leases)
        self._telling = Telling(runtime, outbox, carrier, clock)
        self._desired: dict[str, Desired] = {}
        self._listing: set[str] | None = None
        self._told: dict[str, Told] = {}
        self._queue = KeyQueue()
        self._synced = asyncio.Event()
        self._backoff = Backoff(*RETRY_S)
        self._stopping, self._busy = False, 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self) -> None:
        """Runs until it is cancelled. What runs at the engine goes on; see `interrupt`."""
        self._remember_outbox()
        await self._runtime.open(self._queue.add)
        await self._introductions.begin(not_isolated=self._runtime.not_isolated, guards=self._runtime.guards)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._adopt(), name="adopt")
            group.create_task(self._introductions.run(), name="introductions")
            group.create_task(self._health.run(), name="health")
            group.create_task(self._starting.run(self._queue.add), name="leases")
            group.create_task(self._converge_all(), name="attempts")
            if self._logs is not None:
                self._logs.shipped = self._queue.add
                group.create_task(self._logs.run(), name="logs")
            if self._carrier is not None:
                group.create_task(self._carrier.run(self._queue.add), name="artifacts")

    def deliver(self, item: FeedItem) -> None:
        """Takes in a message of the feed."""
        match item:
            case Message():
                self._take(item)
            case Restarted():
                self._listing = set()
                if self._synced.is_set():
                    self._introductions.doubt()
            case Synced():
                self._forget_unlisted()
                self._synced.set()

    def tell_anew(self) -> None:
        """Only what is in the outbox counts as told now; what was found with its end settled is kept until its log is whole."""
        self._introductions.doubt()
        known = {**self._desired, **self._told}
        self._told = {name: told for name, told in self._told.items() if told.over}
        self._remember_outbox()
        for name in {**known, **self._told}:
            self._queue.add(name)

    async def interrupt(self) -> None:
        """Ends everything that runs and reports it as interrupted, so that it is tried elsewhere at no cost of a retry."""
        self._stopping = True
        await self._idle.wait()
        if self._outbox.fenced:  # what is here may be another's
            return
        begun = [name for name, told in self._told.items() if told.story != "ended"]
        results = await asyncio.gather(*map(self._interrupt, begun), return_exceptions=True)
        for name, result in zip(begun, results, strict=True):
            if isinstance(result, Exception):  # the next agent finds it as it is
                _log.warning("an attempt could not be interrupted", attempt=name, error=str(result))

    def _take(self, message: Message) -> None:
        name = last_name(message.path)
        if self._listing is not None:
            self._listing.add(name)
        known, told = self._desired.get(name), self._told.get(name)
        phase = None if message.deleted else phase_of(message)
        if told is not None and told.uid not in ("", message.uid) and not message.deleted:
            # That was of another node of this name, in a database that was put back since; something of it may be here.
            told = self._told[name] = Told(uid=message.uid)
        if (told is None or told.gone) and (phase is None or phase in ENDED):
            self._forget(name)  # nothing of it is here; what is being started just now finds so when it has
            if phase in ENDED:  # or maybe of the agent before this one
                self._adopting.is_over(name)
            return
        if phase is None:
            self._desired.pop(name, None)
        else:
            desired = self._desired[name] = desired_of(message, phase, known)
            if told is not None and (told.gone or (told.story == phase and desired.asks_the_same(known))):
                return
        if self._synced.is_set():
            self._queue.add(name)

    def _forget_unlisted(self) -> None:
        """After a present, what it did not name is gone."""
        listed, self._listing = self._listing or set(), None
        known = {**self._desired, **self._told}
        self._desired = {name: desired for name, desired in self._desired.items() if name in listed}
        for name in known:
            self._queue.add(name)

    def _remember_outbox(self) -> None:
        """A restarted agent knows from its outbox which stories are told."""
        for number, body in self._outbox.pending:
            report = wire.decode_report(body)
            if isinstance(report, wire.AttemptReport):
                story: Reported = "running" if report.phase == "running" else "ended"
                kept = self._outbox.incarnation, number
                self._told[report.attempt] = Told(story, report.percent, uid=report.uid, kept=kept)

    async def _adopt(self) -> None:
        """Once the present is known, everything that is found at the engine is looked at."""
        await self._synced.wait()
        for name, told in (await self._adopting.found()).items():
            self._told.setdefault(name, told)
            self._queue.add(name)

    async def _converge_all(self) -> None:
        await self._synced.wait()  # until then, whatever an engine tells of would seem to be wanted by nobody
        await self._queue.serve(self._work, WORKERS, "attempts")

    async def _work(self, name: str) -> None:
        self._busy += 1
        self._idle.clear()
        try:
            await self._converge(name)
            self._backoff.over(name)
        except TendrilError as error:
            await self._put_off(name, error)
        except Exception:  # noqa: BLE001 - one attempt's bug must not stop the others; it is logged with its trace
            _log.exception("an attempt's convergence crashed", attempt=name)
            self._queue.add_after(name, RETRY_S[1])
        finally:
            self._busy -= 1
            if not self._busy:
                self._idle.set()

    async def _put_off(self, name: str, error: TendrilError) -> None:
        _log.warning("again", attempt=name, error=error.message)
        self._queue.add_after(name, self._backoff.failed(name))
        desired = self._desired.get(name)
        if desired is None or name in self._told or desired.begun or self._starting.may_run(desired.work):
            return
        if engine_trouble := self._health.engine_trouble:
            # Nobody waits for an engine that may never come back. If it has begun after all, it is found and stopped.
            end = ReportEnd("interrupted", reason=ENGINE_AWAY, message=engine_trouble)
            with contextlib.suppress(Transient):
                await self._tell_end(desired, None, end)

    async def _converge(self, name: str) -> None:
        """Does actions until there is nothing to do for the attempt. It is observed anew where an action changed it; if it
        changes by itself meanwhile, the queue has it again."""
        observed = await self._runtime.observe(name)
        while not self._stopping and not self._outbox.fenced:
            desired, told = self._desired.get(name), self._told.get(name)
            self._starting.look(name, desired)
            is_anothers = desired is not None and desired.left_by_another(observed)
            if self._logs is not None and observed is not None and not is_anothers:
                self._logs.observe(observed)
            left_s = math.inf
            if told is not None:
                left_s = told.left_s(desired, observed, asyncio.get_running_loop().time(), self._clock().timestamp())
            story: Reported = told.story if told is not None else "nothing"
            action = converge(desired, observed, story, overdue=told is not None and told.overdue)
            if hold_s := self._starting.hold_s(desired, observed, action):
                self._queue.add_after(name, hold_s)
                return
            match action:
                case Wait():
                    self._rest(name)
                    return
                case StartStep(index):
                    assert desired is not None
                    started = await self._starting.start(desired, observed, index)
                    if isinstance(started, ReportEnd):
                        await self._tell_end(desired, observed, started)
                        continue
                    self._told_of(desired)
                    if started is None:  # it is being prepared
                        self._queue.add_after(name, PROGRESS_S)
                        return
                    observed = started
                case Stop():
                    observed = await self._stop(name, wanted=desired is not None)
                case Remove():
                    assert observed is not None
                    wanted = (desired is not None and not is_anothers) or (told is not None and told.over)
                    if wanted and self._logs is not None and (hold_s := self._logs.hold_s(observed)):
                        self._queue.add_after(name, hold_s)  # earlier where its log is over
                        return
                    await self._remove(name)
                    observed = None
                case ReportRunning():
                    assert desired is not None
                    assert observed is not None
                    told_all = await self._telling.running(self._told_of(desired), desired, observed, action)
                    again_s = LOOK_S if told_all and observed.percent is None else PROGRESS_S
                    self._queue.add_after(name, min(again_s, left_s))
                    return
                case ReportEnd():
                    assert desired is not None
                    if not await self._tell_end(desired, observed, action):
                        assert observed is not None
                        done = ReportRunning(100.0, len(observed.steps) - 1)
                        await self._telling.running(self._told_of(desired), desired, observed, done)
                        return

    async def _stop(self, name: str, *, wanted: bool) -> Observed | None:
        """What is left of it. What nobody wants goes at once: wanted again meanwhile, it would seem to have failed."""
        desired = self._desired.get(name)
        await self._runtime.stop(name, desired.work.limits.grace_s if desired is not None else GRACE_S)
        if not wanted:
            await self._remove(name)
        return await self._runtime.observe(name)

    def _rest(self, name: str) -> None:
        """Nothing of an attempt is left at the engine: it is forgotten if it is settled by the hub or wanted by nobody."""
        desired, told = self._desired.get(name), self._told.get(name)
        if desired is None or desired.phase in ENDED:
            self._forget(name)
        elif told is not None:
            told.gone = True

    def _told_of(self, desired: Desired) -> Told:
        return self._told.setdefault(desired.work.attempt, Told(uid=desired.uid))

    def _forget(self, name: str) -> None:
        self._told.pop(name, None)
        self._desired.pop(name, None)
        self._starting.forget(name)

    async def _tell_end(self, desired: Desired, observed: Observed | None, end: ReportEnd) -> bool:
        """Whether it could be told how it ended."""
        if is_told := await self._telling.ended(desired, observed, end):
            told = self._told_of(desired)
            told.story, told.uid = "ended", desired.uid
        return is_told

    async def _interrupt(self, name: str) -> None:
        desired = self._desired.get(name)
        observed = await self._runtime.observe(name)
        if desired is None or observed is None:
            return
        end = found if isinstance(found := converge(desired, observed, "running"), ReportEnd) else STOPPED
        if end is STOPPED and desired.work.lease_s:  # one at a time: elsewhere it begins as soon as this is told
            observed = await self._stop(name, wanted=True)
        if not await self._tell_end(desired, observed, end):
            return  # the next agent finds it as it is
        if end is STOPPED:  # told before: what was stopped, and nothing said of it, is taken for a failure
            observed = await self._stop(name, wanted=True)
        if self._logs is not None and observed is not None:
            await self._logs.over(observed, LAST_WORDS_S)
        await self._remove(name)

    async def _remove(self, name: str) -> None:
        await self._runtime.remove(name)
        if self._logs is not None:
            self._logs.forget(name)
