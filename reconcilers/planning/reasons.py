"""Which of the jobs that wait are told why, and when what they are told has changed."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from datamodel.scheduling.answers import Asked, EdgesThat, spot_of
from datamodel.scheduling.placing import APART
from datamodel.scheduling.waiting import Standing
from reconcilers.planning.backlog import Backlog, PendingJob
from reconcilers.planning.turns import Terms, Turn
from reconcilers.planning.usage import Usage

FIRST = 32
"""Jobs of a group that are told why they wait: those that go first."""
LOOKED_AT = 1_024
"""Of all groups together. Of more than 32 groups with as many jobs, fewer of each are."""
MATERIAL = 0.1
"""A number that moved by no more than this part of all edges is no news by itself."""

_NO_TERMS = Terms()


class Told(NamedTuple):
    """Why a job waits: the condition's reason and message, and how many edges say what, where they were asked."""

    reason: str
    message: str
    counts: Mapping[tuple[str, str], int] = {}


def counts_of(edges: Iterable[EdgesThat]) -> dict[tuple[str, str], int]:
    return {(some.reason, some.resource): some.edges for some in edges}


def is_material(before: Told, now: Told) -> bool:
    """Whether it is another reason, or the numbers are others by more than what comes and goes."""
    if before.reason != now.reason or before.counts.keys() != now.counts.keys():
        return True
    if not now.counts:
        return before.message != now.message
    least = max(1.0, MATERIAL * sum(now.counts.values()))
    return any(abs(now.counts[said] - before.counts[said]) > least for said in now.counts)


def first_jobs(backlog: Backlog) -> list[PendingJob]:
    """Of each group those jobs that go first in it."""
    groups = sorted(backlog.lines)[:LOOKED_AT]
    each = min(FIRST, LOOKED_AT // max(1, len(groups)))
    return [job for name in groups for job in islice(_in_order(Turn(backlog.lines[name])), each)]


def standing_of(job: PendingJob, terms: Terms, usage: Usage, *, paused: bool) -> Standing:
    """How a job stands to what it may have. `paused`: nothing is placed anywhere."""
    return Standing(
        waiting=job.waiting,
        is_gang=job.is_gang,
        begun=usage.holds(job.path),
        asks=job.signature,
        group=job.group,
        group_paused=terms.paused,
        quota=terms.quota,
        used=usage.of_group(job.group),
        jobs=usage.jobs_in_flight(job.group),
        jobs_limit=terms.jobs,
        scheduler_paused=paused,
    )


def asked_of(job: PendingJob, usage: Usage) -> Asked:
    """What edges are asked for a chunk of it."""
    arranged = job.arrangement
    if arranged is None or arranged.chunks != APART:
        return Asked(job.signature, job.wanted.rules)
    taken = frozenset(spot_of(path, arranged.over) for path in usage.of_job(job.path))
    return Asked(job.signature, job.wanted.rules, arranged.over, taken)


def terms_of(job: PendingJob, terms: Mapping[str, Terms]) -> Terms:
    return terms.get(job.group, _NO_TERMS)


def _in_order(turn: Turn) -> Iterator[PendingJob]:
    while (job := turn.job) is not None:
        yield job
        turn.go_on()
