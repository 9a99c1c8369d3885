"""What becomes of a job's chunks on an edge that is cut off: the job's own choice, made when it is created.

`wait`: they stay there until the edge is lost, or somebody says that it is; then they go elsewhere. `replace`: after so long a
disconnection. Whichever of a chunk's attempts succeeds first counts then. `exclusive`: once no attempt at the chunk can run any
more, by its own end or since its lease is over (`leases.py`).
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from datamodel.kinds import Document, Part
from datamodel.scheduling.giving_up import LEASE_OVER
from datamodel.scheduling.leases import LEASE_LEAST_S, LEASE_MOST_S

WAIT, REPLACE, EXCLUSIVE = "wait", "replace", "exclusive"
AFTER_LIMIT_S = 366 * 86_400.0
LEASE_S = 60.0
"""Of an exclusive job that says nothing of it."""


class CutOff(Part):
    """What becomes of chunks on an edge that is cut off."""

    policy: Annotated[
        Literal["wait", "replace", "exclusive"],
        Field(
            description="wait: they stay there until the edge is lost; replace: they go elsewhere after `afterS`;"
            " exclusive: once nothing of them can run there any more, since the edge ends what is not leased"
        ),
    ] = "wait"
    after_s: Annotated[
        float | None,
        Field(
            ge=0,
            le=AFTER_LIMIT_S,
            allow_inf_nan=False,
            description="of `replace`: seconds from when the edge counts as cut off",
        ),
    ] = None
    lease_s: Annotated[
        float | None,
        Field(
            ge=LEASE_LEAST_S,
            le=LEASE_MOST_S,
            allow_inf_nan=False,
            description=f"of `exclusive`: for how many seconds a chunk runs without a word of the hub's; absent: {LEASE_S:g}",
        ),
    ] = None

    @model_validator(mode="after")
    def _says_what_its_policy_needs(self) -> "CutOff":
        if (self.policy == REPLACE) != (self.after_s is not None):
            raise ValueError("afterS is what replace needs, and no other policy has")
        if self.policy != EXCLUSIVE and self.lease_s is not None:
            raise ValueError("leaseS is of the policy exclusive, and no other has it")
        return self


def is_exclusive(job: Document) -> bool:
    """Whether no two attempts at a chunk of a job with this spec may run at the same time."""
    return (job.get("cutOff") or {}).get("policy") == EXCLUSIVE


def attempt_terms(job: Document) -> Document:
    """What an attempt's spec has of the policy in a job's."""
    chosen: Document = job.get("cutOff") or {}
    match chosen.get("policy"):
        case "replace":
            return {"replaceAfterS": chosen["afterS"]}
        case "exclusive":
            return {"leaseS": chosen.get("leaseS", LEASE_S)}
    return {}


def goes_elsewhere(attempt: Document) -> bool:
    """Whether the chunk of an attempt with this spec, which is to be abandoned, need not wait for its end: under a lease, it
    can run until that is over."""
    return "leaseS" not in attempt or attempt.get("intentReason") == LEASE_OVER
