"""When a job has ended, and how long it stays then."""

from datetime import datetime

from datamodel.node import Node
from datamodel.scheduling.jobs import FAILED, FINISHED
from reconcilers.planning.callbacks import is_telling


def is_over(job: Node) -> bool:
    """Whether its status stays as it is. One that has failed may go on when something else is asked of it."""
    if job.phase == FAILED:
        return job.generation == job.status.get("observedGeneration")
    return job.phase in FINISHED


def stays_s(job: Node, now: datetime) -> float | None:
    """For how many seconds more a job stays, 0 where its time is over; None where it stays until somebody deletes it, or has
    not ended, or is being deleted, or somebody is to be told of it first."""
    ttl_s = job.spec.get("ttlAfterFinishS")
    if ttl_s is None or not is_over(job) or job.deletion_requested_at is not None or is_telling(job):
        return None
    since_s = (now - datetime.fromisoformat(job.status["finishedAt"])).total_seconds()
    return max(0.0, float(ttl_s) - since_s)
