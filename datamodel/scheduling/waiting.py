"""Why nothing more of a job is placed: its condition `Placed` says it, and people who ask are told it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from datamodel.kinds import Amounts, Document
from datamodel.node import Node
from datamodel.scheduling.answers import HAS_ROOM, EdgesThat, filtered
from datamodel.scheduling.beginning import is_held
from datamodel.scheduling.ending import is_ending
from datamodel.scheduling.fitting import NEVER
from datamodel.scheduling.jobs import FINISHED, RUN
from datamodel.scheduling.order import quota_left
from datamodel.scheduling.resources import measure

CONDITION = "Placed"
SCHEDULER_PAUSED, GROUP_PAUSED = "SchedulerPaused", "GroupPaused"
QUOTA, JOBS_LIMIT, PARALLEL_LIMIT = "QuotaReached", "JobsLimitReached", "ParallelLimitReached"
NO_EDGE, NO_ROOM, GANG, QUEUED = "NoSuitableEdge", "NoRoom", "NoRoomForAll", "Queued"
RETRIES = "WaitingForRetry"
"""Reasons of the condition."""


class Standing(NamedTuple):
    """How a job stands to what it may have, but for the edges. `waiting` chunks may be placed now, all at once where it is a
    gang; `begun`: something of it is in flight. `jobs` of its group have something in flight, which holds `used`."""

    waiting: int
    is_gang: bool
    begun: bool
    asks: tuple[tuple[str, int], ...]
    group: str
    group_paused: bool = False
    quota: Mapping[str, int] = {}
    used: Amounts = {}
    jobs: int = 0
    jobs_limit: int | None = None
    scheduler_paused: bool = False

    @property
    def together(self) -> int:
        """How many chunks are placed at once, at least."""
        return max(1, self.waiting) if self.is_gang else 1


class Reason(NamedTuple):
    """In a word, and in a sentence."""

    reason: str
    message: str


def bars(standing: Standing) -> list[Reason]:
    """All that keeps a job from being placed whatever there is room for, the widest first."""
    found: list[Reason] = []
    group = standing.group
    if standing.scheduler_paused:
        found.append(Reason(SCHEDULER_PAUSED, "the scheduler is paused: nothing is placed anywhere"))
    if standing.group_paused:
        found.append(Reason(GROUP_PAUSED, f"the group {group} is paused: nothing more of it is placed"))
    if standing.jobs_limit is not None and standing.jobs >= standing.jobs_limit and not standing.begun:
        told = f"{standing.jobs} jobs of the group {group} have something in flight, and {standing.jobs_limit} may"
        found.append(Reason(JOBS_LIMIT, told))
    short = lacking(standing)
    if short:
        name = next(iter(short))
        has, may = measure(name, standing.used.get(name, 0)), measure(name, standing.quota[name])
        found.append(Reason(QUOTA, f"the group {group} holds {has}, and its quota is {may}"))
    return found


def lacking(standing: Standing) -> dict[str, int]:
    """By resource of which the group's quota is too small for the next chunk (of a gang, for all), what it would have to be."""
    left = quota_left(standing.quota, standing.used, standing.asks)
    if left is None or left >= standing.together:
        return {}
    needs = {name: standing.used.get(name, 0) + amount * standing.together for name, amount in standing.asks}
    return {name: amount for name, amount in needs.items() if name in standing.quota and amount > standing.quota[name]}


def why(standing: Standing, edges: Sequence[EdgesThat], rooms: int) -> Reason:
    """Why nothing more of the job is placed. `edges` are what all of them say to a chunk of it, with room for so many."""
    barred = bars(standing)
    if barred:
        return barred[0]
    if edges and edges[0].reason == HAS_ROOM:
        if rooms < standing.together:
            told = f"{standing.together} chunks are placed together or not at all, and there is room for {rooms}"
            return Reason(GANG, f"{told}: {filtered(edges)}")
        return Reason(QUEUED, "there is room, and it is placed once who goes before it has been")
    never = all(some.reason in NEVER for some in edges)
    return Reason(NO_EDGE if never else NO_ROOM, filtered(edges))


def waits(job: Node, phase: str, waiting: int, in_flight: int) -> bool:
    """Whether a job in a phase waits for being placed, with so many chunks that are not: nothing else keeps it from it."""
    if not waiting or phase in FINISHED or is_ending(job) or is_held(job) or job.deletion_requested_at is not None:
        return False
    parallel = job.spec.get("maxParallel")
    return job.spec.get("intent", RUN) == RUN and (parallel is None or in_flight < parallel)


def told_of(conditions: Iterable[Document]) -> Document | None:
    """The condition among these that says why the job is not placed."""
    return next((condition for condition in conditions if condition["type"] == CONDITION), None)
