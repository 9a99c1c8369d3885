"""The checker: what a run's evidence says against the system. It is pure, and believes nothing that it was not shown.

Where an older database was put back, what was written after the copy may be gone, and nothing else.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf

from datamodel.scheduling.attempts import ENDED
from datamodel.scheduling.giving_up import UNHEARD
from datamodel.scheduling.jobs import FINISHED, SUCCEEDED
from sim.chaos.evidence import AttemptSeen, Evidence
from sim.chaos.history import Order, Request, Seen
from sim.chaos.running import nothing_runs_twice, what_ran_was_placed


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be. `check` names the rule."""

    check: str
    message: str


@dataclass(slots=True)
class Verdict:
    """What the checker found: violations, and figures that are none."""

    violations: list[Violation] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)


def check(evidence: Evidence) -> Verdict:
    """Judges a run."""
    violations = [Violation(name, message) for name, rule in RULES.items() for message in rule(evidence)]
    return Verdict(violations, _figures(evidence))


def _nothing_is_lost(evidence: Evidence) -> Iterator[str]:
    """Every accepted job is there at the end, or was asked to be deleted, or an older database knows nothing of it."""
    for name in evidence.accepted:
        gone = evidence.jobs.get(name) is None and not evidence.asked_to_delete(name)
        if gone and name not in evidence.rolled_back:
            yield f"{name} was accepted and is gone"


def _answers_are_right(evidence: Evidence) -> Iterator[str]:
    """A right request is accepted or its outcome unknown, never refused; sent again, it is the same job."""
    for name, requests in evidence.of_job.items():
        for request in requests:
            if request.status is not None and request.status not in _EXPECTED[request.verb]:
                yield f"{name}: {request.verb} was answered with {request.status}"
        lasting = [r.seen.uid for r in evidence.accepted.get(name, ()) if r.seen is not None and not evidence.undone(r)]
        if len(set(lasting)) > 1:
            yield f"{name}: sent again with its key, it became another job"


def _everything_ends(evidence: Evidence) -> Iterator[str]:
    """At the end, every job has succeeded: its chunks all can, within their retries. Those that are gone never failed."""
    for name, job in evidence.result.items():
        if job.phase != SUCCEEDED and (evidence.jobs.get(name) is not None or job.phase in FINISHED):
            yield f"{name} is {job.phase} at the end, with {job.succeeded} chunks counted"


def _chunks_count_once(evidence: Evidence) -> Iterator[str]:
    """The result of a succeeded job has each chunk exactly once, in all sums alike."""
    for name, job in evidence.result.items():
        if job.phase != SUCCEEDED:
            continue
        chunks = evidence.history.orders[name].chunks
        outputs = job.outputs or {}
        if outputs.get("indexes") != list(range(chunks)) or outputs.get("ran") != chunks or job.succeeded != chunks:
            yield f"{name} of {chunks} chunks has the outputs {outputs} and {job.succeeded} counted"
        if job.executed not in (None, chunks):
            yield f"{name} of {chunks} chunks has {job.executed} in its executions"


def _what_is_counted_ran(evidence: Evidence) -> Iterator[str]:
    """Every counted success has the end of a last step in the ledger, by an attempt of that chunk."""
    for name, job in evidence.result.items():
        for chunk in _counted(job, evidence.history.orders[name]):
            if (job.uid, chunk) not in evidence.done:
                yield f"{name}: chunk {chunk} is counted and no attempt of it came to its end"
    ended = {line.attempt for lines in evidence.done.values() for line in lines}
    for attempt in evidence.attempts:
        if attempt.phase == SUCCEEDED and attempt.name not in ended:
            yield f"{attempt.name} on {attempt.edge} is said to have succeeded and never came to its end"


def _what_ran_is_settled(evidence: Evidence) -> Iterator[str]:
    """Every successful end in the ledger is of a job that was asked for, and its chunk is counted in that job."""
    for (uid, chunk), lines in sorted(evidence.done.items()):
        name = lines[0].job
        job = evidence.result.get(name)
        if job is None or job.uid != uid:
            submissions = [request for request in evidence.of_job.get(name, ()) if request.verb == "submit"]
            if not any(evidence.undone(request) for request in submissions):
                yield f"{lines[0].attempt} ran for {name}, which nobody was told of"
        elif name not in evidence.rolled_back and chunk not in _counted(job, evidence.history.orders[name]):
            yield f"{name}: chunk {chunk} came to its end and is not counted"


def _one_attempt_is_current(evidence: Evidence) -> Iterator[str]:
    """At the end, at most one attempt of a chunk has not ended, and each is on one edge."""
    current = Counter((a.owner, a.chunk) for a in evidence.attempts if a.phase not in ENDED)
    for (owner, chunk), number in current.items():
        if number > 1:
            yield f"chunk {chunk} of job {owner} has {number} current attempts"
    for name, number in Counter(a.name for a in evidence.attempts).items():
        if number > 1:
            yield f"attempt {name} is on {number} edges"


def _the_newest_attempt_counts(evidence: Evidence) -> Iterator[str]:
    """Of every chunk of a succeeded job, one attempt is said to be counted as a success: that of the last epoch, or one that
    was replaced since its edge was not heard from, and came first."""
    attempts: dict[tuple[str, int], list[AttemptSeen]] = {}
    for attempt in evidence.attempts:
        attempts.setdefault((attempt.owner, attempt.chunk), []).append(attempt)
    for name, job in evidence.jobs.items():
        if job is None or job.phase != SUCCEEDED or job.deleting:
            continue
        for chunk in range(evidence.history.orders[name].chunks):
            found = attempts.get((job.uid, chunk), [])
            successes = [a for a in found if a.phase == SUCCEEDED and a.settlement == "counted"]
            counted, last = [a.epoch for a in successes], max((a.epoch for a in found), default=0)
            if counted != [last] and not (len(counted) == 1 and successes[0].reason in UNHEARD):
                epochs = sorted(a.epoch for a in found)
                yield f"{name}: of chunk {chunk} the epochs {counted} are counted, of {epochs}"


def _reads_go_forward(evidence: Evidence) -> Iterator[str]:
    """Between the returns of older databases, what was answered is never taken back by what is asked later."""
    for name, requests in evidence.of_job.items():
        deleted_s = min((request.asked_s for request in requests if request.verb == "delete"), default=inf)
        for era in _eras(evidence, requests):
            answered = sorted(era, key=lambda request: request.answered_s)
            known, latest = 0, None
            for request in era:
                while known < len(answered) and answered[known].answered_s <= request.asked_s:
                    latest = _later(latest, answered[known].seen)
                    known += 1
                if latest is not None and (request.seen is not None or request.answered_s < deleted_s):
                    yield from (f"{name}: {change}" for change in _backward(latest, request.seen))


def _deleted_stays_deleted(evidence: Evidence) -> Iterator[str]:
    """A job whose deletion was answered is gone or going at the end."""
    for name, requests in evidence.of_job.items():
        deletions = [request for request in requests if request.verb == "delete" and not request.unknown]
        job = evidence.jobs.get(name)
        lasts = any(not evidence.undone(request) for request in deletions)
        if lasts and job is not None and not job.deleting:
            yield f"{name} was deleted and is there"


RULES: Mapping[str, Callable[[Evidence], Iterable[str]]] = {
    "nothing is lost": _nothing_is_lost,
    "answers are right": _answers_are_right,
    "everything ends": _everything_ends,
    "chunks count once": _chunks_count_once,
    "what is counted ran": _what_is_counted_ran,
    "what ran is settled": _what_ran_is_settled,
    "what ran was placed": what_ran_was_placed,
    "nothing runs twice": nothing_runs_twice,
    "one attempt is current": _one_attempt_is_current,
    "the newest attempt counts": _the_newest_attempt_counts,
    "reads go forward": _reads_go_forward,
    "deleted stays deleted": _deleted_stays_deleted,
}

_NOT_FOUND = 404
_EXPECTED = {"submit": {202, 503}, "read": {200, _NOT_FOUND, 503}, "delete": {202, 204, _NOT_FOUND, 503}}
"""A job that was deleted may be read or deleted once more, and is not found."""


def _counted(job: Seen, order: Order) -> set[int]:
    """The chunks that the job's result has."""
    indexes = (job.outputs or {}).get("indexes", [])
    return {index for index in indexes if index in range(order.chunks)}


def _eras(evidence: Evidence, requests: Iterable[Request]) -> Iterator[list[Request]]:
    """What was seen of a job, in the order of asking, cut where an older database was put back. What was asked or answered
    meanwhile may be of the one or the other, and is left out."""
    rollbacks = evidence.history.rollbacks
    eras: dict[int, list[Request]] = {}
    for request in requests:
        if request.verb == "delete" or (request.seen is None and request.status != _NOT_FOUND):
            continue
        if not any(r.began_s < request.answered_s and request.asked_s < r.ended_s for r in rollbacks):
            eras.setdefault(sum(r.ended_s <= request.asked_s for r in rollbacks), []).append(request)
    yield from eras.values()


def _later(one: Seen | None, other: Seen | None) -> Seen | None:
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda seen: seen.version)


def _backward(before: Seen, after: Seen | None) -> Iterator[str]:
    if after is None:
        yield "it was there, and then not found"
        return
    if after.uid != before.uid:
        yield f"it was job {before.uid} and is {after.uid}"
        return
    if after.version < before.version:
        yield f"it stood at version {before.version}, then at {after.version}"
    if before.phase in FINISHED and after.phase != before.phase:
        yield f"it was {before.phase}, then {after.phase}"
    if after.succeeded < before.succeeded:
        yield f"{before.succeeded} chunks were counted, then {after.succeeded}"


def _figures(evidence: Evidence) -> dict[str, int]:
    requests = evidence.history.requests
    attempts_of = Counter((owner, chunk) for owner, chunk, _ in {(x.owner, x.chunk, x.attempt) for x in evidence.lines})
    started = Counter(line.attempt for line in evidence.lines if line.event == "start" and line.step == 1)
    return {
        "jobsAccepted": len(evidence.accepted),
        "jobsSucceeded": sum(job.phase == SUCCEEDED for job in evidence.result.values()),
        "jobsRolledBack": len(evidence.rolled_back),
        "chunksCounted": sum(job.succeeded for job in evidence.result.values()),
        "chunksRunTwice": sum(count > 1 for count in attempts_of.values()),
        "chunksDoneTwice": sum(len(lines) > 1 for lines in evidence.done.values()),
        "attemptsRun": len(started),
        "attemptsRunTwice": sum(count > 1 for count in started.values()),
        "requests": len(requests),
        "requestsUnknown": sum(request.unknown for request in requests),
    }
