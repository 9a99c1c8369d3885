"""What a job waits for before it begins: the artifacts of others, the ends of others, and a moment."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from datamodel.kinds import Document, Part
from datamodel.node import Node

AFTER_LIMIT = 16
TTL_LIMIT_S = 10 * 365 * 86_400.0

SUCCEEDS, FINISHES = "succeeded", "finished"
"""What a job that comes after another waits for: that it has succeeded, or that it has ended in whichever way."""

_JOB = r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/)?[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"


class Dependency(Part):
    """A job that must have ended before this one begins."""

    job: Annotated[
        str,
        StringConstraints(pattern=_JOB),
        Field(description="GROUP/NAME, or the NAME of one of the same group; it is there already"),
    ]
    on: Annotated[
        Literal["succeeded", "finished"],
        Field(description="finished: failed or aborted will do, too"),
    ] = "succeeded"


def job_path(name: str, beside: str) -> str:
    """The path of the job that a name stands for, in a job at the path `beside`."""
    group, slash, job = name.rpartition("/")
    return f"/config/job-groups/{group}/jobs/{job}" if slash else f"{beside.rpartition('/')[0]}/{job}"


def check_once(after: Sequence[Dependency] | None) -> None:
    """Raises `ValueError` where a job is named twice."""
    if after and len({one.job for one in after}) < len(after):
        raise ValueError("the same job is named twice")


def may_be_held(spec: Document) -> bool:
    """Whether a job of this spec waits for more than an edge, at first."""
    return "inputs" in spec or _comes_later(spec)


def is_held(job: Node) -> bool:
    """Whether a job that has not ended still waits for more than an edge: nothing of it is placed until then."""
    if "inputs" in job.spec and "inputs" not in job.status:
        return True
    return _comes_later(job.spec) and "readyAt" not in job.status


def _comes_later(spec: Document) -> bool:
    return "after" in spec or "startAt" in spec
