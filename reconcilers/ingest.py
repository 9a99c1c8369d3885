"""ingest: what agents report → the graph and the ledger, in batches, each run of reports with the mark that commits it.

An agent's reports are taken in order of its outbox. Every report advances the mark, whatever became of it: applied,
duplicate, superseded or quarantined. Only then is the agent told, and only then does it forget.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec
import structlog

from datamodel.appender import Appender
from datamodel.cause import report_cause
from datamodel.command import Actor, Advance, Command, Fence, Outcome, Unit
from datamodel.errors import Conflict, Invalid, NotFound, Transient
from datamodel.feed.ports import Messages
from datamodel.kinds import SYSTEM
from datamodel.names import check_name
from datamodel.ports import Store
from datamodel.scheduling import windows as versions
from datamodel.scheduling import wire
from reconcilers.boots import Boots, utc_now
from reconcilers.planning.settlement import Settlement, settle
from reconcilers.runtime.controller import Watch
from reconcilers.runtime.metrics import Metrics

INBOX_WINDOWS = 2 * wire.WINDOWS_IN_FLIGHT
"""Windows that may wait for one agent. It sends fewer at a time; what comes beyond is dropped, and asked for again."""
INBOXES_BYTES = 256 * 1024 * 1024
"""What may wait for all agents together; beyond, whoever waits longest gives way."""
MARKS_LIMIT = 20_000
RUN_REPORTS = 1_000
"""The most reports that are settled in one unit."""

_INCARNATION = re.compile(r"[0-9A-Za-z-]{1,64}")
_log = structlog.get_logger("ingest")


class Ingest:
    """Settles windows. The key is `SITE/AGENT`."""

    name = "ingest"
    shards = 4
    resync_s = 3600.0
    watches: Mapping[str, Watch] = {}

    def __init__(
        self,
        store: Store,
        appender: Appender,
        messages: Messages,
        metrics: Metrics,
        hosts: Callable[[str, str, str], bool] = lambda _, agent, edge: wire.hosts(agent, edge),
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`hosts(site, agent, edge)`: whether an agent speaks for an edge."""
        self._hosts = hosts
        self._store = store
        self._appender = appender
        self._messages = messages
        self._metrics = metrics
        self._boots = Boots(store, appender, clock)
        self._inboxes: dict[str, list[bytes]] = {}
        self._waiting_bytes = 0
        self._through: dict[str, int] = {}
        self._wake: Callable[[str], bool] = lambda _: False

    async def listen(self, wake: Callable[[str], bool]) -> None:
        """Subscribes to all agents' reports; `wake(key)` must lead to `reconcile(key)`, or say that it does not."""
        self._wake = wake
        await self._messages.subscribe("report.*.*", self._on_window)

    async def keys(self) -> list[str]:
        return list(self._inboxes)

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        while bodies := self._emptied(key):
            try:
                await self._take_in(key, bodies, fence)
            except (Conflict, Transient):
                for body in (*bodies, *self._emptied(key)):
                    self._keep(key, body)
                raise
        return await self._boots.recheck(key, fence)

    async def _take_in(self, key: str, bodies: Sequence[bytes], fence: Fence) -> None:
        windows = [window for body in bodies if (window := await self._opened(key, body)) is not None]
        believed = [window for window in windows if await self._boots.admits(key, window, fence)]
        self._metrics.count(self.name, "fenced", len(windows) - len(believed))
        for incarnation in dict.fromkeys(window.incarnation for window in windows):
            await self._take(key, incarnation, [w for w in believed if w.incarnation == incarnation], fence)

    def _on_window(self, subject: str, body: bytes) -> None:
        _, site, agent = subject.split(".")
        key = f"{site}/{agent}"
        if self._wake(key):  # its worker starts after this; other replicas keep nothing of an agent that is not theirs
            self._keep(key, body)

    def _keep(self, key: str, body: bytes) -> None:
        inbox = self._inboxes.setdefault(key, [])
        if len(inbox) < INBOX_WINDOWS:
            inbox.append(body)
            self._waiting_bytes += len(body)
        while self._waiting_bytes > INBOXES_BYTES:
            self._emptied(next(iter(self._inboxes)))

    def _emptied(self, key: str) -> list[bytes]:
        """The windows that waited for a key; none do any more."""
        bodies = self._inboxes.pop(key, [])
        self._waiting_bytes -= sum(len(body) for body in bodies)
        return bodies

    async def _opened(self, key: str, body: bytes) -> wire.Window | None:
        """The window, or None where it is not one that this agent may send; then it is quarantined. Nothing is
        acknowledged for it: there is no number in it that could be trusted."""
        site, _, agent = key.partition("/")
        try:
            check_name(site, "/site")
            check_name(agent, "/agent")
            window = versions.decode_window(body)
        except (Invalid, *wire.UNREADABLE) as error:
            await self._quarantine(key, f"no window: {error}", body)
            return None
        if (window.site, window.agent) != (site, agent):
            await self._quarantine(key, f"sent by {key} in the name of {window.site}/{window.agent}"[:512], body)
            return None
        if window.first < 1 or not _INCARNATION.fullmatch(window.incarnation):
            await self._quarantine(key, "not a window of an outbox", body)
            return None
        return window

    async def _take(self, key: str, incarnation: str, windows: Sequence[wire.Window], fence: Fence) -> None:
        site, _, agent = key.partition("/")
        mark = f"{key}/{incarnation}"
        through = self._through.get(mark)
        reports = following(windows, through) if through is not None else []
        if through is None or not reports:  # with nothing to settle, no write would refute what is remembered
            marks = await self._store.marks([mark, key])
            through = marks.get(mark, 0)
            reports = following(windows, through)
            self._boots.stands(key, marks.get(key, 0), fence)
        version = min((window.version for window in windows), default=versions.SPEAKS[0])
        for start in range(0, len(reports), RUN_REPORTS):
            run = reports[start : start + RUN_REPORTS]
            self._through.pop(mark, None)  # unknown until this run is committed
            await self._settle(site, agent, Advance(mark, through, through + len(run)), run, fence, version)
            through += len(run)
        self._remember(mark, through)
        gap = any(window.first > through + 1 for window in windows)
        newest = await self._boots.newest(key, fence)
        await self._answer(key, wire.Committed(incarnation, through, gap, versions.SPEAKS, newest))

    async def _answer(self, key: str, committed: wire.Committed) -> None:
        site, _, agent = key.partition("/")
        try:
            await self._messages.publish(wire.committed_subject(site, agent), wire.encode(committed))
        except Transient as error:
            _log.info("a commit could not be told; the agent will ask again", agent=key, error=error.message)

    def _remember(self, mark: str, through: int) -> None:
        if len(self._through) >= MARKS_LIMIT:
            self._through.clear()
        self._through[mark] = through

    async def _settle(
        self, site: str, agent: str, advance: Advance, run: Sequence[msgspec.Raw], fence: Fence, version: int
    ) -> None:
        incarnation, first = advance.mark.rpartition("/")[2], advance.after + 1
        found = settle(site, agent, incarnation, run, first, version, self._hosts)
        for reason, body in found.rejected:
            await self._quarantine(f"{site}/{agent}", reason, body)
        if found.registrations:
            await self._know_site(site, next(iter(found.registrations.values())).cause, fence)
        cause = report_cause(advance.mark, advance.through)
        unit = Unit(found.commands(), found.actor(site, agent), atomic=False, cause=cause, fence=fence, advance=advance)
        await self._judge(f"{site}/{agent}", found, await self._appender.append(unit))

    async def _judge(self, key: str, found: Settlement, outcome: Outcome) -> None:
        """Counts what became of the reports."""
        refused = [verdict for verdict in outcome if verdict.error is not None]
        for verdict in refused:
            if isinstance(verdict.error, Conflict):
                self._metrics.count(self.name, "duplicate")
            else:
                reason = "no such attempt" if isinstance(verdict.error, NotFound) else str(verdict.error)
                await self._quarantine(key, f"{verdict.path}: {reason}", wire.encode(found.patches.get(verdict.path)))
        self._metrics.count(self.name, "applied", len(outcome) - len(refused))

    async def _know_site(self, site: str, cause: str, fence: Fence) -> None:
        command = Command("apply", f"/inventory/sites/{check_name(site)}")
        unit = Unit((command,), Actor("ingest", SYSTEM), cause=cause, fence=fence)
        await self._appender.write(unit)

    async def _quarantine(self, key: str, reason: str, body: bytes) -> None:
        self._metrics.count(self.name, "quarantined")
        _log.warning("a report is quarantined", agent=key, reason=reason[:512])
        await self._store.quarantine(key, reason, body)


def following(windows: Sequence[wire.Window], through: int) -> list[msgspec.Raw]:
    """The reports that come right after `through`, from windows in any order: known ones are skipped, and it ends at the
    first gap (what lies behind it is asked for again by answering `through`)."""
    reports: list[msgspec.Raw] = []
    for window in sorted(windows, key=lambda window: window.first):
        reached = through + len(reports)
        if window.first <= reached + 1:
            reports.extend(window.reports[reached + 1 - window.first :])
    return reports
