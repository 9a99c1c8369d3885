"""What becomes of a job's chunks on an edge that is cut off: the job's own choice, made when it is created.

`wait`: they stay there until the edge is lost, or somebody says that it is; then they go elsewhere. `replace`: after so long a
disconnection. Whichever of a chunk's attempts succeeds first counts then.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from datamodel.kinds import Document, Part

WAIT, REPLACE = "wait", "replace"
AFTER_LIMIT_S = 366 * 86_400.0


class CutOff(Part):
    """What becomes of chunks on an edge that is cut off."""

    policy: Annotated[
        Literal["wait", "replace"],
        Field(description="wait: they stay there until the edge is lost; replace: they go elsewhere after `afterS`"),
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

    @model_validator(mode="after")
    def _says_what_its_policy_needs(self) -> "CutOff":
        if (self.policy == REPLACE) != (self.after_s is not None):
            raise ValueError("afterS is what replace needs, and no other policy has")
        return self


def attempt_terms(job: Document) -> Document:
    """What an attempt's spec has of the policy in a job's."""
    chosen: Document = job.get("cutOff") or {}
    return {"replaceAfterS": chosen["afterS"]} if chosen.get("policy") == REPLACE else {}
