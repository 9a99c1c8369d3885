"""One agent's life: it makes what runs on its edges follow its part of the graph, and reports every step of the way.

Attempts are keys of a queue: a change in the graph or at the engine wakes one, a worker observes it, asks `converge` for
the next action and does it. A report is in the outbox before anything that depends on it happens.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
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
from agents.runtimes.protocol import Observed, Runtime
from agents.work import desired_of
from datamodel import wire
from datamodel.errors import Invalid, TendrilError
from datamodel.keyqueue import KeyQueue
from datamodel.names import last_name
from datamodel.ports import FeedItem, Message, Restarted, Synced
from datamodel.scheduling.attempts import ENDED

GRACE_S = 10.0
PROGRESS_S = 2.0
PROGRESS_PERCENT = 10.0
WORKERS = 64
RETRY_S = (0.2, 10.0)
_log = structlog.get_logger("agent")


@dataclass(slots=True)
class Told:
    """What the outbox has of one attempt, and when its progress was told last."""

    story: Reported = "nothing"
    percent: float = 0.0
    at_s: float = 0.0


class Agent:
    """The loop. `registrations` are the reports that introduce its edges."""

    def __init__(self, runtime: Runtime, outbox: Outbox, registrations: list[wire.EdgeReport]) -> None:
        self._runtime = runtime
        self._outbox = outbox
        self._registrations = registrations
        self._desired: dict[str, Desired] = {}
        self._listing: set[str] | None = None
        self._told: dict[str, Told] = {}
        self._queue = KeyQueue()
        self._synced = asyncio.Event()
        self._failures: dict[str, int] = {}
        self._stopping = False
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self) -> None:
        """Runs until it is cancelled. What runs at the engine goes on; see `interrupt`."""
        self._remember_outbox()
        await self._runtime.open(self._queue.add)
        for report in self._registrations:
            await self._outbox.add(wire.encode(report))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._adopt(), name="adopt")
            for number in range(WORKERS):
                group.create_task(self._work(), name=f"attempts {number}")

    def deliver(self, item: FeedItem) -> None:
        """Takes in a message of the feed."""
        match item:
            case Message():
                self._take(item)
            case Restarted():
                self._listing = set()
            case Synced():
                self._forget_unlisted()
                self._synced.set()

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
        if message.deleted:
            self._desired.pop(name, None)
        else:
            desired = desired_of(message)
            if desired.phase in ENDED and name not in self._told:
                self._desired.pop(name, None)
                return
            self._desired[name] = desired
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
                self._told[report.attempt] = Told(story, report.percent)

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

    async def _work(self) -> None:
        while True:
            name = await self._queue.get()
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
                self._queue.done(name)
                self._busy -= 1
                if not self._busy:
                    self._idle.set()

    async def _converge(self, name: str) -> None:
        """Does actions until there is nothing to do for the attempt."""
        while not self._stopping:
            desired, told = self._desired.get(name), self._told.get(name)
            observed = await self._runtime.observe(name)
            action = converge(desired, observed, told.story if told is not None else "nothing")
            match action:
                case Wait():
                    self._rest(name, desired, observed)
                    return
                case StartStep(index):
                    assert desired is not None
                    if self._outbox.full:
                        self._queue.add_after(name, RETRY_S[1])
                        return
                    await self._runtime.start_step(desired.work, index)
                    self._told.setdefault(name, Told())
                case Stop():
                    await self._runtime.stop(name, GRACE_S)
                case Remove():
                    await self._runtime.remove(name)
                case ReportRunning():
                    assert desired is not None
                    assert observed is not None
                    if not await self._report_running(name, desired, observed, action):
                        return
                case ReportEnd():
                    assert desired is not None
                    await self._report_end(name, desired, observed, action)

    def _rest(self, name: str, desired: Desired | None, observed: Observed | None) -> None:
        """Forgets an attempt that is over: settled by the hub or wanted by nobody, and gone from the engine."""
        if observed is None and (desired is None or desired.phase in ENDED):
            self._told.pop(name, None)
            self._desired.pop(name, None)

    async def _report_running(self, name: str, desired: Desired, observed: Observed, action: ReportRunning) -> bool:
        """Tells that it runs, at once for the first time, then every 2 s or 10 %; whether there was something to tell. It is
        looked at again either way: an engine may measure progress without saying so, or lose a word of an end."""
        told = self._told.setdefault(name, Told())
        now = time.monotonic()
        moved = action.percent - told.percent
        if told.story == "running" and moved < PROGRESS_PERCENT and (moved <= 0 or now - told.at_s < PROGRESS_S):
            self._queue.add_after(name, PROGRESS_S)
            return False
        report = wire.AttemptReport(
            edge=desired.work.edge,
            attempt=name,
            phase="running",
            at=datetime.now(UTC),
            percent=round(action.percent, 1),
            step=action.step,
            started_at=_moment(observed.steps[0].started_s),
        )
        await self._outbox.add(wire.encode(report))
        told.story, told.percent, told.at_s = "running", action.percent, now
        return True

    async def _report_end(self, name: str, desired: Desired, observed: Observed | None, end: ReportEnd) -> None:
        outputs: dict[str, Any] | None = None
        if end.phase == "succeeded":
            try:
                outputs = _outputs(await self._runtime.result(name))
            except Invalid as error:
                end = ReportEnd("failed", end.exit_codes, "InvalidResult", error.message)
        started = observed.steps[0].started_s if observed is not None and observed.steps else None
        report = wire.AttemptReport(
            edge=desired.work.edge,
            attempt=name,
            phase=end.phase,
            at=datetime.now(UTC),
            percent=100.0 if end.phase == "succeeded" else 0.0,
            step=max(0, len(observed.steps) - 1) if observed is not None else 0,
            exit_codes=end.exit_codes,
            reason=end.reason,
            message=end.message,
            outputs=outputs,
            started_at=_moment(started) if started is not None else None,
        )
        await self._outbox.add(wire.encode(report))
        self._told.setdefault(name, Told()).story = "ended"

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


def _outputs(body: bytes | None) -> dict[str, Any] | None:
    """The chunk's outputs from its result file. Raises `Invalid` where that is no JSON object."""
    if body is None:
        return None
    try:
        found = msgspec.json.decode(body)
    except wire.UNREADABLE as error:
        raise Invalid(f"/shared/result.json is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise Invalid("/shared/result.json is no JSON object")
    return found


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
