"""What an agent reports of an attempt, from what its runtime observed. Pure: times are arguments."""

from datetime import UTC, datetime

import msgspec

from agents.convergence import Desired, ReportEnd, ReportRunning
from agents.runtimes.protocol import Observed
from datamodel.errors import Invalid
from datamodel.kinds import Document
from datamodel.parts import DEPTH_LIMIT, is_too_deep
from datamodel.scheduling import wire


def running(desired: Desired, observed: Observed, progress: ReportRunning, now: datetime) -> wire.AttemptReport:
    return wire.AttemptReport(
        edge=desired.work.edge,
        attempt=desired.work.attempt,
        phase="running",
        at=now,
        percent=round(progress.percent, 1),
        step=progress.step,
        started_at=moment(observed.steps[0].started_s),
        uid=desired.uid,
    )


def ended(
    desired: Desired, observed: Observed | None, end: ReportEnd, outputs: Document | None, now: datetime
) -> wire.AttemptReport:
    """`observed` is None, or without steps, where nothing of it ever ran here or nothing is left."""
    steps = observed.steps if observed is not None else ()
    return wire.AttemptReport(
        edge=desired.work.edge,
        attempt=desired.work.attempt,
        phase=end.phase,
        at=now,
        percent=100.0 if end.phase == "succeeded" else 0.0,
        step=max(0, len(steps) - 1),
        exit_codes=end.exit_codes,
        reason=end.reason,
        message=end.message,
        outputs=outputs,
        artifacts=end.artifacts,
        started_at=moment(steps[0].started_s) if steps else None,
        uid=desired.uid,
    )


def outputs_of(result: bytes | None) -> Document | None:
    """A chunk's outputs from its result file. Raises `Invalid` where that is no JSON object."""
    if result is None:
        return None
    try:
        found = msgspec.json.decode(result)
    except wire.UNREADABLE as error:
        raise Invalid(f"/shared/result.json is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise Invalid("/shared/result.json is no JSON object")
    if is_too_deep(found):
        raise Invalid(f"/shared/result.json is nested deeper than {DEPTH_LIMIT} levels")
    return found


def moment(seconds: float) -> datetime:
    """A runtime's time: seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC)
