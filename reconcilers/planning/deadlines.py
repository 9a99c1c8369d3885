"""Whether a job has taken too long, and when it will have."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from datamodel.kinds import Document
from datamodel.ledger import Totals
from datamodel.node import Node
from datamodel.scheduling.answers import EdgesThat, why_waiting
from datamodel.scheduling.beginning import is_held
from datamodel.scheduling.ending import DEADLINE_EXCEEDED, QUEUE_DEADLINE_EXCEEDED, is_ending
from datamodel.scheduling.jobs import ABORT, FAILED, FINISHED, RUN
from datamodel.scheduling.waiting import NO_EDGE, NO_ROOM, told_of


@dataclass(frozen=True, slots=True)
class Judgement:
    """`passed` is the reason with which it has taken too long, empty where it has not: then it would in `recheck_s` seconds.
    `queued` is what is to be kept of since when it could have been placed."""

    passed: str = ""
    recheck_s: float | None = None
    queued: Document | None = None


def is_timed(job: Node) -> bool:
    """Whether it has a deadline that can pass still."""
    if "deadlines" not in job.spec or is_ending(job) or job.phase in FINISHED:
        return False
    return job.deletion_requested_at is None and job.spec.get("intent") != ABORT


def judge(job: Node, totals: Totals, now: datetime) -> Judgement:
    """How a job that `is_timed` stands to its deadlines."""
    deadlines = job.spec["deadlines"]
    dues: list[tuple[datetime, str]] = []
    if "jobS" in deadlines and not is_held(job):
        dues.append((_began(job) + timedelta(seconds=deadlines["jobS"]), DEADLINE_EXCEEDED))
    queued = None
    if "queueS" in deadlines and not totals.entries and _can_be_placed(job):
        since = _since(job)
        if since is None:
            since, queued = now, {"at": now.isoformat(), "generation": job.generation}
        dues.append((since + timedelta(seconds=deadlines["queueS"]), QUEUE_DEADLINE_EXCEEDED))
    if not dues:
        return Judgement()
    at, reason = min(dues)
    rest_s = (at - now).total_seconds()
    return Judgement(reason) if rest_s <= 0 else Judgement(recheck_s=rest_s, queued=queued)


def ending(job: Node, reason: str, edges: Sequence[EdgesThat]) -> Document:
    """What is decided of a job that has taken too long. `edges` are what all of them say to a chunk of it."""
    deadlines = job.spec["deadlines"]
    if reason == QUEUE_DEADLINE_EXCEEDED:
        message = f"nothing of it was placed for {deadlines['queueS']:g} s: {_why(job, edges)}"
    else:
        message = f"it had not ended after {deadlines['jobS']:g} s"
    return {"phase": FAILED, "reason": reason, "message": message}


def _why(job: Node, edges: Sequence[EdgesThat]) -> str:
    """What edges say, unless placement has told it of something else: what its group may have, or who goes before it."""
    told = told_of(job.status.get("conditions", ()))
    if told is None or told["reason"] in (NO_EDGE, NO_ROOM):
        return why_waiting(edges)
    message: str = told["message"]
    return message


def _began(job: Node) -> datetime:
    """From when its time is counted: it was created, or ready, or it went on after it had failed."""
    return max([job.created_at, *_times(job.status.get("readyAt"), job.status.get("retried", {}).get("at"))])


def _can_be_placed(job: Node) -> bool:
    return job.spec.get("intent", RUN) == RUN and not is_held(job)


def _since(job: Node) -> datetime | None:
    """Since when it could have been placed. Whatever is asked of a job begins that anew, as that it is resumed; None where
    nobody has noted it since."""
    began = job.created_at
    if job.generation > 1:
        queued = job.status.get("queued", {})
        if queued.get("generation") != job.generation:
            return None
        began = datetime.fromisoformat(queued["at"])
    return max([began, *_times(job.status.get("readyAt"))])


def _times(*told: str | None) -> list[datetime]:
    return [datetime.fromisoformat(time) for time in told if time]
