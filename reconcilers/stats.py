"""stats: totals and rates of the system, in the Scheduler's status."""

import asyncio
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Fence, Unit
from datamodel.kinds import SYSTEM, Document
from datamodel.ledger import Totals
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.ports import Head, Store
from datamodel.scheduling.attempts import RETRY
from datamodel.scheduling.counts import RETRYING
from datamodel.scheduling.edges import GONE, ONLINE, place_of
from datamodel.scheduling.jobs import ABORTED, FINISHED, PENDING, RUNNING, SUCCEEDED
from datamodel.scheduling.resources import POWER
from datamodel.scheduling.splitting import COUNTED_BY
from reconcilers.runtime.controller import Watch

KEY = "/config/scheduler"
EVERY_S = 5.0
PAGE = 1_000
SITES_LIMIT = 500
ACTOR = Actor("stats", SYSTEM)
UNFINISHED = ("", PENDING, RUNNING)


@dataclass(slots=True)
class EdgeTotals:
    """What all edges are together; of those that are gone, how many. Powers are milliwatts."""

    phases: Counter[str] = field(default_factory=Counter)
    sites: dict[str, dict[str, int]] = field(default_factory=dict)
    reserved: int = 0
    capacity: int = 0

    def add(self, edge: Node, pool: Pool) -> None:
        self.phases[edge.phase] += 1
        if edge.phase == GONE:
            return
        self.reserved += pool.used.get(POWER, 0)
        self.capacity += pool.capacity.get(POWER, 0)
        if edge.phase == ONLINE:
            site = self.sites.setdefault(place_of(edge.path)[0], {"busy": 0, "free": 0})
            site["busy" if pool.used else "free"] += 1


@dataclass(slots=True)
class Rate:
    """How many more there are a minute than at the last count. What was deleted in between is not there to be counted: then
    it shows less, never more."""

    since_s: float = -math.inf
    counted: int = 0

    def of(self, count: int, now_s: float) -> float:
        minutes = (now_s - self.since_s) / 60
        more, self.since_s, self.counted = max(0, count - self.counted), now_s, count
        return round(more / minutes, 1) if 0 < minutes < math.inf else 0.0


class Stats:
    """Counts every five seconds, unless the log is where it was when nothing was new, and writes where a number has changed."""

    name = "stats"
    shards = 1
    resync_s = 60.0
    watches: Mapping[str, Watch] = {}

    def __init__(self, store: Store, appender: Appender) -> None:
        self._store = store
        self._appender = appender
        self._chunks, self._jobs = Rate(), Rate()
        self._told: Head | None = None

    async def keys(self) -> list[str]:
        return [KEY]

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        head = await self._store.head()
        now_s = asyncio.get_running_loop().time()
        if head == self._told:
            for rate in (self._chunks, self._jobs):
                rate.since_s = now_s  # as many as then
            return EVERY_S
        status = await self._count(now_s)
        before = (await self._store.nodes([key]))[key]
        if status != before.status:
            patch = {
                name: {**dict.fromkeys(before.status.get(name, ())), **value} if isinstance(value, dict) else value
                for name, value in status.items()
            }
            unit = Unit((Command("patchStatus", key, patch),), ACTOR, fence=fence)
            await self._appender.write(unit)
        self._told = head if status == before.status else None
        return EVERY_S

    async def _count(self, now_s: float) -> Document:
        jobs = await self._store.count_by_phase("Job")
        chunks = _chunks(await self._store.sum_totals(), *await self._store.sum_pieces("Job", *COUNTED_BY, UNFINISHED))
        edges = EdgeTotals()
        after = ""
        while found := await self._store.list_nodes("Edge", after=after, limit=PAGE):
            pools = await self._store.pools([edge.path for edge in found])
            for edge in found:
                edges.add(edge, pools.get(edge.path, Pool()))
            if len(found) < PAGE:
                break
            after = found[-1].path
        return {
            "jobs": _named(jobs),
            "chunks": {phase: count for phase, count in sorted(chunks.items()) if count},
            "edges": _named(edges.phases),
            "sites": {site: edges.sites[site] for site in sorted(edges.sites)[:SITES_LIMIT]},
            "chunksPerMinute": self._chunks.of(chunks.get(SUCCEEDED, 0), now_s),
            "jobsPerMinute": self._jobs.of(sum(jobs.get(phase, 0) for phase in FINISHED), now_s),
            "powerReservedW": edges.reserved / 1000,
            "powerCapacityW": edges.capacity / 1000,
        }


def _chunks(every: Totals, wanted: int, begun: Totals) -> dict[str, int]:
    """By phase, all chunks: those of jobs that have not ended, of which so many are `wanted` and these `begun`, are the only
    ones that wait. What was counted a moment later may be more."""
    counts = dict(every.phases)
    waited, waiting = counts.pop(RETRY, 0), begun.phases.get(RETRY, 0)
    counts[RETRYING] = min(waited, waiting)
    counts[ABORTED] = counts.get(ABORTED, 0) + max(0, waited - waiting)
    counts[PENDING] = max(0, wanted - begun.entries)
    return counts


def _named(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts by phase, where a node that nobody reported on yet is pending."""
    named: dict[str, int] = {}
    for phase, count in sorted(counts.items()):
        named[phase or PENDING] = named.get(phase or PENDING, 0) + count
    return named
