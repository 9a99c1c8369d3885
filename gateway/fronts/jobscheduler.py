"""The small scheduler on Redis: its jobs, executors and totals, as ours and back.

Written from `src/scheduler/api.py`, `src/shared/models.py` and `src/cli` in github.com/emgeee/jobscheduler.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from pydantic import Field

from datamodel.errors import Invalid
from datamodel.kinds import Document
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.scheduling.edges import place_of
from datamodel.scheduling.jobs import ABORTED, FAILED, PENDING, RUNNING, SUCCEEDED
from datamodel.scheduling.resources import CPU, MEMORY
from gateway.executions import Execution
from gateway.fronts.given import NO_ZERO, Given, Text, label_of
from gateway.fronts.pointers import Places

NAME = "jobscheduler/name"
"""The annotation of a job that has what it is called there."""
ASSIGNED = "assigned"
Status = Literal["pending", "assigned", "running", "succeeded", "failed", "aborted"]
PHASES: dict[str, str] = {ASSIGNED: PENDING, **{p: p for p in (PENDING, RUNNING, SUCCEEDED, FAILED, ABORTED)}}
"""By status, the phase of the jobs that can have it."""

_MB = 2**20
_SHELL = ("/bin/sh", "-c")

_Value = Annotated[str, Field(max_length=32_768, pattern=NO_ZERO)]


class RedisResourcesAsked(Given):
    """What a job reserves; 0 for what jobs reserve here otherwise."""

    cpu_cores: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    memory_mb: Annotated[int, Field(ge=0)]
    gpu_type: Annotated[str | None, Field(max_length=64, description="as the edges that have some name it")] = None
    gpu_count: Annotated[int, Field(ge=0)] = 0


class RedisDefinition(Given):
    """One container."""

    name: Text
    image: Annotated[str, Field(min_length=1, max_length=512)]
    command: Annotated[list[Annotated[str, Field(max_length=65_536)]], Field(max_length=256)]
    resources: RedisResourcesAsked
    environment: dict[str, _Value] = {}


class RedisSubmission(Given):
    """A job as that scheduler's clients send it."""

    definition: RedisDefinition


class RedisResources(msgspec.Struct, frozen=True):
    cpu_cores: float
    memory_mb: int
    gpu_type: str | None = None
    gpu_count: int = 0


class RedisJobDefinition(msgspec.Struct, frozen=True):
    """Of a job with several steps, the first one; a script is shown with its shell as a command."""

    name: str
    image: str
    command: list[str]
    resources: RedisResources
    environment: dict[str, str]


class RedisJob(msgspec.Struct, frozen=True):
    """`id` is the job's name, in the group `default`. `updated_at` is the last of the times that are known; the executor is
    told where one job is read; what is not known is null."""

    id: str
    status: Status
    definition: RedisJobDefinition
    created_at: datetime
    updated_at: datetime
    assigned_executor_id: str | None = None
    ip_address: str | None = None
    assigned_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    aborted_at: datetime | None = None
    container_status: None = None
    error_message: str | None = None


class RedisJobList(msgspec.Struct, frozen=True):
    """`cursor` is where the next page begins, null at the end."""

    jobs: list[RedisJob]
    cursor: str | None = None


class RedisExecutorInfo(msgspec.Struct, frozen=True):
    id: str
    resources: RedisResources
    ip_address: str | None = None


class RedisAvailable(msgspec.Struct, frozen=True):
    id: str
    resources: RedisResources


class RedisExecutor(msgspec.Struct, frozen=True):
    """An edge. Its id is `SITE/EDGE`."""

    executor_info: RedisExecutorInfo
    available_resources: RedisAvailable


class RedisExecutorList(msgspec.Struct, frozen=True):
    """`cursor` is where the next page begins, null at the end."""

    executors: list[RedisExecutor]
    cursor: str | None = None


class RedisStats(msgspec.Struct, frozen=True):
    """How many jobs are in which phase."""

    pending: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    aborted: int = 0


PLACES: Places = {
    "/steps/0/image": "/definition/image",
    "/steps/0/command": "/definition/command",
    "/steps/0/env": "/definition/environment",
    "/steps": "/definition",
    "/requests/cpu": "/definition/resources/cpu_cores",
    "/requests/memoryBytes": "/definition/resources/memory_mb",
    "/requests/gpus/type": "/definition/resources/gpu_type",
    "/requests/gpus": "/definition/resources/gpu_count",
    "/annotations": "/definition/name",
}


def document_of(given: RedisSubmission, job_id: str) -> Document:
    """The flat document of a job of this name. Raises `Invalid` for a type of GPUs of which none is asked for."""
    sent, resources = given.definition, given.definition.resources
    if resources.gpu_type and not resources.gpu_count:
        raise Invalid("a type of GPUs is named, and how many are not", field="/definition/resources/gpu_count")
    requests: Document = {}
    if resources.cpu_cores:
        requests["cpu"] = resources.cpu_cores
    if resources.memory_mb:
        requests["memoryBytes"] = resources.memory_mb * _MB
    if resources.gpu_count:
        kind = {"type": resources.gpu_type} if resources.gpu_type else {}
        requests["gpus"] = {"count": resources.gpu_count, **kind}
    step = {
        "name": label_of(sent.name, "step"),
        "image": sent.image,
        "command": sent.command,
        "env": sent.environment,
        "readOnlyRoot": False,
    }
    return {"name": job_id, "annotations": {NAME: sent.name}, "steps": [step], "requests": requests, "retries": 0}


def job_of(job: Node, executions: Sequence[Execution] = ()) -> RedisJob:
    """A job in that form."""
    known = {name: _time(job, name) for name in ("startedAt", "finishedAt")}
    ended = known["finishedAt"]
    placed = job.status.get("chunks", {}).get("placed", 0)
    phase = job.phase or PENDING
    return RedisJob(
        id=last_name(job.path),
        status=msgspec.convert(ASSIGNED if phase == PENDING and placed else phase, Status),
        definition=_definition(job),
        created_at=job.created_at,
        updated_at=max(time for time in (job.created_at, *known.values()) if time is not None),
        assigned_executor_id=f"{executions[0].site}/{executions[0].edge}" if executions else None,
        started_at=known["startedAt"],
        finished_at=ended,
        aborted_at=ended if phase == ABORTED else None,
    )


def executor_of(edge: Node, pool: Pool) -> RedisExecutor:
    """An edge in that form. Of several types of GPUs, the one that it has most of is shown."""
    name = "/".join(place_of(edge.path))
    capacity, free = edge.spec["capacity"], pool.free
    gpus: dict[str, int] = capacity.get("gpus") or {}
    kind = max(sorted(gpus), key=gpus.__getitem__, default=None)
    has, left = (gpus[kind], max(0, free.get(f"gpu/{kind}", 0))) if kind is not None else (0, 0)
    cores, memory = max(0, free.get(CPU, 0)) / 1000, max(0, free.get(MEMORY, 0)) // _MB
    return RedisExecutor(
        RedisExecutorInfo(name, RedisResources(capacity["cpu"], capacity["memoryBytes"] // _MB, kind, has)),
        RedisAvailable(name, RedisResources(cores, memory, kind, left)),
    )


def stats_of(scheduler: Node) -> RedisStats:
    """The totals in that form."""
    return msgspec.convert(scheduler.status.get("jobs", {}), RedisStats)


def _definition(job: Node) -> RedisJobDefinition:
    step, requests = job.spec["steps"][0], job.spec["requests"]
    gpus = requests.get("gpus") or {}
    script = [*step.get("shell", _SHELL), step["script"]] if "script" in step else []
    return RedisJobDefinition(
        name=job.spec.get("annotations", {}).get(NAME, last_name(job.path)),
        image=step["image"],
        command=[*step.get("command", ())] or script,
        resources=RedisResources(
            requests["cpu"], requests["memoryBytes"] // _MB, gpus.get("type"), gpus.get("count", 0)
        ),
        environment=step.get("env", {}),
    )


def _time(job: Node, name: str) -> datetime | None:
    told = job.status.get(name)
    return datetime.fromisoformat(told) if told is not None else None
