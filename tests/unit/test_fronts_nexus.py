"""Nexus' nodes as ours and back."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from datamodel.errors import Invalid
from datamodel.node import Node
from datamodel.parts import normal_spec
from datamodel.pool import Pool
from datamodel.scheduling.jobs import Job
from gateway.executions import Execution
from gateway.fronts import nexus
from gateway.fronts.given import parsed

AT = datetime(2026, 11, 2, 10, tzinfo=UTC)
SENT = {"jobId": 17, "powerNeeded": 120, "creationTime": 1_731_500_000}


def node(kind: str, path: str, spec: dict[str, Any], status: dict[str, Any], labels: dict[str, str]) -> Node:
    return Node(path, "0" * 32, kind, labels, spec, status, {}, (), 1, 1, 1, AT)


def job(sent: dict[str, Any] | None = None, **status: Any) -> Node:
    spec, labels = nexus.spec_of(parsed(json.dumps(SENT if sent is None else sent).encode(), nexus.NexusJobSpec))
    return node("Job", "/config/job-groups/g/jobs/job-17", normal_spec(Job, spec), status, labels)


def test_a_job_there_and_back() -> None:
    assert job().spec["workWs"] == 120
    assert nexus.job_of(job()).spec == SENT
    assert nexus.job_of(job({"jobId": 2**64 - 1})).spec == {"jobId": 2**64 - 1, "powerNeeded": 0, "creationTime": 0}
    assert nexus.job_of(job()).status == {"state": {"percentCompleted": 0, "startTime": 0, "endTime": 0}}


def test_a_job_of_others_has_numbers_too() -> None:
    spec = normal_spec(Job, {"steps": [nexus.STEP], "workWs": 1.6})
    other = node("Job", "/config/job-groups/g/jobs/j", spec, {}, {nexus.JOB_ID: "x17"})
    assert nexus.job_of(other).spec == {"jobId": 0, "powerNeeded": 2, "creationTime": int(AT.timestamp())}


def test_executions_are_by_site_and_edge() -> None:
    running = job(phase="running", percentCompleted=41.9, startedAt="2026-11-02T10:00:01Z")
    state = nexus.job_of(running, [Execution("s", "e", chunks=1, percent=41.9)]).status["state"]
    assert state == {
        "percentCompleted": 41,
        "startTime": int(AT.timestamp()) + 1,
        "endTime": 0,
        "execution": {"s/e": {"powerRequested": 120, "progress": 41}},
    }


def test_an_attempt_is_a_job_on_an_edge() -> None:
    spec = {"job": "/config/job-groups/g/jobs/job-17", "workWs": 30.0}
    ended = {"phase": "succeeded", "percent": 99.0, "startedAt": "2026-11-02T10:00:00Z"}
    shown = nexus.attempt_of(node("Attempt", "/desired-config/sites/s/edges/e/attempts/a", spec, ended, {}))
    assert shown.spec == {"requestorJob": "job-17", "requestorJobGroup": "g", "powerNeeded": 30}
    assert shown.status == {"state": {"progress": 100, "startTime": int(AT.timestamp()), "endTime": 0}}


def test_an_edge_shows_its_power() -> None:
    pool = Pool({"power": 10_000}, {"power": 2_500})
    power = {"totalPowerAvailable": 10, "freePowerAvailable": 7}
    assert nexus.edge_of(pool).status == {"state": {"powerInfo": power}}
    assert nexus.edge_of(Pool({"power": 1_000}, {"power": 2_000})).status["state"]["powerInfo"] == {
        "totalPowerAvailable": 1,
        "freePowerAvailable": 0,
    }


def test_the_counters() -> None:
    status = {
        "jobs": {"pending": 2, "running": 1, "succeeded": 5, "failed": 1},
        "chunks": {"placed": 1, "running": 3, "succeeded": 9},
        "chunksPerMinute": 12.4,
        "sites": {"a": {"busy": 1, "free": 1}, "b": {"busy": 0, "free": 1}},
    }
    scheduler = node("Scheduler", "/config/scheduler", {}, status, {})
    assert nexus.scheduler_of(scheduler).status["state"] == {
        "totalJobsExecuted": {"totalJobsProcessed": 5},
        "jobsQueued": 2,
        "jobsRunning": 4,
        "busyEdges": 1,
        "freeEdges": 2,
        "jobRate1Min": 12,
        "busyEdgesPerSite": {"a": 1, "b": 0},
    }


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({"colour": 1}, "/colour"),
        ({"jobId": "1"}, "/jobId"),
        ({"jobId": -1}, "/jobId"),
        ({"job_id": 1}, "/job_id"),
        ({"powerNeeded": 2**32}, "/powerNeeded"),
        ({"creationTime": 1.5}, "/creationTime"),
    ],
)
def test_what_is_refused_is_named(sent: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        job(sent)
    assert refused.value.field == pointer
