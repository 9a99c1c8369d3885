"""Rooms: what placement does for those that find no room. Some is kept for who goes first, and where the Scheduler says so,
what matters less is stopped for who matters more."""

import asyncio
from collections.abc import Sequence

import structlog

from datamodel.appender import Appender
from datamodel.command import Actor, Fence
from datamodel.errors import Conflict
from datamodel.ports import Store
from datamodel.scheduling.attempts import ENDED, RUN
from datamodel.scheduling.giving_up import PREEMPTED
from reconcilers.abandoning import give_up
from reconcilers.planning.backlog import Asker, PendingJob
from reconcilers.planning.decisions import Blocked, Decision, Plan
from reconcilers.planning.fleet import Fleet, Hold
from reconcilers.planning.holds import Waiting, keep_room, unhelped
from reconcilers.planning.preemption import clearing
from reconcilers.planning.turns import Terms
from reconcilers.snapshot import Snapshot

PAGE = 500
STOP_TRIES = 5
"""How often an attempt is tried to be stopped that changes all the while."""
_log = structlog.get_logger("placement")


class Rooms:
    """What it keeps outlives the reading of everything anew, not the process: who takes over keeps anew."""

    def __init__(self, store: Store, appender: Appender, actor: Actor) -> None:
        self._store = store
        self._appender = appender
        self._actor = actor
        self._waiting = Waiting()
        self._kept: dict[Asker, Hold] = {}

    def leave(self, fleet: Fleet) -> None:
        """The fleet is to be read anew."""
        self._kept = dict(fleet.holds)

    def enter(self, fleet: Fleet) -> None:
        """It has been: what was kept still is, where there is what it was kept of."""
        for asker, hold in self._kept.items():
            if all(path in fleet.edges and not fleet.is_held(path) for path in hold.spots):
                fleet.hold(asker, hold)

    async def make(self, snapshot: Snapshot, found: Plan, placed: Sequence[Decision], fence: Fence) -> float | None:
        """After a round. In how many seconds there is more to do, at once where others have room now; None for nothing."""
        now_s = asyncio.get_running_loop().time()
        rest_s = keep_room(found, placed, self._waiting, snapshot, now_s)
        if snapshot.preemption is None or not found.blocked:
            return rest_s
        stopped_s = await self._preempt(snapshot, found.blocked, now_s, fence)
        return min((one for one in (rest_s, stopped_s) if one is not None), default=None)

    async def _preempt(
        self, snapshot: Snapshot, blocked: Sequence[Blocked], now_s: float, fence: Fence
    ) -> float | None:
        """Makes room for the first of them that has waited long enough; in how many seconds the next one will have."""
        assert snapshot.preemption is not None, "there is a rule for it"
        rests, is_done = [], False
        for job in unhelped(blocked, snapshot.fleet):
            left_s = snapshot.preemption["afterS"] - self._waiting.for_s(job.asker, now_s)
            if left_s <= 0 and not is_done:
                self._waiting.begin_again(job.asker, now_s)
                await self._clear(snapshot, job, fence)
                is_done = True
            else:
                rests.append(max(left_s, 0.0))
        return min(rests, default=None)

    async def _clear(self, snapshot: Snapshot, job: PendingJob, fence: Fence) -> None:
        assert snapshot.preemption is not None, "there is a rule for it"
        fleet, usage, terms = snapshot.fleet, snapshot.usage, snapshot.terms.get(job.group, Terms())
        kept = fleet.holds.get(job.asker)
        fleet.release(job.asker)  # there, too, something may be stopped
        most = terms.left(usage.of_group(job.group), job.signature)
        made = clearing(job, most, fleet, usage, snapshot.preemption["margin"])
        hold = made.hold if made is not None else kept
        if hold is not None:
            fleet.hold(job.asker, hold)
        if made is not None:
            _log.info("chunks are stopped for a job", job=job.path, priority=job.priority, chunks=len(made.victims))
            for start in range(0, len(made.victims), PAGE):
                await self._stop(made.victims[start : start + PAGE], fence)

    async def _stop(self, attempts: Sequence[str], fence: Fence) -> None:
        """Their chunks go elsewhere, at no cost of a retry. What they reserve stays reserved until their ends are confirmed."""
        for _ in range(STOP_TRIES):
            found = await self._store.nodes(attempts)
            running = [node for node in found.values() if node.spec["intent"] == RUN and node.phase not in ENDED]
            if not running:
                return
            try:
                await give_up(running, self._appender, self._actor, fence, PREEMPTED)
            except Conflict:
                continue
            return
        _log.warning("attempts that are to be stopped change all the while", attempts=attempts[:8])
