"""Whose turn it is: the waiting jobs of a group in order, and the groups among each other."""

import heapq
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from datamodel.kinds import Amounts, Document
from datamodel.scheduling.order import quota_left
from datamodel.scheduling.resources import quota_of
from reconcilers.planning.backlog import Ask, Line, PendingJob, Signature

_Head = tuple[tuple[float, int], Ask, PendingJob, Iterator[PendingJob]]


class Terms(msgspec.Struct, frozen=True):
    """What a job group may have: so many times the part of one that weighs 1, never more than its quota by resource, and so
    many jobs with something in flight (None: any number)."""

    weight: float = 1.0
    quota: Mapping[str, int] = {}
    jobs: int | None = None
    paused: bool = False

    @classmethod
    def of(cls, spec: Document) -> "Terms":
        return cls(
            spec.get("weight") or 1.0,
            quota_of(spec.get("quota") or {}),
            spec.get("maxJobsInFlight"),
            bool(spec.get("paused")),
        )

    def left(self, used: Amounts, signature: Signature) -> int | None:
        """How many such chunks the quota leaves room for; None for any number."""
        return quota_left(self.quota, used, signature) if self.quota else None


class Turn:
    """A group's way through its waiting jobs in one round."""

    def __init__(self, line: Line) -> None:
        self._unopened = iter(line.heads.items())
        self._asks = line.asks
        self._open: list[_Head] = []
        self._next = next(self._unopened, None)
        self._now: _Head | None = None
        self._choose()

    @classmethod
    def of(cls, jobs: Sequence[PendingJob]) -> "Turn":
        """Through these jobs only."""
        line = Line()
        for job in jobs:
            line.put(job)
        return cls(line)

    @property
    def job(self) -> PendingJob | None:
        """Whose turn it is; None at the end."""
        return self._now[2] if self._now is not None else None

    def go_on(self) -> None:
        """The job has had its turn."""
        assert self._now is not None, "somebody's turn it was"
        _, ask, _, jobs = self._now
        following = next(jobs, None)
        if following is not None:
            heapq.heappush(self._open, (following.place, ask, following, jobs))
        self._choose()

    def give_up(self) -> None:
        """The job found no room, and so will nobody who asks for the same."""
        self._choose()

    def _choose(self) -> None:
        fresh = self._next
        if fresh is not None and (not self._open or fresh[0] < self._open[0][0]):
            place, ask = fresh
            jobs = iter(self._asks[ask].values())
            self._now, self._next = (place, ask, next(jobs), jobs), next(self._unopened, None)
        else:
            self._now = heapq.heappop(self._open) if self._open else None
