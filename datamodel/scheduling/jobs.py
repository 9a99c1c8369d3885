"""What people ask for: job groups, jobs, and the Scheduler's policy."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field, StringConstraints, field_validator, model_validator

from datamodel.kinds import IMMUTABLE, Column, Immutable, Kind, Name, Part, Phases, Seed
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
from datamodel.scheduling.ending import Completion, Deadlines, Ending, Queued, Retried, check_completion
from datamodel.scheduling.planes import CONFIG, Config
from datamodel.scheduling.resources import MEMORY_LIMIT_BYTES, Requests
from datamodel.scheduling.retrying import RetryPolicy
from datamodel.scheduling.secrets import SECRETS_LIMIT, EnvName, SecretUses, check_places

CHUNKS_LIMIT = 1_000_000
STEPS_LIMIT = 32
STEPS_BYTES = 150 * 1024
"""Of all steps together: with the outputs and messages that come later, the job and each of its attempts stay nodes that the
store takes."""
ENV_LIMIT = 128
ANNOTATIONS_LIMIT = 32
TIMEOUT_LIMIT_S = 30 * 86_400.0

PENDING, RUNNING, SUCCEEDED, FAILED, ABORTED = "pending", "running", "succeeded", "failed", "aborted"
FINISHED = frozenset({SUCCEEDED, FAILED, ABORTED})
RUN, SUSPEND, ABORT = "run", "suspend", "abort"
"""Intents of a job."""

Network = Annotated[
    str,
    StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$"),
    Field(description="none, or the name of a network that the edge's operator allows, as bridge"),
]


class Step(Part):
    """One container of the sequence: what it is, what it runs and as whom. `script` is run by `shell`, `command` is an argv,
    neither: the image's own command."""

    name: Name
    image: Annotated[
        str,
        StringConstraints(min_length=1, max_length=512, pattern=r"^[^\s@]+(@sha256:[0-9a-f]{64})?$"),
        Field(description="name, name:tag or name@sha256:digest"),
    ]
    pull_policy: Annotated[
        Literal["Always", "IfNotPresent", "Never"],
        Field(description="whether a registry is asked each time, where the edge lacks the image, or not at all"),
    ] = "IfNotPresent"
    script: Annotated[str, StringConstraints(min_length=1, max_length=65_536)] | None = None
    shell: Annotated[
        tuple[Annotated[str, StringConstraints(min_length=1, max_length=4_096)], ...] | None,
        Field(min_length=1, max_length=16, description="the argv that the script is appended to; absent: /bin/sh -c"),
    ] = None
    command: Annotated[tuple[Annotated[str, StringConstraints(max_length=65_536)], ...], Field(max_length=256)] = ()
    env: Annotated[
        dict[EnvName, Annotated[str, StringConstraints(max_length=32_768)]], Field(max_length=ENV_LIMIT)
    ] = {}
    user: Annotated[
        str | None,
        StringConstraints(pattern=r"^[0-9]{1,9}(:[0-9]{1,9})?$"),
        Field(description="uid or uid:gid; absent: the image's user if that is not root, else nobody"),
    ] = None
    read_only_root: Annotated[bool, Field(strict=True, description="only /shared and /tmp take writes")] = True
    secrets: SecretUses | None = None
    continue_on_error: Annotated[
        bool, Field(strict=True, description="the next step starts, and the chunk succeeds, whatever its exit code is")
    ] = False

    @model_validator(mode="after")
    def _one_way_to_run(self) -> "Step":
        if self.script is not None and self.command:
            raise ValueError("a step has a script or a command, not both")
        if self.shell is not None and self.script is None:
            raise ValueError("a shell runs a script, and this step has none")
        return self

    @model_validator(mode="after")
    def _secrets_have_places(self) -> "Step":
        uses = self.secrets or ()
        check_places(uses)
        if any(use.env in self.env for use in uses):
            raise ValueError("a secret goes into a variable that the step's env has too")
        return self


AnnotationName = Annotated[
    str,
    StringConstraints(
        pattern=r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
    ),
]
Annotations = Annotated[
    dict[AnnotationName, Annotated[str, StringConstraints(max_length=4_096)]], Field(max_length=ANNOTATIONS_LIMIT)
]


class Limits(Part):
    """What ends one attempt at a chunk, or what it can take no more of. Absent: what its edge's operator allows at most,
    and no limit of time."""

    timeout_s: Annotated[
        float | None,
        Field(gt=0, le=TIMEOUT_LIMIT_S, allow_inf_nan=False, description="wall clock since the first step's start"),
    ] = None
    pids: Annotated[
        int | None,
        Field(ge=16, le=2**22, strict=True, description="processes and threads of a step, its init among them"),
    ] = None
    tmp_bytes: Annotated[
        int | None,
        Field(ge=4096, le=MEMORY_LIMIT_BYTES, strict=True, description="of /tmp; what is there counts as memory"),
    ] = None
    swap_bytes: Annotated[
        int | None,
        Field(ge=0, le=MEMORY_LIMIT_BYTES, strict=True, description="swap beside the memory; absent: none"),
    ] = None
    artifacts_bytes: Annotated[
        int | None,
        Field(
            ge=0,
            le=MEMORY_LIMIT_BYTES,
            strict=True,
            description="artifacts of the whole job; each chunk has an equal share of it",
        ),
    ] = None


class JobSpec(Part):
    """A job: the steps that run for every chunk, and how many chunks there are. What its attempts were made of stays."""

    chunks: Annotated[int, Field(ge=1, le=CHUNKS_LIMIT, strict=True), IMMUTABLE] = 1
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
    intent: Annotated[
        Literal["run", "suspend", "abort"],
        Immutable(once="abort"),
        Field(description="suspend: nothing of it runs until it is run again; abort: it is ended, for good"),
    ] = "run"
    work_ws: Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False, description="the whole job's watt-seconds")] = (
        0.0
    )
    annotations: Annotated[
        Annotations | None,
        IMMUTABLE,
        Field(description="of what an engine with such makes of a chunk: a Kubernetes Job"),
    ] = None
    outputs: Annotated[dict[str, Literal["sum", "collect", "merge"]], Field(max_length=64), IMMUTABLE] = {}
    artifacts: Annotated[tuple[Artifact, ...] | None, Field(min_length=1, max_length=ARTIFACTS_LIMIT), IMMUTABLE] = None
    inputs: Annotated[tuple[Input, ...] | None, Field(min_length=1, max_length=INPUTS_LIMIT), IMMUTABLE] = None

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

    @model_validator(mode="after")
    def _has_room_for_files(self) -> "JobSpec":
        check_completion(self.completion, self.chunks)
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
    queued: Queued | None = None
    retried: Retried | None = None
    inputs: tuple[InputFile, ...] | None = None
    """What its attempts are given, once all jobs that it has inputs of have succeeded."""
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
            FAILED: frozenset({PENDING, RUNNING}),  # its chunks are tried once more
        },
        rests=frozenset({FAILED}),
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


SEEDS = (Seed("/config/job-groups/default", {"description": "Jobs that name no group."}),)
