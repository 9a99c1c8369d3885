"""Nexus' sample of a scheduler: the nodes that its REST serves, as ours and back.

Written from `demo/edge-power-scheduler/datamodel` (the nodes) and `api-gw/pkg/server/echo_server/handler.go` (what is sent and
answered) in github.com/xmen4xp/graph-framework-for-microservices, the fork of vmware-tanzu's that has them. Watt-seconds,
watts, percents and seconds since 1970 are integers there.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from datamodel.kinds import Document
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.scheduling.jobs import PENDING, RUNNING, SUCCEEDED
from datamodel.scheduling.resources import POWER
from datamodel.scheduling.splitting import chunks_of
from gateway.executions import Execution
from gateway.fronts.given import Given
from gateway.fronts.pointers import Places

JOB_ID, CREATION_TIME = "nexus/job-id", "nexus/creation-time"
"""Labels of a job."""
STEP: Document = {"name": "work", "image": "busybox:latest", "command": ["true"]}
"""What a job runs that is nothing but an amount of work. Simulated edges work it off; others are done with it at once."""


class NexusJobSpec(Given):
    """A job as Nexus' clients send it: the spec alone."""

    model_config = ConfigDict(alias_generator=to_camel)

    job_id: Annotated[int, Field(ge=0, lt=2**64)] = 0
    power_needed: Annotated[int, Field(ge=0, lt=2**32, description="watt-seconds")] = 0
    creation_time: Annotated[int, Field(ge=0, lt=2**63, description="seconds since 1970")] = 0


class NexusMessage(msgspec.Struct, frozen=True):
    message: str


class NexusNode(msgspec.Struct, frozen=True):
    """A node. What there has a status has it in `state`."""

    spec: Document
    status: Document


class NexusNamed(msgspec.Struct, frozen=True):
    """A node in a list."""

    name: str
    spec: Document
    status: Document


PLACES: Places = {
    "/metadata/labels/nexus~1job-id": "/jobId",
    "/metadata/labels/nexus~1creation-time": "/creationTime",
    "/spec/workWs": "/powerNeeded",
}


def spec_of(given: NexusJobSpec) -> tuple[Document, dict[str, str]]:
    """The spec and the labels of the job."""
    labels = {JOB_ID: str(given.job_id), CREATION_TIME: str(given.creation_time)}
    return {"steps": [STEP], "workWs": float(given.power_needed)}, labels


def job_of(job: Node, executions: Sequence[Execution] | None = None) -> NexusNode:
    """A job; its executions are by `SITE/EDGE`, where they are told."""
    work_ws, chunks = job.spec["workWs"], chunks_of(job)
    spec = {
        "jobId": _number(job.labels.get(JOB_ID), 0),
        "powerNeeded": round(work_ws),
        "creationTime": _number(job.labels.get(CREATION_TIME), int(job.created_at.timestamp())),
    }
    state: Document = {
        "percentCompleted": int(job.status.get("percentCompleted", 0)),
        "startTime": _seconds(job.status.get("startedAt")),
        "endTime": _seconds(job.status.get("finishedAt")),
    }
    if executions is not None:
        state["execution"] = {
            f"{one.site}/{one.edge}": {
                "powerRequested": round(work_ws * one.chunks / chunks),
                "progress": int(one.percent),
            }
            for one in executions
        }
    return NexusNode(spec, {"state": state})


def edge_of(pool: Pool) -> NexusNode:
    """An edge of the inventory, by its pool."""
    total, free = pool.capacity.get(POWER, 0), max(0, pool.free.get(POWER, 0))
    power = {"totalPowerAvailable": total // 1000, "freePowerAvailable": free // 1000}
    return NexusNode({}, {"state": {"powerInfo": power}})


def bare(_: Node) -> NexusNode:
    """A site, or an edge's desired state: all there is of it is its name."""
    return NexusNode({}, {})


def attempt_of(attempt: Node) -> NexusNode:
    """An attempt, which is what a job on an edge is here."""
    _, _, _, group, _, job = attempt.spec["job"].split("/")
    status = attempt.status
    spec = {"requestorJob": job, "requestorJobGroup": group, "powerNeeded": round(attempt.spec.get("workWs", 0))}
    state = {
        "progress": 100 if status.get("phase") == SUCCEEDED else int(status.get("percent", 0)),
        "startTime": _seconds(status.get("startedAt")),
        "endTime": _seconds(status.get("finishedAt")),
    }
    return NexusNode(spec, {"state": state})


def scheduler_of(scheduler: Node) -> NexusNode:
    """The scheduler's counters, as they were counted last."""
    jobs, chunks, sites = (scheduler.status.get(name, {}) for name in ("jobs", "chunks", "sites"))
    busy = {site: edges["busy"] for site, edges in sites.items()}
    state = {
        "totalJobsExecuted": {"totalJobsProcessed": jobs.get(SUCCEEDED, 0)},
        "jobsQueued": jobs.get(PENDING, 0),
        "jobsRunning": chunks.get("placed", 0) + chunks.get(RUNNING, 0),
        "busyEdges": sum(busy.values()),
        "freeEdges": sum(edges["free"] for edges in sites.values()),
        "jobRate1Min": round(scheduler.status.get("chunksPerMinute", 0)),
        "busyEdgesPerSite": busy,
    }
    return NexusNode({}, {"state": state})


def named(nodes: Iterable[Node], shown: Iterable[NexusNode]) -> list[NexusNamed]:
    """Nodes as a list has them."""
    return [NexusNamed(last_name(node.path), one.spec, one.status) for node, one in zip(nodes, shown, strict=True)]


def _seconds(told: Any) -> int:
    return int(datetime.fromisoformat(told).timestamp()) if told is not None else 0


def _number(text: str | None, otherwise: int) -> int:
    """A label's number; labels can be anything."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) <= 20 else otherwise
