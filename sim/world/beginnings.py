"""What the log shows of when jobs begin and go: nothing before its time or before what it comes after, no moment of a schedule
twice, and nothing deleted by its age before that. The clocks of the hub must be right where times are judged."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from datamodel.event import Event
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.scheduling.beginning import job_path
from datamodel.scheduling.jobs import ABORT, ABORTED, FAILED, FINISHED, SUCCEEDED
from datamodel.scheduling.schedules import FORBID, REPLACE
from datamodel.state import State
from sim.world.process import EPOCH
from sim.world.receivers import undelivered


class Beginnings:
    """Complains, by a sentence to `complain`, of every event that should not be."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self._ended: dict[str, set[str]] = {}
        """By path, the phases in which a job has ever ended."""
        self._made: set[tuple[str, str]] = set()
        """Uid of a schedule and name of a job."""

    def restored(self, nodes: Mapping[str, Node]) -> None:
        """The database was put back, and knows no more than this."""
        jobs = [node for node in nodes.values() if node.kind == "Job"]
        self._ended = {job.path: {job.phase} for job in jobs if job.phase in FINISHED}
        for job in jobs:
            for name in job.status.get("after", ()):
                self._ended.setdefault(job_path(name, job.path), set()).add(SUCCEEDED)
        self._made = {(uid, last_name(job.path)) for job in jobs for uid in job.links.get("schedule", ())}

    def appended(self, event: Event, state: State, now_s: float) -> None:
        now = EPOCH + timedelta(seconds=now_s)
        if event.kind == "Attempt" and event.op == "created":
            self._placed(event, state, now)
        elif event.kind == "Job":
            if event.op == "created":
                self._created(event, state, now)
            elif event.op == "statusChanged" and event.part["status"].get("phase") in FINISHED:
                self._finished(event, state)
            elif event.op == "deletionRequested":
                self._asked_to_go(event, state, now)

    def _placed(self, event: Event, state: State, now: datetime) -> None:
        job = state.nodes.get(event.part["spec"]["job"])
        if job is None:
            return
        for one in job.spec.get("after", ()):
            ends = self._ended.get(job_path(one["job"], job.path), set())
            if not ends or (one["on"] == SUCCEEDED and SUCCEEDED not in ends):
                self._complain(f"{event.path} is placed, and {one['job']}, which comes before it, {_has(ends)}")
        start_at = job.spec.get("startAt")
        if start_at is not None and datetime.fromisoformat(start_at) > now:
            self._complain(f"{event.path} is placed before {start_at}")

    def _created(self, event: Event, state: State, now: datetime) -> None:
        for uid in event.part.get("links", {}).get("schedule", ()):
            name = last_name(event.path)
            if (uid, name) in self._made:
                self._complain(f"{event.path} was made before")
            self._made.add((uid, name))
            if datetime.strptime(name[-12:], "%Y%m%d%H%M").replace(tzinfo=UTC) > now:
                self._complain(f"{event.path} is made before its moment")
            schedule = next((node for node in state.nodes.values() if node.uid == uid), None)
            for other in made_by(uid, state) if schedule is not None else ():
                if other.path == event.path or other.phase in FINISHED:
                    continue
                assert schedule is not None, "else there is none"
                is_to_end = other.spec["intent"] == ABORT or other.deletion_requested_at is not None
                how = schedule.spec["concurrency"]
                if how == FORBID or (how == REPLACE and not is_to_end):
                    self._complain(f"{event.path} is made, and {other.path} is {other.phase or 'new'}: {how}")

    def _finished(self, event: Event, state: State) -> None:
        """Also who fails for another's sake does so only where that other one has."""
        status = event.part["status"]
        self._ended.setdefault(event.path, set()).add(status["phase"])
        reasons = {one["reason"] for one in status.get("conditions", ()) if one["type"] == "Ready"}
        job = state.nodes.get(event.path)
        if status["phase"] != FAILED or job is None or not any(one.startswith("Dependency") for one in reasons):
            return
        for one in job.spec["after"]:
            path = job_path(one["job"], job.path)
            source = state.nodes.get(path)
            if source is None or source.deletion_requested_at is not None:
                return
            bad = self._ended.get(path, set()) & {FAILED, ABORTED} if one["on"] == SUCCEEDED else False
            if bad or source.created_version > job.created_version:
                return
        self._complain(f"{event.path} fails for others' sake, and none of them has: {status['conditions']}")

    def _asked_to_go(self, event: Event, state: State, now: datetime) -> None:
        job = state.nodes.get(event.path)
        if job is None or event.actor not in ("expiry", "schedules"):
            return
        if job.phase not in FINISHED:
            self._complain(f"{event.actor} deletes {event.path}, which is {job.phase or 'new'}")
        elif any(undelivered(job)):
            self._complain(
                f"{event.actor} deletes {event.path}, and somebody is to be told of it: {job.status['callbacks']}"
            )
        elif event.actor == "expiry":
            ended = datetime.fromisoformat(job.status["finishedAt"])
            if ended + timedelta(seconds=job.spec["ttlAfterFinishS"]) > now:
                self._complain(f"{event.path} goes before its time, and ended at {ended}")


def made_by(uid: str, state: State) -> list[Node]:
    """The jobs of a schedule."""
    return [node for node in state.nodes.values() if node.kind == "Job" and uid in node.links.get("schedule", ())]


def _has(ends: set[str]) -> str:
    return f"has {', '.join(sorted(ends))}" if ends else "has not ended"
