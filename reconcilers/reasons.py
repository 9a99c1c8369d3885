"""reasons: of jobs that placement can do nothing for, why → their condition `Placed`.

Placement alone knows, so it is a part of placement, and kept from being felt there: a job is told only once nothing of it has
been placed for some seconds, of each group those that go first, edges are asked in small slices
between rounds, and the more edges there are, the longer nobody is asked again. Whoever wants to know it of another job, or at
once, asks `explain`, which goes by the same function. That nothing more waits is for progress to tell.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import islice

import msgspec

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Fence, Unit
from datamodel.kinds import SYSTEM
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.scheduling.answers import Asked, Tally
from datamodel.scheduling.waiting import CONDITION, RETRIES, Standing, bars, told_of, why
from reconcilers.failures import Retries
from reconcilers.planning.backlog import PendingJob
from reconcilers.planning.reasons import (
    FIRST,
    LOOKED_AT,
    Told,
    asked_of,
    counts_of,
    first_jobs,
    is_material,
    standing_of,
    terms_of,
)
from reconcilers.planning.rollup import conditions
from reconcilers.snapshot import Snapshot, is_wanted

EVERY_S = 5.0
"""How often jobs are looked at; who has waited for as long with nothing of it placed is told why."""
AGAIN_S = 60.0
"""After which it is looked whether a job is told what is so: also of numbers that have hardly moved."""
ASKS = 4
"""What jobs ask for that edges are asked at a time."""
SLICE = 500
"""Edges that are asked at once: about two milliseconds."""
SLICE_REST_S = 0.01
LOOKS_PER_S = 2_000
"""Edges that are asked in a second, over a long time."""
WRITES = 64
ACTOR = Actor("placement", SYSTEM)
_AT_REST = Told(RETRIES, "chunks of it failed, and are tried again after a pause")


class _Known(msgspec.Struct):
    """A job that waits: how many chunks of it, since when nothing of it was placed, when it was looked at last, and what it was
    told when."""

    uid: str
    waiting: int
    since_s: float
    looked_s: float = 0.0
    told: Told | None = None
    told_s: float = 0.0


class _Look:
    """Edges that are asked for what some jobs ask alike."""

    def __init__(self, asked: Asked, snapshot: Snapshot) -> None:
        self.tally = Tally(asked)
        self.jobs: list[str] = []
        self._edges = iter([*snapshot.fleet.edges, *snapshot.barred])
        self._snapshot = snapshot

    def go_on(self) -> int:
        """Asks the next ones; how many."""
        fleet, barred = self._snapshot.fleet, self._snapshot.barred
        asked = 0
        for path in islice(self._edges, SLICE):
            asked += 1
            edge = fleet.edges.get(path)
            if edge is not None:
                self.tally.ask(path, edge.labels, edge.capacity, fleet.free(path))
            elif path in barred:
                self.tally.bar(path, barred[path])
        return asked


class Reasons:
    """Tells jobs, a step at a time. What it remembers spares writing, and is found out again where it is lost."""

    def __init__(
        self,
        store: Store,
        appender: Appender,
        retries: Retries,
        clock: Callable[[], datetime],
        *,
        every_s: float = EVERY_S,
    ) -> None:
        self._every_s = every_s
        self._store = store
        self._appender = appender
        self._retries = retries
        self._clock = clock
        self._snapshot: Snapshot | None = None
        self._known: dict[str, _Known] = {}
        self._looks: deque[_Look] = deque()
        self._found: dict[str, Told] = {}
        self._looked = 0
        self._next_s = 0.0

    async def tell(self, snapshot: Snapshot, fence: Fence) -> float | None:
        """The next step; in how many seconds the one after it is due, None where nobody waits."""
        now_s = asyncio.get_running_loop().time()
        if self._snapshot is not snapshot:
            self._snapshot, self._looks, self._found = snapshot, deque(), {}
        if not self._looks and not self._found:
            if not snapshot.backlog and not self._known and not self._retries.resting():
                return None
            if now_s < self._next_s:
                return self._next_s - now_s
            self._begin(snapshot, now_s)
        if self._looks:
            self._look(snapshot)
            if self._looks:
                return SLICE_REST_S
        found, self._found = self._found, {}
        self._next_s = now_s + max(self._every_s, self._looked / LOOKS_PER_S)
        if found:
            await self._write(found, now_s, fence)
        return self._next_s - now_s

    def _begin(self, snapshot: Snapshot, now_s: float) -> None:
        """Chooses who is looked at: who has been told something before, and who goes first."""
        self._looked = 0
        first = first_jobs(snapshot.backlog)
        told = sorted(
            (path for path, known in self._known.items() if known.told is not None),
            key=lambda path: -self._known[path].told_s,
        )
        before = [job for path in told[:LOOKED_AT] if (job := snapshot.backlog.get(path)) is not None]
        jobs = {job.path: job for job in (*first, *before)}
        self._known = {path: known for path, known in self._known.items() if path in jobs}
        self._found = {path: _AT_REST for path in islice(self._retries.resting(), FIRST) if path not in jobs}
        looks: dict[Asked, _Look] = {}
        for job in sorted(jobs.values(), key=lambda job: self._looked_s(job.path)):
            if self._is_due(job, now_s):
                self._choose(job, snapshot, looks, now_s)
        self._looks.extend(looks.values())

    def _looked_s(self, path: str) -> float:
        known = self._known.get(path)
        return known.looked_s if known is not None else 0.0

    def _is_due(self, job: PendingJob, now_s: float) -> bool:
        known = self._known.get(job.path)
        if known is None or known.uid != job.uid:
            self._known[job.path] = _Known(job.uid, job.waiting, now_s)
            return False
        if known.waiting != job.waiting:
            known.waiting, known.since_s = job.waiting, now_s
        return known.told is not None or now_s - known.since_s >= self._every_s

    def _choose(self, job: PendingJob, snapshot: Snapshot, looks: dict[Asked, _Look], now_s: float) -> None:
        """What keeps it whatever there is room for is known at once; of the others, some are looked at now."""
        barred = bars(_standing(job, snapshot))
        if barred:
            self._found[job.path] = Told(*barred[0])
        else:
            asked = asked_of(job, snapshot.usage)
            look = looks.get(asked)
            if look is None:
                if len(looks) >= ASKS:
                    return
                look = looks[asked] = _Look(asked, snapshot)
            look.jobs.append(job.path)
        self._known[job.path].looked_s = now_s

    def _look(self, snapshot: Snapshot) -> None:
        look = self._looks[0]
        asked = look.go_on()
        self._looked += asked
        if asked == SLICE:
            return
        self._looks.popleft()
        edges, rooms = look.tally.edges, look.tally.rooms
        for path in look.jobs:
            job = snapshot.backlog.get(path)
            if job is not None:
                self._found[path] = Told(*why(_standing(job, snapshot), edges, rooms), counts_of(edges))

    async def _write(self, found: dict[str, Told], now_s: float, fence: Fence) -> None:
        """Tells those that it is news to."""
        news = [path for path, told in found.items() if self._is_news(path, told, now_s)][:WRITES]
        nodes = await self._store.nodes(news) if news else {}
        now = self._clock()
        writes = {
            path: command
            for path, job in nodes.items()
            if is_wanted(job) and (command := _command(job, found[path], now)) is not None
        }
        if writes:
            verdicts = await self._appender.append(Unit(tuple(writes.values()), ACTOR, atomic=False, fence=fence))
            refused = {path for path, verdict in zip(writes, verdicts, strict=True) if verdict.error is not None}
        else:
            refused = set()
        self._remember((path for path in news if path not in refused), found, now_s)

    def _is_news(self, path: str, told: Told, now_s: float) -> bool:
        known = self._known.get(path)
        if known is None or known.told is None or is_material(known.told, told):
            return True
        return now_s - known.told_s >= AGAIN_S

    def _remember(self, paths: Iterable[str], found: dict[str, Told], now_s: float) -> None:
        for path in paths:
            known = self._known.get(path)
            if known is not None:
                known.told, known.told_s = found[path], now_s


def _standing(job: PendingJob, snapshot: Snapshot) -> Standing:
    return standing_of(job, terms_of(job, snapshot.terms), snapshot.usage, paused=snapshot.paused)


def _command(job: Node, told: Told, now: datetime) -> Command | None:
    """What tells it; None where it is told so already, or has never waited for long and rests."""
    known: Sequence[dict[str, str]] = job.status.get("conditions", ())
    before = told_of(known)
    if before is None and told.reason == RETRIES:
        return None
    if before is not None and (before["reason"], before["message"]) == (told.reason, told.message):
        return None
    patch = {"conditions": conditions(known, [(CONDITION, "False", told.reason, told.message)], now)}
    return Command("patchStatus", job.path, patch, expected_version=job.version)
