"""What a schedule's moments ask for: which of them is due, and what becomes of it."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

from datamodel.kinds import Document
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.scheduling.jobs import ABORT, SUCCEEDED
from datamodel.scheduling.schedules import ACTIVE_SHOWN, FORBID, REPLACE, moments, zone
from reconcilers.planning.callbacks import is_telling
from reconcilers.planning.ends import is_over
from reconcilers.planning.rollup import conditions

CONDITION = "Scheduled"
SHIFT = timedelta(hours=2, seconds=1)
"""More than clocks are put forth or back by."""
_NAME_LIMIT = 63
_MINUTE = "%Y%m%d%H%M"
_STAMP = 13
"""Characters of a dash and a minute."""
_DIGEST = 9
"""Characters of a dash and what tells a name that was too long from others."""

Became = Literal["made", "skipped", "missed", "refused"]
"""What a moment becomes; see `MomentCounts`."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a schedule has found: the newest of its moments that nobody has dealt with, what becomes of it and why,
    the jobs that its new job replaces, and those that are kept no longer."""

    follows: str
    through: datetime
    active: tuple[Node, ...]
    next_time: datetime | None
    due: datetime | None = None
    became: Became | None = None
    reason: str = ""
    message: str = ""
    replaced: tuple[Node, ...] = ()
    superfluous: tuple[Node, ...] = ()


def look(schedule: Node, jobs: Sequence[Node], now: datetime) -> Look:
    """What is to be done about a schedule. `jobs` are those that it has made."""
    spec = schedule.spec
    follows = "" if spec["suspended"] else f"{spec['cron']} {spec['timeZone']}"
    through = _through(schedule, follows, now)
    newest = sorted(jobs, key=lambda job: job.created_version, reverse=True)
    active = tuple(job for job in newest if not is_over(job))
    superfluous = _superfluous(schedule, newest)
    if not follows:
        return Look(follows, through, active, None, reason="Suspended", superfluous=superfluous)
    cron, where = spec["cron"], zone(spec["timeZone"])
    next_time, due = following(cron, where, now), newest_of(cron, where, now)
    if due is None or due <= through:
        return Look(follows, through, active, next_time, superfluous=superfluous)
    became, reason, message = _verdict(schedule, due, active, now)
    replaced = active if became == "made" and spec["concurrency"] == REPLACE else ()
    replaced = tuple(job for job in replaced if job.spec["intent"] != ABORT and job.deletion_requested_at is None)
    return Look(follows, due, active, next_time, due, became, reason, message, replaced, superfluous)


def following(cron: str, where: tzinfo, now: datetime) -> datetime | None:
    """The first moment of an expression after now, in UTC."""
    return _first(moment for moment in moments(cron, now.astimezone(where)) if moment > now)


def newest_of(cron: str, where: tzinfo, now: datetime) -> datetime | None:
    """The last moment of an expression that is not after now, in UTC. Where clocks are put back, one of the first of two equal
    hours may be later on the wall than it is now: so it begins with what is to come."""
    ahead = now.replace(microsecond=0) + (timedelta(seconds=1) if where is UTC else SHIFT)
    return _first(moment for moment in moments(cron, ahead.astimezone(where), back=True) if moment <= now)


def status_of(schedule: Node, found: Look, now: datetime, *, refused: str = "") -> Document:
    """The schedule's status after a look. `refused`: why no job could be made where one was to be."""
    before = schedule.status
    became, reason, message = found.became, found.reason, found.message
    if refused:
        became, reason, message = "refused", "Refused", refused
    counts = dict(before.get("counts", {}))
    if became is not None:
        counts[became] = counts.get(became, 0) + 1
    names = [last_name(job.path) for job in found.active]
    if became == "made":
        assert found.due is not None, "it was made for a moment"
        names.insert(0, job_name(schedule, found.due))
    known = {one["reason"] for one in before.get("conditions", ())}
    if not reason and (not known or "Suspended" in known):
        reason = "NoMomentYet"
    aspects = [(CONDITION, _STATES.get(reason, "False"), reason, message)] if reason else []
    status: Document = {
        "nextTime": found.next_time.isoformat() if found.next_time is not None else None,
        "active": len(names),
        "activeJobs": names[:ACTIVE_SHOWN],
        "counts": counts,
        "follows": found.follows,
        "through": found.through.isoformat(),
        "observedGeneration": schedule.generation,
        "conditions": conditions(before.get("conditions", ()), aspects, now),
    }
    if became == "made" and found.due is not None:
        status["lastTime"] = found.due.isoformat()
    return status


def job_name(schedule: Node, moment: datetime) -> str:
    """The name of the job of a moment: the schedule's and the minute in UTC. So what is made twice is a conflict."""
    return f"{_stem(last_name(schedule.path))}-{moment.astimezone(UTC).strftime(_MINUTE)}"


def is_named_by(schedule: Node, job: Node) -> bool:
    """Whether a job has the name of one of a schedule's moments."""
    stem, name = _stem(last_name(schedule.path)), last_name(job.path)
    return re.fullmatch(re.escape(stem) + r"-[0-9]{12}", name) is not None


_STATES = {"Made": "True", "NoMomentYet": "Unknown"}
"""By reason, the status of the condition; else it is False."""


def _stem(name: str) -> str:
    if len(name) + _STAMP <= _NAME_LIMIT:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[: _DIGEST - 1]
    return f"{name[: _NAME_LIMIT - _STAMP - _DIGEST]}-{digest}"


def _through(schedule: Node, follows: str, now: datetime) -> datetime:
    """Up to when moments are dealt with: those before it was created, or had the rule that it has now, are none of its. It
    never goes back, whatever clocks do: no moment comes twice."""
    told = schedule.status
    if "through" not in told:
        return schedule.created_at
    through = datetime.fromisoformat(told["through"])
    return through if told["follows"] == follows else max(through, now)


def _verdict(schedule: Node, due: datetime, active: Sequence[Node], now: datetime) -> tuple[Became, str, str]:
    deadline_s, moment = schedule.spec.get("startingDeadlineS"), due.isoformat()
    if deadline_s is not None and (now - due).total_seconds() > deadline_s:
        return "missed", "Missed", f"{moment} was seen more than {deadline_s:g} s late"
    if active and schedule.spec["concurrency"] == FORBID:
        return "skipped", "StillRunning", f"{last_name(active[0].path)} still ran at {moment}"
    return "made", "Made", job_name(schedule, due)


def _superfluous(schedule: Node, newest: Sequence[Node]) -> tuple[Node, ...]:
    """What has ended, beyond what is kept, unless somebody is to be told of it first."""
    keep = schedule.spec["keepFinished"]
    ended = [job for job in newest if is_over(job)]
    good = [job for job in ended if job.phase == SUCCEEDED]
    bad = [job for job in ended if job.phase != SUCCEEDED]
    beyond = (*good[keep["successful"] :], *bad[keep["failed"] :])
    return tuple(job for job in beyond if job.deletion_requested_at is None and not is_telling(job))


def _first(found: Iterator[datetime]) -> datetime | None:
    return next((moment.astimezone(UTC) for moment in found), None)
