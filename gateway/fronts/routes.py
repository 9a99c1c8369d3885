"""Which front ends there are, their routes, and what the OpenAPI document says of their documents."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec
from pydantic.json_schema import models_json_schema

from datamodel.kinds import Document
from gateway.backend import Backend
from gateway.fronts import hades, jobscheduler, nexus
from gateway.fronts.given import Given
from gateway.fronts.hades_routes import hades_routes
from gateway.fronts.jobscheduler_routes import jobscheduler_routes
from gateway.fronts.nexus_routes import nexus_routes
from gateway.rest.openapi import reference
from gateway.rest.route import DirectRoute
from gateway.settings import Front

ROUTES: Mapping[Front, Callable[[Backend], Sequence[DirectRoute]]] = {
    "hades": hades_routes,
    "jobscheduler": jobscheduler_routes,
    "nexus": nexus_routes,
}
_GIVEN: Mapping[Front, type[Given]] = {
    "hades": hades.HadesBuild,
    "jobscheduler": jobscheduler.RedisSubmission,
    "nexus": nexus.NexusJobSpec,
}
_ANSWERED: Mapping[Front, Sequence[type[msgspec.Struct]]] = {
    "hades": (hades.HadesBuildAccepted,),
    "jobscheduler": (
        jobscheduler.RedisJob,
        jobscheduler.RedisJobList,
        jobscheduler.RedisExecutorList,
        jobscheduler.RedisStats,
    ),
    "nexus": (nexus.NexusNode, nexus.NexusNamed, nexus.NexusMessage),
}
_REDIS_JOB: Document = {
    "id": "0b8f6f0e-6f5e-4f0c-9a55-3f1f6a1d2c11",
    "status": "running",
    "definition": {
        "name": "simple-success",
        "image": "alpine:latest",
        "command": ["echo", "hello world"],
        "resources": {"cpu_cores": 0.1, "memory_mb": 128, "gpu_type": None, "gpu_count": 0},
        "environment": {"GREETING": "hello"},
    },
    "created_at": "2026-01-31T12:00:00Z",
    "updated_at": "2026-01-31T12:00:01Z",
    "assigned_executor_id": "local/edge-0",
    "ip_address": None,
    "assigned_at": None,
    "started_at": "2026-01-31T12:00:01Z",
    "finished_at": None,
    "aborted_at": None,
    "container_status": None,
    "error_message": None,
}
_REDIS_EXECUTOR: Document = {
    "executor_info": {
        "id": "local/edge-0",
        "resources": {"cpu_cores": 2.0, "memory_mb": 4096, "gpu_type": None, "gpu_count": 0},
        "ip_address": None,
    },
    "available_resources": {
        "id": "local/edge-0",
        "resources": {"cpu_cores": 1.9, "memory_mb": 3968, "gpu_type": None, "gpu_count": 0},
    },
}
_NEXUS_NAMED: Document = {
    "name": "job-17",
    "spec": {"jobId": 17, "powerNeeded": 120, "creationTime": 1_731_500_000},
    "status": {"state": {"percentCompleted": 25, "startTime": 1_731_500_002, "endTime": 0}},
}
_EXAMPLES: Mapping[str, Sequence[Any]] = {
    "HadesBuild": (
        {
            "name": "Example Job",
            "priority": 3,
            "metadata": {"GLOBAL": "test"},
            "timeout_seconds": 600,
            "steps": [
                {"id": 1, "name": "Hello World", "image": "alpine:latest", "script": "echo 'Hello, Hades!'"},
                {
                    "id": 2,
                    "name": "Test",
                    "image": "alpine:latest",
                    "script": "./test",
                    "cpu_limit": 1,
                    "pids_limit": 64,
                },
            ],
        },
    ),
    "HadesBuildAccepted": ({"message": "Successfully enqueued job", "job_id": "6f6f3c1e-2b0c-4e2a-9d53-6a2a7c0f9d11"},),
    "RedisSubmission": (
        {
            "definition": {
                "name": "simple-success",
                "image": "alpine:latest",
                "command": ["echo", "hello world"],
                "resources": {"cpu_cores": 0.1, "memory_mb": 128, "gpu_count": 0},
                "environment": {"GREETING": "hello"},
            }
        },
    ),
    "RedisJob": (_REDIS_JOB,),
    "RedisJobList": ({"jobs": [_REDIS_JOB], "cursor": None},),
    "RedisExecutorList": ({"executors": [_REDIS_EXECUTOR], "cursor": None},),
    "RedisStats": ({"pending": 3, "running": 2, "succeeded": 40, "failed": 1, "aborted": 0},),
    "NexusJobSpec": ({"jobId": 17, "powerNeeded": 120, "creationTime": 1_731_500_000},),
    "NexusNode": (
        {"spec": {}, "status": {"state": {"powerInfo": {"totalPowerAvailable": 37, "freePowerAvailable": 31}}}},
    ),
    "NexusNamed": (_NEXUS_NAMED,),
    "NexusList": ([_NEXUS_NAMED],),
    "NexusMessage": ({"message": "job-17"},),
}


def front_routes(fronts: Collection[Front], backend: Backend) -> list[DirectRoute]:
    """The routes of these front ends."""
    return [made for front in ROUTES if front in fronts for made in ROUTES[front](backend)]


def add_front_schemas(fronts: Collection[Front], schemas: Document) -> None:
    """Adds the documents of these front ends to the schemas."""
    found: Document = {}
    for front in ROUTES:
        if front in fronts:
            _, given = models_json_schema([(_GIVEN[front], "validation")], ref_template="#/components/schemas/{model}")
            _, told = msgspec.json.schema_components(_ANSWERED[front], ref_template="#/components/schemas/{name}")
            found |= given["$defs"] | told
    if "nexus" in fronts:
        found["NexusList"] = {"type": "array", "items": reference("NexusNamed")}
    for name, examples in _EXAMPLES.items():
        if name in found:
            found[name]["examples"] = list(examples)
    schemas |= found
