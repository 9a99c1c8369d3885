"""The Redis scheduler's documents as ours and back."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import structs

from datamodel.errors import Invalid
from datamodel.node import Node
from datamodel.parts import normal_spec
from datamodel.pool import Pool
from datamodel.scheduling.jobs import Job
from gateway.executions import Execution
from gateway.fronts.given import parsed
from gateway.fronts.jobscheduler import (
    RedisResources,
    RedisStats,
    RedisSubmission,
    document_of,
    executor_of,
    job_of,
    stats_of,
)

ID = "6f6f3c1e-2b0c-4e2a-9d53-6a2a7c0f9d11"
AT = datetime(2026, 11, 2, 10, tzinfo=UTC)
DEFINITION = {
    "name": "simple success",
    "image": "alpine:latest",
    "command": ["echo", "hello world"],
    "resources": {"cpu_cores": 0.1, "memory_mb": 128, "gpu_type": None, "gpu_count": 0},
    "environment": {"GREETING": "hello"},
}


def read(**fields: Any) -> RedisSubmission:
    return parsed(json.dumps({"definition": {**DEFINITION, **fields}}).encode(), RedisSubmission)


def node(kind: str, path: str, spec: dict[str, Any], status: dict[str, Any]) -> Node:
    return Node(path, "0" * 32, kind, {}, spec, status, {}, (), 1, 1, 1, AT)


def job(**status: Any) -> Node:
    document = document_of(read(), ID)
    path = f"/config/job-groups/default/jobs/{document.pop('name')}"
    return node("Job", path, normal_spec(Job, document), status)


def test_a_definition_there_and_back() -> None:
    document = document_of(read(), ID)
    assert document["name"] == ID
    assert document["retries"] == 0
    assert document["requests"] == {"cpu": 0.1, "memoryBytes": 128 * 2**20}
    assert structs.asdict(job_of(job()).definition) | {"resources": None} == {**DEFINITION, "resources": None}
    assert job_of(job()).definition.resources == RedisResources(0.1, 128)


def test_nothing_asked_for_is_what_jobs_have_otherwise() -> None:
    assert document_of(read(resources={"cpu_cores": 0, "memory_mb": 0}), ID)["requests"] == {}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, "pending"),
        ({"phase": "pending", "chunks": {"placed": 1}}, "assigned"),
        ({"phase": "running", "chunks": {"placed": 1}}, "running"),
        ({"phase": "succeeded"}, "succeeded"),
        ({"phase": "failed"}, "failed"),
        ({"phase": "aborted"}, "aborted"),
    ],
)
def test_phases_are_statuses(status: dict[str, Any], expected: str) -> None:
    assert job_of(job(**status)).status == expected


def test_times_and_place() -> None:
    ended = job(phase="aborted", startedAt="2026-11-02T10:00:01Z", finishedAt="2026-11-02T10:00:03Z")
    shown = job_of(ended, [Execution("s", "e")])
    assert shown.assigned_executor_id == "s/e"
    assert shown.aborted_at == shown.finished_at == shown.updated_at == datetime(2026, 11, 2, 10, 0, 3, tzinfo=UTC)
    assert job_of(job()).updated_at == AT


def test_a_script_is_shown_as_a_command() -> None:
    spec = {"steps": [{"name": "s", "image": "i", "script": "date"}]}
    other = node("Job", "/config/job-groups/default/jobs/j", normal_spec(Job, spec), {})
    assert job_of(other).definition.command == ["/bin/sh", "-c", "date"]
    assert job_of(other).definition.name == "j"


def test_an_edge_that_shrank_has_nothing_free() -> None:
    capacity = {"cpu": 2.0, "memoryBytes": 2**30, "powerW": 10.0}
    edge = node("Edge", "/inventory/sites/s/edges/e", {"capacity": capacity}, {})
    pool = Pool({"cpu": 2000, "memory": 2**30, "power": 10_000}, {"cpu": 2500, "memory": 2**20})
    shown = executor_of(edge, pool)
    assert shown.executor_info.id == shown.available_resources.id == "s/e"
    assert shown.executor_info.resources == RedisResources(2.0, 1024)
    assert shown.available_resources.resources == RedisResources(0.0, 1023)


def test_stats_are_counts_by_phase() -> None:
    scheduler = node("Scheduler", "/config/scheduler", {}, {"jobs": {"pending": 2, "succeeded": 5}})
    assert stats_of(scheduler) == RedisStats(pending=2, succeeded=5)
    assert stats_of(structs.replace(scheduler, status={})) == RedisStats()


def test_gpus_are_of_a_type_that_edges_have() -> None:
    asked = {"cpu_cores": 1.0, "memory_mb": 1, "gpu_type": "nvidia-t4", "gpu_count": 2}
    document = document_of(read(resources=asked), ID)
    assert document["requests"]["gpus"] == {"count": 2, "type": "nvidia-t4"}
    shown = job_of(node("Job", f"/config/job-groups/default/jobs/{ID}", normal_spec(Job, _spec(document)), {}))
    assert structs.asdict(shown.definition.resources) == asked
    untyped = document_of(read(resources={**asked, "gpu_type": None}), ID)
    assert normal_spec(Job, _spec(untyped))["requests"]["gpus"]["type"] == "nvidia"
    capacity = {"cpu": 4.0, "memoryBytes": 2**30, "powerW": 1.0, "gpus": {"a100": 1, "nvidia-t4": 4}}
    has = {"cpu": 4_000, "memory": 2**30, "gpu/nvidia-t4": 4}
    edge = executor_of(
        node("Edge", "/inventory/sites/s/edges/e", {"capacity": capacity}, {}), Pool(has, {"gpu/nvidia-t4": 3})
    )
    assert (edge.executor_info.resources.gpu_type, edge.executor_info.resources.gpu_count) == ("nvidia-t4", 4)
    assert edge.available_resources.resources.gpu_count == 1


def _spec(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in ("name", "group")}


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"colour": 1}, "/definition/colour"),
        ({"command": "echo"}, "/definition/command"),
        ({"environment": {"A": 1}}, "/definition/environment/A"),
        ({"resources": {"cpu_cores": -1, "memory_mb": 1}}, "/definition/resources/cpu_cores"),
        ({"resources": {"cpu_cores": 1, "memory_mb": 1.5}}, "/definition/resources/memory_mb"),
        (
            {"resources": {"cpu_cores": 1, "memory_mb": 1, "gpu_type": "nvidia-t4", "gpu_count": 0}},
            "/definition/resources/gpu_count",
        ),
        ({"resources": {"cpu_cores": 1, "memory_mb": 1, "gpu_count": -1}}, "/definition/resources/gpu_count"),
    ],
)
def test_what_is_refused_is_named(fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        document_of(read(**fields), ID)
    assert pointer in [found for found, _ in refused.value.details]
