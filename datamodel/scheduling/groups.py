"""Job groups: jobs that belong together, and what they may have together."""

from typing import Annotated

from pydantic import Field, StringConstraints

from datamodel.kinds import Column, Kind, Name, Part, Seed
from datamodel.scheduling.planes import CONFIG, Config
from datamodel.scheduling.resources import Quota

SITES_LIMIT = 64


def group_path(job: str) -> str:
    """The path of the group of the job at a path."""
    return job[: job.rindex("/jobs/")]


class JobGroupSpec(Part):
    """A group of jobs, and what they may have together."""

    description: Annotated[str, StringConstraints(max_length=4096)] = ""
    sites: Annotated[
        tuple[Name, ...] | None,
        Field(min_length=1, max_length=SITES_LIMIT, description="where its jobs run; absent: anywhere"),
    ] = None
    weight: Annotated[
        float | None,
        Field(
            ge=0.001,
            le=1_000,
            allow_inf_nan=False,
            description="its part beside other groups that want more; absent: 1",
        ),
    ] = None
    quota: Annotated[Quota | None, Field(description="the most that its jobs hold together")] = None
    max_jobs_in_flight: Annotated[int | None, Field(ge=1, le=1_000_000, strict=True)] = None
    paused: Annotated[bool | None, Field(strict=True, description="nothing more of it is placed")] = None


class JobGroup(Kind):
    """Jobs that belong together; deleting it deletes them."""

    plane, parent, segment = CONFIG, Config, "job-groups"
    Spec = JobGroupSpec
    columns = (
        Column("weight", "spec.weight", "number"),
        Column("paused", "spec.paused"),
        Column("description", "spec.description"),
        Column("age", "metadata.createdAt", "age"),
    )
    examples = (
        {"description": "What runs at night."},
        {"sites": ["attic", "cellar"], "weight": 2, "quota": {"cpu": 16, "gpus": {"nvidia": 2}}, "maxJobsInFlight": 50},
    )


SEEDS = (Seed("/config/job-groups/default", {"description": "Jobs that name no group."}),)
