"""When a job ends before all of its chunks have: how many of them may fail, how many are enough, and how long it may take."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from datamodel.kinds import Part
from datamodel.node import Node
from datamodel.scheduling.splitting import chunks_of

DEADLINE_LIMIT_S = 366 * 86_400.0
DEADLINE_EXCEEDED, QUEUE_DEADLINE_EXCEEDED, ENOUGH_SUCCEEDED = (
    "DeadlineExceeded",
    "QueueDeadlineExceeded",
    "EnoughSucceeded",
)
"""Reasons of an `Ending`."""
RETRY_BUDGET_SPENT, TOO_MANY_FAILED = "RetryBudgetSpent", "TooManyChunksFailed"
"""Why a job has failed, beside a chunk that has."""

_Seconds = Annotated[float | None, Field(gt=0, le=DEADLINE_LIMIT_S, allow_inf_nan=False)]


class Completion(Part):
    """When a job has succeeded though not all of its chunks have. Absent: it has not."""

    max_failed_chunks: Annotated[
        int | None,
        Field(ge=0, strict=True, description="so many chunks may fail for good, where all others succeed"),
    ] = None
    succeed_after: Annotated[
        int | None,
        Field(
            ge=1, strict=True, description="once so many chunks have succeeded, the job has, and the rest is stopped"
        ),
    ] = None


class Deadlines(Part):
    """How long a job may take, in seconds. Absent: as long as it does."""

    job_s: Annotated[_Seconds, Field(description="from when it was created, or is ready, to its end")] = None
    queue_s: Annotated[
        _Seconds,
        Field(description="until the first of its chunks is placed; while it is suspended, that does not count"),
    ] = None


class Ending(Part):
    """It is decided how the job ends: what still runs of it is stopped, nothing more is placed, and then it has."""

    phase: Literal["succeeded", "failed"]
    reason: str
    message: str


class Queued(Part):
    """Since when a job could have been placed which something else was asked of since it was created, and which spec it has
    waited with."""

    at: datetime
    generation: int


class Retried(Part):
    """When a job that had failed went on last, and, of one with a budget, how often its chunks had failed by then: deadline and
    budget begin anew there."""

    at: datetime
    failures: int


def check_completion(completion: Completion | None, chunks: int) -> None:
    """Raises `ValueError` where a job of so many chunks, or of fewer, can never come to that, or always has."""
    if completion is None:
        return
    if (completion.max_failed_chunks or 0) >= chunks:
        raise ValueError(f"completion: maxFailedChunks must be below the number of chunks, which is {chunks}")
    if (completion.succeed_after or 0) > chunks:
        raise ValueError(f"completion: succeedAfter is more than the number of chunks, which is {chunks}")


def failures_allowed(job: Node) -> int:
    """How many chunks of a job may fail for good: never all of them, into however few it was split."""
    allowed: int = job.spec.get("completion", {}).get("maxFailedChunks", 0)
    return min(allowed, chunks_of(job) - 1) if allowed else 0


def is_ending(job: Node) -> bool:
    """Whether it has been decided how it ends. Of one that has ended, it is why."""
    return "ending" in job.status
