"""What becomes of one chunk that has failed: whether it is tried again, and when."""

from datetime import datetime, timedelta

from datamodel.kinds import Document
from datamodel.ledger import Entry
from datamodel.node import Node
from datamodel.scheduling.attempts import RETRY
from datamodel.scheduling.jobs import FAILED
from datamodel.scheduling.retrying import FAIL, action_of, pause_s

_NO_POLICY: Document = {}


def may_be_refused(spec: Document) -> bool:
    """Whether an exit code can say that a chunk is not tried again: then its newest attempt has to be looked at."""
    return any(rule["action"] == FAIL for rule in policy_of(spec).get("exitCodes", ()))


def is_final(job: Node, entry: Entry, attempt: Node | None) -> bool:
    """Whether a chunk is not tried again. `attempt` is the newest at it, where exit codes may say so: who raises the retries
    after it was placed wants another one all the same."""
    if entry.phase != FAILED:
        return False
    if entry.failures > job.spec["retries"]:
        return True
    if attempt is None or job.spec["retries"] > attempt.spec["retries"]:
        return False
    return action_of(attempt.spec.get("exitCodes", ()), attempt.status) == FAIL


def policy_of(spec: Document) -> Document:
    """A job's retry policy, empty where it has none."""
    policy: Document = spec.get("retryPolicy", _NO_POLICY)
    return policy


def rest_s(job: Node, entry: Entry, attempt: Node | None, now: datetime) -> float:
    """For how many seconds more a chunk that waits for another attempt is left alone; `attempt` is the newest at it. When that
    ended is told by its edge, whose clock may be wrong: it is believed where it can be true, and `now` is taken for it
    elsewhere. So nobody waits for longer than the pause from when this was asked first."""
    if entry.phase != RETRY or attempt is None or attempt.phase != FAILED:
        return 0.0  # the newest one was interrupted, or somebody wants another one of what has failed for good
    pause = pause_s(policy_of(job.spec), entry.owner, entry.index, entry.failures)
    if not pause:
        return 0.0
    told = attempt.status.get("finishedAt")
    ended = datetime.fromisoformat(told) if told else now
    if ended.tzinfo is None or not attempt.created_at <= ended <= now:
        ended = now
    return max(0.0, (ended + timedelta(seconds=pause) - now).total_seconds())
