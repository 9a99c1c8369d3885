"""What people ask for: job groups, jobs, and the Scheduler's policy."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from datamodel.kinds import IMMUTABLE, Column, Kind, Name, Part, Phases, Seed
from datamodel.scheduling.planes import CONFIG, Config
from datamodel.scheduling.resources import Requests

CHUNKS_LIMIT = 1_000_000
STEPS_LIMIT = 32
STEPS_BYTES = 150 * 1024
"""Of all steps together: with the outputs and messages that come later, the job and each of its attempts stay nodes that the
store takes."""
ENV_LIMIT = 128

PENDING, RUNNING, SUCCEEDED, FAILED, ABORTED = "pending", "running", "succeeded", "failed", "aborted"
FINISHED = frozenset({SUCCEEDED, FAILED, ABORTED})


_EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]


class Step(Part):
    """One container of the sequence; `script` is run by /bin/sh, `command` is an argv, neither: the image's own command."""

    name: Name
    image: Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^\S+$")]
    script: Annotated[str, StringConstraints(min_length=1, max_length=65_536)] | None = None
    command: Annotated[tuple[Annotated[str, StringConstraints(max_length=65_536)], ...], Field(max_length=256)] = ()
    env: Annotated[
        dict[_EnvName, Annotated[str, StringConstraints(max_length=32_768)]], Field(max_length=ENV_LIMIT)
    ] = {}

    @model_validator(mode="after")
    def _one_way_to_run(self) -> "Step":
        if self.script is not None and self.command:
            raise ValueError("a step has a script or a command, not both")
        return self


class JobSpec(Part):
    """A job: the steps that run for every chunk, and how many chunks there are. What its attempts were made of stays."""

    chunks: Annotated[int, Field(ge=1, le=CHUNKS_LIMIT, strict=True), IMMUTABLE] = 1
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=STEPS_LIMIT), IMMUTABLE]
    requests: Annotated[Requests, IMMUTABLE] = Requests()
    retries: Annotated[
        int, Field(ge=0, le=100, strict=True, description="failures of a chunk that are tried again")
    ] = 2
    work_ws: Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False, description="the whole job's watt-seconds")] = (
        0.0
    )
    outputs: Annotated[dict[str, Literal["sum", "collect", "merge"]], Field(max_length=64), IMMUTABLE] = {}

    @field_validator("steps")
    @classmethod
    def _are_distinct_and_small(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        if len({step.name for step in steps}) < len(steps):
            raise ValueError("two steps have the same name")
        size = sum(len(step.__pydantic_serializer__.to_json(step)) for step in steps)
        if size > STEPS_BYTES:
            raise ValueError(f"the steps are {size} bytes; a job's are at most {STEPS_BYTES}")
        return steps


class Condition(Part):
    """One aspect of a node's present, in Kubernetes' form."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""
    last_transition_time: datetime


class ChunkCounts(Part):
    """How many chunks are where. `pending` have never been placed, `retrying` wait for a new attempt."""

    pending: int = 0
    placed: int = 0
    running: int = 0
    retrying: int = 0
    succeeded: int = 0
    failed: int = 0
    aborted: int = 0


class JobStatus(Part):
    """What became of a job so far."""

    phase: Literal["pending", "running", "succeeded", "failed", "aborted"] = "pending"
    observed_generation: int = 0
    percent_completed: float = 0.0
    chunks: ChunkCounts = ChunkCounts()
    started_at: datetime | None = None
    finished_at: datetime | None = None
    outputs: dict[str, Any] | None = None
    conditions: tuple[Condition, ...] = ()


class JobGroupSpec(Part):
    """A group of jobs."""

    description: Annotated[str, StringConstraints(max_length=4096)] = ""


class JobGroup(Kind):
    """Jobs that belong together; deleting it deletes them."""

    plane, parent, segment = CONFIG, Config, "job-groups"
    Spec = JobGroupSpec
    columns = (Column("description", "spec.description"), Column("age", "metadata.createdAt", "age"))
    examples = ({"description": "What runs at night."},)


class Job(Kind):
    """Container steps, split into chunks that run on edges."""

    plane, parent, segment = CONFIG, JobGroup, "jobs"
    Spec = JobSpec
    Status = JobStatus
    phases = Phases(
        PENDING,
        {
            PENDING: frozenset({RUNNING, SUCCEEDED, FAILED, ABORTED}),
            RUNNING: frozenset({SUCCEEDED, FAILED, ABORTED}),
        },
    )
    selectable = ("status.phase",)
    columns = (
        Column("phase", "status.phase"),
        Column("done", "status.percentCompleted", "percent"),
        Column("chunks", "spec.chunks", "number"),
        Column("failed", "status.chunks.failed", "number"),
        Column("age", "metadata.createdAt", "age"),
    )
    examples = (
        {
            "chunks": 8,
            "requests": {"cpu": 0.25, "memoryBytes": 67_108_864, "powerW": 4},
            "steps": [{"name": "count", "image": "busybox:latest", "script": "echo $CHUNK_INDEX of $CHUNK_COUNT"}],
        },
    )
    finalizers = ("attempts",)
    """Retention ends and removes the job's attempts before the job goes."""


class SchedulerSpec(Part):
    """How chunks are placed."""

    policy: Literal["firstFit"] = "firstFit"


class SchedulerStatus(Part):
    """Totals and rates of the whole system, counted by the stats reconciler."""

    jobs: dict[str, int] = {}
    chunks: dict[str, int] = {}
    edges: dict[str, int] = {}
    chunks_per_minute: float = 0.0
    power_reserved_w: float = 0.0
    power_capacity_w: float = 0.0


class Scheduler(Kind):
    """The policy and the totals of placement."""

    plane, parent, segment, singleton = CONFIG, Config, "scheduler", True
    Spec = SchedulerSpec
    Status = SchedulerStatus
    columns = (Column("policy", "spec.policy"), Column("chunks/min", "status.chunksPerMinute", "number"))
    examples = ({"policy": "firstFit"},)


SEEDS = (
    Seed("/config"),
    Seed("/config/scheduler", {}),
    Seed("/config/job-groups/default", {"description": "Jobs that name no group."}),
)
