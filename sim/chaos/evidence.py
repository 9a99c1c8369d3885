"""What a run leaves to be judged: what steps noted on the host, what was asked and answered, and what the API says at the end.
None of it is read from within."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from math import inf

from datamodel.scheduling.jobs import FINISHED
from sim.chaos.history import History, Request, Seen
from sim.chaos.ledger import Line


@dataclass(frozen=True, slots=True)
class AttemptSeen:
    """An attempt, as the API shows it at the end."""

    edge: str
    name: str
    owner: str
    chunk: int
    epoch: int
    phase: str
    settlement: str
    reason: str = ""
    """Why its chunk went elsewhere, where it did."""
    site: str = "local"


@dataclass(frozen=True)
class Evidence:
    """What is known after everything has been quiet for long enough. `jobs` has the last word of the API on every order,
    None where there is no such job."""

    history: History
    lines: tuple[Line, ...]
    jobs: Mapping[str, Seen | None]
    attempts: tuple[AttemptSeen, ...]
    places: Mapping[str, str] = field(default_factory=dict)
    """The site of each network namespace. Without sites of a network of their own, none are known."""
    cloned: frozenset[str] = frozenset()
    """The sites where two agents of one name ran side by side for a while."""

    @cached_property
    def of_job(self) -> dict[str, list[Request]]:
        """The requests of each order, in the order of asking."""
        ordered = sorted(self.history.requests, key=lambda request: (request.job, request.asked_s))
        return {name: list(requests) for name, requests in groupby(ordered, key=lambda request: request.job)}

    @cached_property
    def accepted(self) -> dict[str, list[Request]]:
        """The accepted submissions of each order that has one."""
        return {name: found for name, requests in self.of_job.items() if (found := _answered(requests, "submit", 202))}

    @cached_property
    def result(self) -> dict[str, Seen]:
        """The last that was seen of each job: at the end or, where it is gone then, in its last reading."""
        found: dict[str, Seen] = {}
        for name, requests in self.of_job.items():
            readings = [request.seen for request in requests if request.seen is not None]
            if last := self.jobs.get(name) or (readings[-1] if readings else None):
                found[name] = last
        return found

    @cached_property
    def rolled_back(self) -> set[str]:
        """The accepted jobs that are gone, as they may be: an older database knows nothing of them."""
        gone = {name for name in self.accepted if self.jobs.get(name) is None and not self.asked_to_delete(name)}
        return {name for name in gone if all(self.undone(request) for request in self.accepted[name])}

    def asked_to_delete(self, name: str) -> bool:
        return any(request.verb == "delete" for request in self.of_job[name])

    def undone(self, request: Request) -> bool:
        """Whether an older database may have undone what the request did."""
        return any(rollback.may_undo(request) for rollback in self.history.rollbacks)

    @cached_property
    def whole(self) -> dict[str, Seen]:
        """The jobs that are there at the end, of which no older database can have forgotten anything."""
        found: dict[str, Seen] = {}
        for name, requests in self.of_job.items():
            job = self.jobs.get(name)
            ended = [r.answered_s for r in requests if r.seen is not None and r.seen.phase in FINISHED]
            lasted = (requests[0].asked_s, min(ended, default=inf))
            touched = any(rollback.may_touch(*lasted) for rollback in self.history.rollbacks)
            if job is not None and not job.deleting and not touched:
                found[name] = job
        return found

    @cached_property
    def done(self) -> dict[tuple[str, int], list[Line]]:
        """By job's uid and chunk, the ends of last steps that succeeded."""
        found: dict[tuple[str, int], list[Line]] = {}
        for line in self.lines:
            if line.done:
                found.setdefault((line.owner, line.chunk), []).append(line)
        return found


def _answered(requests: Iterable[Request], verb: str, status: int) -> list[Request]:
    return [request for request in requests if request.verb == verb and request.status == status]
