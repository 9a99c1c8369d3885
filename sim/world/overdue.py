"""What time alone makes due: jobs that may begin, or are to go, and moments of schedules. It judges by the right time."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from datamodel.node import Node
from datamodel.scheduling.beginning import is_held, job_path
from datamodel.scheduling.jobs import FAILED, FINISHED
from datamodel.state import State
from reconcilers.expiry import NOTICED_S
from sim.world.beginnings import made_by
from sim.world.process import EPOCH
from sim.world.receivers import undelivered


def held(job: Node, state: State, now: datetime) -> Iterator[str]:
    """Why it waits, where it has no reason to: nobody that it comes after goes on, and its moment has come."""
    if not is_held(job) or "inputs" in job.spec or job.phase in FINISHED:
        return
    for one in job.spec.get("after", ()):
        source = state.nodes.get(job_path(one["job"], job.path))
        if source is not None and source.phase not in FINISHED and source.deletion_requested_at is None:
            return
    start_at = job.spec.get("startAt")
    if start_at is None or datetime.fromisoformat(start_at) <= now:
        yield f"{job.path} may begin, and its status is {job.status}"


def stays(job: Node, now: datetime) -> Iterator[str]:
    """Whether it is there for longer than it is to be."""
    ttl_s = job.spec.get("ttlAfterFinishS")
    if ttl_s is None or job.phase not in FINISHED or job.deletion_requested_at is not None:
        return
    if job.phase == FAILED and job.generation != job.status.get("observedGeneration"):
        return
    if any(undelivered(job)):
        return
    if datetime.fromisoformat(job.status["finishedAt"]) + timedelta(seconds=ttl_s + NOTICED_S) < now:
        yield f"{job.path} is {job.phase} since {job.status['finishedAt']}, and stays for {ttl_s} s"


def behind(schedule: Node, state: State, now: datetime) -> Iterator[str]:
    """What a schedule has not done. Its moments are every so many minutes, as a world's are."""
    status = schedule.status
    if status.get("observedGeneration") != schedule.generation:
        yield f"{schedule.path} is at generation {schedule.generation}, and its status is {status}"
    running = sum(job.phase not in FINISHED for job in made_by(schedule.uid, state))
    if status and status["active"] != running:
        yield f"{schedule.path} has {running} jobs that have not ended, and its status is {status}"
    if not schedule.spec["suspended"]:
        every_s = 60 * int(schedule.spec["cron"].split()[0].removeprefix("*/"))
        newest = now - timedelta(seconds=(now - EPOCH).total_seconds() % every_s)
        through = datetime.fromisoformat(status["through"]) if "through" in status else schedule.created_at
        if newest > through:
            yield f"{schedule.path} has the moment {newest}, and its status is {status}"
