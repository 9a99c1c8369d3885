"""stats: totals and rates of the system, in the Scheduler's status."""

import asyncio
from collections import Counter
from collections.abc import Mapping

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Fence, Unit
from datamodel.kinds import SYSTEM, Document
from datamodel.ports import Head, Store
from datamodel.scheduling.jobs import PENDING, SUCCEEDED
from datamodel.scheduling.resources import POWER
from reconcilers.runtime.controller import Watch

KEY = "/config/scheduler"
EVERY_S = 5.0
PAGE = 1_000
ACTOR = Actor("stats", SYSTEM)


class Stats:
    """Counts every five seconds, unless the log is where it was when nothing was new, and writes where a number has changed."""

    name = "stats"
    shards = 1
    resync_s = 60.0
    watches: Mapping[str, Watch] = {}

    def __init__(self, store: Store, appender: Appender) -> None:
        self._store = store
        self._appender = appender
        self._last: tuple[float, int] | None = None
        self._told: Head | None = None

    async def keys(self) -> list[str]:
        return [KEY]

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        head = await self._store.head()
        if head == self._told and self._last is not None:
            self._last = asyncio.get_running_loop().time(), self._last[1]  # as many as then
            return EVERY_S
        status = await self._count()
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

    async def _count(self) -> Document:
        jobs = await self._store.count_by_phase("Job")
        chunks = (await self._store.sum_totals()).phases
        edges = Counter[str]()
        reserved = capacity = 0
        after = ""
        while found := await self._store.list_nodes("Edge", after=after, limit=PAGE):
            edges.update(edge.phase for edge in found)
            for pool in (await self._store.pools([edge.path for edge in found])).values():
                reserved += pool.used.get(POWER, 0)
                capacity += pool.capacity.get(POWER, 0)
            if len(found) < PAGE:
                break
            after = found[-1].path
        return {
            "jobs": _named(jobs),
            "chunks": dict(sorted(chunks.items())),
            "edges": _named(edges),
            "chunksPerMinute": self._rate(chunks.get(SUCCEEDED, 0)),
            "powerReservedW": reserved / 1000,
            "powerCapacityW": capacity / 1000,
        }

    def _rate(self, succeeded: int) -> float:
        """Chunks a minute since the last count. Jobs that were deleted in between take their chunks with them: then it
        shows less, never more."""
        now = asyncio.get_running_loop().time()
        last, self._last = self._last, (now, succeeded)
        if last is None or now <= last[0]:
            return 0.0
        return round(max(0, succeeded - last[1]) / (now - last[0]) * 60, 1)


def _named(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts by phase, where a node that nobody reported on yet is pending."""
    named: dict[str, int] = {}
    for phase, count in sorted(counts.items()):
        named[phase or PENDING] = named.get(phase or PENDING, 0) + count
    return named
