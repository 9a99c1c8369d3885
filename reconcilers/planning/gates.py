"""When a job may begin: what it waits for beside an edge. Jobs name others that were there before them, so none waits for
itself, however many are between."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from datamodel.kinds import Document
from datamodel.node import Node
from datamodel.scheduling.beginning import FINISHES, is_held, job_path
from datamodel.scheduling.jobs import ABORT, ABORTED, FAILED, FINISHED, SUCCEEDED

TOLD = 3
"""How many of the jobs that are waited for a message names."""
INPUTS, READY = "InputsReady", "Ready"
"""Types of conditions."""
Aspect = tuple[str, str, str, str]
"""Type, status, reason and message of one."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """For these jobs."""

    jobs: tuple[str, ...]

    @property
    def message(self) -> str:
        more = len(self.jobs) - TOLD
        return f"waits for {', '.join(self.jobs[:TOLD])}" + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True, slots=True)
class Never:
    """It can begin no more."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look at a job has found: what is new in its status, and the conditions of that; in how many seconds it is to be
    looked at again, if time alone makes a difference."""

    patch: Document
    aspects: tuple[Aspect, ...]
    again_s: float | None = None
    is_over: bool = False
    """Nothing is waited for any more."""


def waits(job: Node) -> bool:
    """Whether anybody has to find out yet when a job may begin."""
    return is_held(job) and job.phase not in FINISHED


def named_by(job: Node) -> list[str]:
    """The paths of all jobs that a job waits for, or has."""
    names = [one["job"] for one in (*job.spec.get("inputs", ()), *job.spec.get("after", ()))]
    return sorted({job_path(name, job.path) for name in names})


def sources_of(job: Node) -> list[str]:
    """The paths of those that it waits for still."""
    names = [one["job"] for one in job.spec.get("after", ()) if one["job"] not in job.status.get("after", ())]
    if "inputs" not in job.status:
        names += [one["job"] for one in job.spec.get("inputs", ())]
    return sorted({job_path(name, job.path) for name in names})


def find(
    job: Node, sources: Mapping[str, Node], inputs: Waiting | Never | tuple[Document, ...] | None, now: datetime
) -> Finding:
    """How far a job is. `inputs` are its files, or why it has none yet; None where that is no question any more."""
    after = _after(job, sources)
    for never, condition in ((inputs, INPUTS), (after, READY)):
        if isinstance(never, Never):
            return _failed(job, never, condition, now)
    assert not isinstance(after, Never)
    met, waiting = after
    patch: Document = {"after": list(met)} if met else {}
    aspects: list[Aspect] = []
    if isinstance(inputs, Waiting):
        aspects.append((INPUTS, "False", "WaitingForJobs", inputs.message))
    elif isinstance(inputs, tuple):
        patch["inputs"] = list(inputs)
        aspects.append((INPUTS, "True", "Ready", ""))
    start_at = job.spec.get("startAt")
    rest_s = max(0.0, (datetime.fromisoformat(start_at) - now).total_seconds()) if start_at is not None else 0.0
    if waiting:
        aspects.append((READY, "False", "WaitingForJobs", Waiting(waiting).message))
    elif rest_s:
        aspects.append((READY, "False", "WaitingForTime", f"begins at {start_at}"))
    elif isinstance(inputs, Waiting):
        aspects.append((READY, "False", "WaitingForInputs", inputs.message))
    else:
        aspects.append((READY, "True", "Ready", ""))
        patch["readyAt"] = now.isoformat()
    return Finding(patch, tuple(aspects), again_s=rest_s or None, is_over="readyAt" in patch)


def ended(phase: str) -> str:
    """A word for how a job ended that did not succeed."""
    return "has failed" if phase == FAILED else "was aborted"


def _after(job: Node, sources: Mapping[str, Node]) -> tuple[tuple[str, ...], tuple[str, ...]] | Never:
    """The jobs that have ended as they had to, and those that are waited for. What has ended so once has, even if it is gone
    now, or tried again."""
    met: list[str] = list(job.status.get("after", ()))
    waiting: list[str] = []
    for number, wanted in enumerate(job.spec.get("after", ())):
        name = wanted["job"]
        if name in met:
            continue
        source = sources.get(job_path(name, job.path))
        wrong = _hindrance(job, wanted, source)
        if wrong is not None:
            return Never(wrong[0], f"after/{number}: {wrong[1]}")
        assert source is not None, "else it is a hindrance"
        (met if source.phase in FINISHED else waiting).append(name)
    return tuple(met), tuple(waiting)


def _hindrance(job: Node, wanted: Document, source: Node | None) -> tuple[str, str] | None:
    """Why a job can never come after another. That it was aborted since it is to be deleted is no end of its own."""
    name = wanted["job"]
    if source is None or (source.deletion_requested_at is not None and not _has_ended_before(source)):
        return "DependencyMissing", f"there is no job {name}, or no more"
    if source.created_version >= job.created_version:
        return "DependencyLater", f"{name} was submitted after this job, or is this job"
    if source.phase in FINISHED and source.phase != SUCCEEDED and wanted["on"] != FINISHES:
        return "DependencyFailed", f"{name} {ended(source.phase)}"
    return None


def _has_ended_before(source: Node) -> bool:
    return source.phase in FINISHED and (source.phase != ABORTED or source.spec["intent"] == ABORT)


def _failed(job: Node, never: Never, condition: str, now: datetime) -> Finding:
    aspects = (condition, "False", never.reason, never.message), ("Complete", "True", "Failed", never.message)
    patch = {"phase": FAILED, "observedGeneration": job.generation, "finishedAt": now.isoformat()}
    return Finding(patch, aspects, is_over=True)
