"""What failures come to: how many chunks have failed for good, how much of the budget is spent, and when a job has failed."""

from collections.abc import Sequence
from dataclasses import dataclass

from datamodel.node import Node
from datamodel.ports import Placement
from datamodel.scheduling.ending import RETRY_BUDGET_SPENT, TOO_MANY_FAILED, failures_allowed
from datamodel.scheduling.jobs import FAILED
from datamodel.scheduling.tries import policy_of


@dataclass(frozen=True, slots=True)
class Failures:
    """Of a job: `for_good` chunks are not tried again, counted no further than one more than may be. For one with a budget, all
    its chunks have failed `all` times together, and `again` of these have been tried again since it was last retried, or are
    to be."""

    for_good: int = 0
    again: int = 0
    all: int = 0


NO_FAILURES = Failures()


def why_failed(job: Node, failures: Failures) -> tuple[str, str] | None:
    """The reason and the message with which a job has failed by its failures; None where it has not."""
    allowed, budget = failures_allowed(job), policy_of(job.spec).get("budget")
    if failures.for_good > allowed:
        return (TOO_MANY_FAILED, f"more than {allowed} chunks failed") if allowed else ("Failed", "")
    if budget is not None and failures.again > budget:
        return RETRY_BUDGET_SPENT, f"its chunks failed more often than the {budget} times that are tried again"
    return None


def has_failed(job: Node, failures: Failures) -> bool:
    """The same of one that goes on. One that has failed already has only by chunks that are not tried again: it has its whole
    budget anew as soon as something else is asked of it."""
    if job.phase == FAILED:
        return failures.for_good > failures_allowed(job)
    return why_failed(job, failures) is not None


def spent(job: Node, placements: Sequence[Placement]) -> tuple[int, int]:
    """`Failures.again` and `Failures.all`, from where its entries are: each failure is tried again, but for the last of a chunk
    that has failed."""
    failures = sum(some.failures for some in placements)
    last = sum(some.entries for some in placements if some.phase == FAILED)
    before: int = job.status.get("retried", {}).get("failures", 0)
    return max(0, failures - last - before), failures
