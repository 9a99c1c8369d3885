"""Replaying a trace: the real planner decides, and what it decides begins at once and ends when the trace says.

Time is virtual, and nothing here knows chance: the same trace, edges and manner give the same schedule.
"""

import heapq
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from datamodel.node import Node
from datamodel.scheduling.scheduler import AGEING_S, BEST_FIT, FAIR_SHARE, HOLD_AFTER_S
from reconcilers.placement import ROUND
from reconcilers.planning.backlog import Backlog, PendingJob, Ranking, Signature
from reconcilers.planning.decisions import Decision
from reconcilers.planning.fleet import Fleet
from reconcilers.planning.holds import Waiting, keep_room
from reconcilers.planning.placement import plan
from reconcilers.planning.turns import Terms
from reconcilers.planning.usage import Usage
from reconcilers.planning.views import Edge
from sim.traces.workload import Task
from sim.yard import Yard

_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
_NO_TERMS: Mapping[str, Terms] = {}


class Manner(NamedTuple):
    """What the Scheduler's spec says."""

    policy: str = BEST_FIT
    order: str = FAIR_SHARE
    ageing_s: float = AGEING_S
    hold_after_s: float = HOLD_AFTER_S


class Span(NamedTuple):
    """A chunk that ran, from when until when: of which of the tasks, counted from 0, and where."""

    task: int
    chunk: int
    edge: str
    start_ms: int
    end_ms: int


class Schedule(NamedTuple):
    """What became of a trace. `refused`: the tasks for which there is no room even where nothing else runs."""

    spans: Sequence[Span]
    refused: frozenset[int]


def replay(
    tasks: Sequence[Task], edges: Sequence[Edge], manner: Manner, terms: Mapping[str, Terms] = _NO_TERMS
) -> Schedule:
    """Runs the tasks, which are in order of their submission. `terms`: of groups, by name."""
    return _Course(tasks, edges, manner, terms).run()


class _Known(NamedTuple):
    backlog: Backlog
    fleet: Fleet
    usage: Usage
    terms: Mapping[str, Terms]
    hold_after_s: float


class _Course:
    def __init__(
        self, tasks: Sequence[Task], edges: Sequence[Edge], manner: Manner, terms: Mapping[str, Terms]
    ) -> None:
        self._tasks = tasks
        self._terms = terms
        self._order, self._hold_after_s = manner.order, manner.hold_after_s
        self._ranking = Ranking(manner.order, manner.ageing_s)
        self._yard = Yard(Backlog(), Fleet(manner.policy), Usage())
        for edge in edges:
            self._yard.fleet.put(edge, edge.capacity)
        self._ends: list[tuple[int, int, Decision]] = []
        self._spans: list[Span] = []
        self._waiting = Waiting()
        self._again_ms: int | None = None
        """When there is more to decide, whatever comes or ends."""
        self._room: dict[Signature, int] = {}
        """How many chunks of a size the empty edges have room for."""

    def run(self) -> Schedule:
        refused = frozenset(number for number, task in enumerate(self._tasks) if not self._ever_fits(task))
        coming = [number for number in range(len(self._tasks)) if number not in refused]
        coming.reverse()
        while coming or self._ends:
            now_ms = self._next_ms(coming)
            self._end(now_ms)
            while coming and self._tasks[coming[-1]].submit_ms <= now_ms:
                self._submit(coming.pop())
            self._place(now_ms)
        assert not len(self._yard.backlog), "what has room on empty edges was placed"
        return Schedule(self._spans, refused)

    def _next_ms(self, coming: Sequence[int]) -> int:
        """When the next job comes, the next chunk ends, or somebody has waited for long enough to have room kept."""
        moments = [self._tasks[coming[-1]].submit_ms] if coming else []
        if self._ends:
            moments.append(self._ends[0][0])
        if self._again_ms is not None:
            moments.append(self._again_ms)
        return min(moments)

    def _ever_fits(self, task: Task) -> bool:
        signature = task.signature
        if signature not in self._room:
            fleet = self._yard.fleet
            self._room[signature] = sum(fleet.times(path, signature) for path in fleet.edges)
        return self._room[signature] >= (task.chunks if task.together else 1)

    def _end(self, now_ms: int) -> None:
        fleet = self._yard.fleet
        while self._ends and self._ends[0][0] <= now_ms:
            _, _, decision = heapq.heappop(self._ends)
            self._yard.usage.remove(decision.attempt)
            free = dict(fleet.free(decision.edge))
            for name, amount in decision.job.signature:
                free[name] += amount
            fleet.set_free(decision.edge, free)

    def _submit(self, number: int) -> None:
        """The job as the graph would have it."""
        task = self._tasks[number]
        spec = {"chunks": task.chunks, "requests": task.requests, "priority": task.priority}
        if task.together:
            spec["allOrNothing"] = True
        path = f"/config/job-groups/{task.group}/jobs/j{number}"
        at = _BEGINNING + timedelta(milliseconds=task.submit_ms)
        node = Node(path, f"{number:032x}", "Job", {}, spec, {}, {}, (), 1, number, number, at)
        self._yard.backlog.put(PendingJob.of(node, 0, (), ranking=self._ranking, group={}))

    def _place(self, now_ms: int) -> None:
        """In rounds, until nothing more is decided, as placement does."""
        backlog, fleet, usage = self._yard
        known, self._again_ms = _Known(backlog, fleet, usage, self._terms, self._hold_after_s), None
        while backlog:
            found = plan(backlog, fleet, usage, self._terms, order=self._order, limit=ROUND)
            self._yard.carry_out(found)
            for decision in found.decisions:
                number = decision.job.order
                end_ms = now_ms + self._tasks[number].run_ms
                heapq.heappush(self._ends, (end_ms, len(self._spans), decision))
                self._spans.append(Span(number, decision.chunk.index, decision.edge, now_ms, end_ms))
            rest_s = keep_room(found, found.decisions, self._waiting, known, now_ms / 1000)
            if not found.decisions and rest_s != 0.0:
                self._again_ms = now_ms + math.ceil(rest_s * 1000) if rest_s is not None else None
                return
