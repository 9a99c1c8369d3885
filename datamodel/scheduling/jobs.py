"""What people ask for: jobs."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field, ValidationInfo, field_validator, model_validator

from datamodel.kinds import IMMUTABLE, SYSTEM, Column, Grant, Immutable, Kind, Link, Part, Phases
from datamodel.scheduling.artifacts import (
    ARTIFACTS_LIMIT,
    INPUT_FILES_BYTES,
    INPUTS_LIMIT,
    Artifact,
    ArtifactTotals,
    Input,
    InputFile,
    check_apart,
    check_distinct,
)
from datamodel.scheduling.beginning import AFTER_LIMIT, TTL_LIMIT_S, Dependency, check_once
from datamodel.scheduling.callbacks import CALLBACKS_LIMIT, Callback, Notice, check_urls
from datamodel.scheduling.cutoff import CutOff
from datamodel.scheduling.ending import Completion, Deadlines, Ending, Queued, Retried, check_completion
from datamodel.scheduling.groups import JobGroup
from datamodel.scheduling.moments import Moment
from datamodel.scheduling.placing import PlacementRules
from datamodel.scheduling.planes import CONFIG
from datamodel.scheduling.resources import Requests
from datamodel.scheduling.retrying import RetryPolicy
from datamodel.scheduling.secrets import SECRETS_LIMIT
from datamodel.scheduling.splitting import (
    CHUNKS_LIMIT,
    ArraySet,
    Chunks,
    MaxChunks,
    MinChunkWs,
    Split,
    apart,
    check_array,
    check_split,
    check_work,
    default_chunks,
)
from datamodel.scheduling.steps import STEPS_BYTES, STEPS_LIMIT, Annotations, Limits, Network, Step

GANG_LIMIT = 1_000

PENDING, RUNNING, SUCCEEDED, FAILED, ABORTED = "pending", "running", "succeeded", "failed", "aborted"
FINISHED = frozenset({SUCCEEDED, FAILED, ABORTED})
RUN, SUSPEND, ABORT = "run", "suspend", "abort"
"""Intents of a job."""


class JobSpec(Part):
    """A job: the steps that run for every chunk, and how many chunks there are. What its attempts were made of stays."""

    array: ArraySet = None
    max_chunks: MaxChunks = None
    min_chunk_ws: MinChunkWs = None
    chunks: Chunks = Field(default_factory=default_chunks)
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=STEPS_LIMIT), IMMUTABLE]
    requests: Annotated[Requests, IMMUTABLE] = Requests()
    limits: Annotated[Limits | None, IMMUTABLE] = None
    network: Annotated[Network, IMMUTABLE] = "none"
    retries: Annotated[
        int,
        Field(
            ge=0,
            le=100,
            strict=True,
            description="failures of a chunk that are tried again; raised, a job that has failed goes on",
        ),
    ] = 2
    retry_policy: Annotated[RetryPolicy | None, IMMUTABLE] = None
    completion: Annotated[Completion | None, IMMUTABLE] = None
    deadlines: Annotated[Deadlines | None, IMMUTABLE] = None
    cut_off: Annotated[CutOff | None, IMMUTABLE] = None
    intent: Annotated[
        Literal["run", "suspend", "abort"],
        Immutable(once="abort"),
        Field(description="suspend: nothing of it runs until it is run again; abort: it is ended, for good"),
    ] = "run"
    work_ws: Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False, description="the whole job's watt-seconds")] = (
        0.0
    )
    priority: Annotated[
        int | None,
        Field(ge=0, le=100, strict=True, description="who goes first in its group, the greatest number; absent: 50"),
    ] = None
    placement: Annotated[PlacementRules | None, IMMUTABLE] = None
    max_parallel: Annotated[
        int | None, Field(ge=1, le=CHUNKS_LIMIT, strict=True, description="chunks that are placed at a time, at most")
    ] = None
    all_or_nothing: Annotated[
        bool | None, IMMUTABLE, Field(strict=True, description="none of its chunks is placed before all can be")
    ] = None
    annotations: Annotated[
        Annotations | None,
        IMMUTABLE,
        Field(description="of what an engine with such makes of a chunk: a Kubernetes Job"),
    ] = None
    outputs: Annotated[dict[str, Literal["sum", "collect", "merge"]], Field(max_length=64), IMMUTABLE] = {}
    artifacts: Annotated[tuple[Artifact, ...] | None, Field(min_length=1, max_length=ARTIFACTS_LIMIT), IMMUTABLE] = None
    inputs: Annotated[tuple[Input, ...] | None, Field(min_length=1, max_length=INPUTS_LIMIT), IMMUTABLE] = None
    callbacks: Annotated[
        tuple[Callback, ...] | None,
        Field(min_length=1, max_length=CALLBACKS_LIMIT, description="who is told when it reaches a phase"),
        IMMUTABLE,
    ] = None
    after: Annotated[
        tuple[Dependency, ...] | None,
        Field(min_length=1, max_length=AFTER_LIMIT, description="nothing of it is placed before these have ended"),
        IMMUTABLE,
    ] = None
    start_at: Annotated[Moment | None, IMMUTABLE, Field(description="nothing of it is placed before")] = None
    ttl_after_finish_s: Annotated[
        float | None,
        Field(ge=0, le=TTL_LIMIT_S, allow_inf_nan=False, description="so long after its end it is deleted"),
        IMMUTABLE,
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _says_how_many_at_a_time_once(cls, spec: Any) -> Any:
        return apart(spec)

    @field_validator("array")
    @classmethod
    def _is_a_set(cls, array: str | None) -> str | None:
        check_array(array)
        return array

    @field_validator("max_chunks", "min_chunk_ws", "chunks")
    @classmethod
    def _says_how_many_chunks_once(cls, value: float | None, of: ValidationInfo) -> float | None:
        check_split(of.field_name, value, of.data)
        return value

    @field_validator("after")
    @classmethod
    def _names_jobs_once(cls, after: tuple[Dependency, ...] | None) -> tuple[Dependency, ...] | None:
        check_once(after)
        return after

    @field_validator("steps")
    @classmethod
    def _are_distinct_and_small(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        if len({step.name for step in steps}) < len(steps):
            raise ValueError("two steps have the same name")
        if len({use.secret for step in steps for use in step.secrets or ()}) > SECRETS_LIMIT:
            raise ValueError(f"the steps use more than {SECRETS_LIMIT} secrets")
        size = sum(len(step.__pydantic_serializer__.to_json(step)) for step in steps)
        if size > STEPS_BYTES:
            raise ValueError(f"the steps are {size} bytes; a job's are at most {STEPS_BYTES}")
        return steps

    @field_validator("callbacks")
    @classmethod
    def _are_of_distinct_urls(cls, callbacks: tuple[Callback, ...] | None) -> tuple[Callback, ...] | None:
        check_urls(callbacks)
        return callbacks

    @model_validator(mode="after")
    def _fits_a_round(self) -> "JobSpec":
        if not self.all_or_nothing:
            return self
        chunks = self.chunks or self.max_chunks or 1
        if chunks > GANG_LIMIT:
            raise ValueError(f"all or nothing is for {GANG_LIMIT} chunks at most, and these are {chunks}")
        if self.max_parallel is not None and self.max_parallel < chunks:
            raise ValueError("all of its chunks are placed at a time, or maxParallel of them, not both")
        return self

    @model_validator(mode="after")
    def _has_room_for_files(self) -> "JobSpec":
        check_work(self.max_chunks, self.work_ws)
        check_completion(self.completion, self.chunks or self.max_chunks or 1)
        check_distinct(self.artifacts)
        check_apart(self.inputs)
        parts: tuple[Part, ...] = (*self.steps, *(self.artifacts or ()))
        if not self.artifacts and not self.inputs and not self.annotations:
            return self
        size = sum(len(part.__pydantic_serializer__.to_json(part)) for part in parts)
        size += len(msgspec.json.encode(self.annotations or {}))
        limit = STEPS_BYTES - (INPUT_FILES_BYTES if self.inputs else 0)
        if size > limit:
            raise ValueError(
                f"the steps, artifacts and annotations are {size} bytes; of a job with such inputs, at most {limit}"
            )
        return self


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
    artifacts: ArtifactTotals | None = None
    ending: Ending | None = None
    split: Split | None = None
    """Into how many chunks, of a job with `maxChunks`, once the first of them was placed."""
    queued: Queued | None = None
    retried: Retried | None = None
    inputs: tuple[InputFile, ...] | None = None
    """What its attempts are given, once all jobs that it has inputs of have succeeded."""
    callbacks: tuple[Notice, ...] | None = None
    """What its callbacks were told, or are to be, newest last."""
    after: tuple[str, ...] | None = None
    """Those jobs that it comes after which have ended as they had to, whatever has become of them since."""
    ready_at: datetime | None = None
    """Since when it waits for no other job and no moment, where it did."""
    conditions: tuple[Condition, ...] = ()


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
            FAILED: frozenset({PENDING, RUNNING}),  # its chunks are tried once more
        },
        rests=frozenset({FAILED}),
        afterwards=frozenset({"callbacks"}),
    )
    selectable = ("status.phase",)
    once = frozenset({"split"})
    links = {"schedule": Link(to="Schedule", reverse="jobs", gone="keep")}
    """What made it, if not somebody."""
    grants = {SYSTEM: Grant(frozenset({"create", "delete"}), patches=({"intent": ABORT},))}
    """Schedules make jobs, and end those that they replace; what has served its time is deleted."""
    columns = (
        Column("phase", "status.phase"),
        Column("done", "status.percentCompleted", "percent"),
        Column("chunks", "spec.chunks", "number"),
        Column("split", "status.split.chunks", "number"),
        Column("failed", "status.chunks.failed", "number"),
        Column("age", "metadata.createdAt", "age"),
    )
    examples = (
        {
            "chunks": 8,
            "requests": {"cpu": 0.25, "memoryBytes": 67_108_864, "powerW": 4},
            "steps": [{"name": "count", "image": "busybox:latest", "script": "echo $CHUNK_INDEX of $CHUNK_COUNT"}],
        },
        {
            "array": "0-31:2%4",
            "steps": [{"name": "render", "image": "busybox:latest", "script": "echo frame $ARRAY_INDEX"}],
        },
        {
            "maxChunks": 16,
            "workWs": 3600,
            "minChunkWs": 120,
            "steps": [{"name": "work", "image": "busybox:latest", "script": "echo $CHUNK_SHARE of it"}],
        },
    )
    finalizers = ("attempts",)
    """Retention ends and removes the job's attempts before the job goes."""
