"""Attempts: one chunk, on one edge, in one epoch; and how an attempt's course becomes the chunk's entry in the ledger."""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import structs
from pydantic import Field

from datamodel.kinds import (
    IMMUTABLE,
    USER,
    Claim,
    Column,
    Document,
    Grant,
    Immutable,
    Kind,
    Link,
    Part,
    Phases,
    Reserve,
    Settle,
)
from datamodel.ledger import Entry
from datamodel.names import last_name
from datamodel.scheduling.adoption import adopted, objection
from datamodel.scheduling.arrays import INDEX_LIMIT
from datamodel.scheduling.artifacts import Artifact, InputFile, KeptArtifact
from datamodel.scheduling.cutoff import AFTER_LIMIT_S, goes_elsewhere
from datamodel.scheduling.deciding import Decided
from datamodel.scheduling.edges import DesiredEdge
from datamodel.scheduling.giving_up import IntentReason
from datamodel.scheduling.jobs import ABORTED, FAILED, PENDING, RUNNING, SUCCEEDED
from datamodel.scheduling.leases import LEASE_LEAST_S, LEASE_MOST_S
from datamodel.scheduling.planes import DESIRED
from datamodel.scheduling.resources import Requests, amounts
from datamodel.scheduling.retrying import FAIL, ExitCodeRule, action_of
from datamodel.scheduling.steps import Annotations, Limits, Network, Step

INTERRUPTED, STOPPED = "interrupted", "stopped"
ENDED = frozenset({SUCCEEDED, FAILED, INTERRUPTED, STOPPED})
ABANDONED = "abandoned"
"""Somebody said that its host is off: nothing is reserved any more. Its edge may come back, and tell what became of it."""
VACANT = ENDED | {ABANDONED}
HOST_OFF = "HostOff"
"""The reason of an attempt that is abandoned."""

PLACED, RETRY = "placed", "retry"
"""Phases of a ledger entry that an attempt has not: placed and not heard of, and waiting for a new attempt."""

COUNTED = frozenset({SUCCEEDED, FAILED, ABORTED})
AGAIN = frozenset({RETRY, FAILED, ABORTED})
"""Of a chunk that a new attempt may be made at; at one that has failed, where its job grants more failures than it has had."""

_NAME = re.compile(r"([0-9a-f]{32})-(0|[1-9][0-9]{0,6})-([1-9][0-9]{0,8})")
"""One spelling for each claim, and numbers that fit the ledger's columns."""

RUN, STOP, ABANDON = "run", "stop", "abandon"
"""Intents: run it; stop it, the chunk is not wanted any more; stop it, the chunk goes elsewhere."""


class AttemptSpec(Part):
    """What the edge should run, complete: an edge reads nothing else."""

    job: str
    """The path of the job."""
    index: Annotated[int, Field(ge=0)]
    count: Annotated[int, Field(ge=1)]
    array_index: Annotated[int | None, Field(ge=0, le=INDEX_LIMIT)] = None
    """The chunk's own in the set that its job names."""
    steps: tuple[Step, ...]
    requests: Requests
    limits: Limits | None = None
    network: Network = "none"
    labels: dict[str, str] = {}
    """The job's, as they were when the chunk was placed."""
    annotations: Annotations | None = None
    priority: Annotated[int, Field(ge=0, le=100)] | None = None
    """The job's, as it was when the chunk was placed."""
    retries: int = 0
    exit_codes: tuple[ExitCodeRule, ...] | None = None
    """What they mean: the agent goes by what is ignored, the ledger by what fails the chunk."""
    work_ws: float = 0.0
    artifacts: tuple[Artifact, ...] | None = None
    inputs: tuple[InputFile, ...] | None = None
    decision: Decided | None = None
    """Why it was placed here, for people: no edge goes by it."""
    replace_after_s: Annotated[float, Field(ge=0, le=AFTER_LIMIT_S, allow_inf_nan=False)] | None = None
    """So long after its edge counts as cut off, the chunk goes elsewhere; absent: once that is lost."""
    lease_s: Annotated[float | None, IMMUTABLE, Field(ge=LEASE_LEAST_S, le=LEASE_MOST_S, allow_inf_nan=False)] = None
    """It runs under a lease of so many seconds, and its edge ends it when that is over. Its chunk goes nowhere else before."""
    adopted: Annotated[bool | None, Immutable(once=True), Field(strict=True)] = None
    """Somebody said that its result is the chunk's, though another attempt had been made by the time that it came."""
    intent: Literal["run", "stop", "abandon"] = "run"
    intent_reason: IntentReason | None = None
    """Why its chunk goes elsewhere, where that is not its own end."""


class AttemptStatus(Part):
    """What the edge reported. `settlement` says what the hub made of the end when it came: it was `counted`, an older epoch's
    (`superseded`), or its job was gone (`orphaned`)."""

    phase: Literal["pending", "running", "succeeded", "failed", "interrupted", "stopped", "abandoned"] = "pending"
    started_at: datetime | None = None
    finished_at: datetime | None = None
    percent: Annotated[float, Field(ge=0, le=100)] = 0.0
    step: Annotated[int, Field(ge=0)] = 0
    exit_codes: tuple[int, ...] = ()
    reason: str = ""
    message: str = ""
    outputs: dict[str, Any] | None = None
    artifacts: tuple[KeptArtifact, ...] | None = None
    settlement: Literal["", "counted", "superseded", "orphaned"] = ""


def attempt_name(job_uid: str, index: int, epoch: int) -> str:
    """A name that says which claim it is, so that placing twice is a conflict and not a second attempt."""
    return f"{job_uid}-{index}-{epoch}"


@lru_cache(maxsize=8_192)  # each command asks it several times: for the rows, the rules and the fold
def claim_of(path: str) -> Claim | None:
    """The claim that an attempt's name makes, or None where the name is of another form."""
    found = _NAME.fullmatch(last_name(path))
    return Claim(found[1], int(found[2]), int(found[3])) if found is not None else None


def _pool(path: str) -> str:
    edge = path[len("/desired-config") : path.index("/attempts/")]
    return f"/inventory{edge}"


def _held(status: Document) -> bool:
    return status.get("phase") not in VACANT


def _begin(entry: Entry | None, claim: Claim, path: str, spec: Document) -> Entry | str:
    if spec.get("adopted"):
        return "it has no result that could be adopted"
    if spec["index"] != claim.index or not claim.index < spec["count"]:
        return f"its name claims chunk {claim.index}, its spec says {spec['index']} of {spec['count']}"
    if entry is None:
        if claim.epoch != 1:
            return f"a chunk's first attempt has epoch 1, not {claim.epoch}"
        return Entry(owner=claim.owner, index=claim.index, epoch=1, phase=PLACED, holder=path)
    if entry.phase == FAILED and entry.failures > spec["retries"]:
        return f"the chunk has failed {entry.failures} times, and is tried again {spec['retries']} times"
    if entry.phase not in AGAIN:
        return f"the chunk is {entry.phase} in epoch {entry.epoch}"
    if claim.epoch != entry.epoch + 1:
        return f"the chunk's next epoch is {entry.epoch + 1}, not {claim.epoch}"
    return structs.replace(entry, epoch=claim.epoch, phase=PLACED, holder=path, progress=0)


def _advance(entry: Entry, spec: Document, status: Document) -> Entry:
    phase = status.get("phase", PENDING)
    match phase:
        case "succeeded":
            return structs.replace(entry, phase=SUCCEEDED, progress=1000, outputs=_raw(status.get("outputs")))
        case "failed":
            failures = entry.failures + 1
            is_final = failures > spec["retries"] or action_of(spec.get("exitCodes", ()), status) == FAIL
            after = FAILED if is_final else RETRY
            return structs.replace(entry, phase=after, progress=0, failures=failures)
        case "interrupted" | "abandoned":
            return structs.replace(entry, phase=RETRY, progress=0)
        case "stopped":
            return structs.replace(entry, phase=ABORTED if spec["intent"] == STOP else RETRY, progress=0)
    if spec["intent"] == ABANDON and goes_elsewhere(spec):
        return structs.replace(entry, phase=RETRY, progress=0)
    if phase == RUNNING:
        return structs.replace(entry, phase=RUNNING, progress=int(status.get("percent", 0) * 10))
    return structs.replace(entry, phase=PLACED)  # also where it had been given up and is not any more


def _raw(outputs: Mapping[str, Any] | None) -> msgspec.Raw | None:
    return None if outputs is None else msgspec.Raw(msgspec.json.encode(outputs, order="sorted"))


def _adopt(entry: Entry, claim: Claim, path: str, spec: Document, status: Document, *, ended: bool) -> Entry | None:
    if not adopted(claim.epoch, entry.epoch, entry.phase, spec, status, ended=ended):
        return None
    outputs = _raw(status.get("outputs"))
    return structs.replace(entry, holder=path, phase=SUCCEEDED, progress=1000, outputs=outputs)


def _object(entry: Entry | None, claim: Claim, before: Document, spec: Document, status: Document) -> str | None:
    if not spec.get("adopted") or before.get("adopted"):
        return None
    if entry is None:
        return "its job is gone"
    return objection(claim.epoch, entry.epoch, entry.phase, status)


def _verdict(entry: Entry | None, claim: Claim, spec: Document, status: Document) -> Document:
    if status.get("phase") not in ENDED:
        return {}
    if entry is None:
        return {"settlement": "orphaned"}
    current = entry.epoch == claim.epoch and entry.phase not in COUNTED
    current = current or adopted(claim.epoch, entry.epoch, entry.phase, spec, status, ended=False)
    return {"settlement": "counted" if current else "superseded"}


class Attempt(Kind):
    """One try at one chunk on one edge. It holds its reservation until its own end is confirmed."""

    plane, parent, segment = DESIRED, DesiredEdge, "attempts"
    Spec = AttemptSpec
    Status = AttemptStatus
    columns = (
        Column("phase", "status.phase"),
        Column("done", "status.percent", "percent"),
        Column("intent", "spec.intent"),
        Column("why", "spec.intentReason"),
        Column("settlement", "status.settlement"),
        Column("adopted", "spec.adopted"),
        Column("age", "metadata.createdAt", "age"),
    )
    phases = Phases(
        PENDING,
        {
            PENDING: VACANT | {RUNNING},
            RUNNING: VACANT,
            ABANDONED: ENDED,
        },
        vacant=frozenset({ABANDONED}),
    )
    links = {"job": Link(to="Job", reverse="attempts", required=True, gone="keep")}
    reserve = Reserve(pool=_pool, amounts=lambda spec: amounts(spec["requests"]), held=_held)
    settle = Settle(
        "job", claim_of, begin=_begin, advance=_advance, final=COUNTED, verdict=_verdict, adopt=_adopt, object=_object
    )
    grants = {USER: Grant(frozenset(), patches=({"adopted": True},))}
    """Who asks for jobs may adopt a result."""
