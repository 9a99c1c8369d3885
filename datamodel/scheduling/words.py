"""What operators know of an edge that is not heard from, and the hub cannot: that it is lost, or that its host is off.

A word is of the edge as it is when it is said: it is kept once, and has no meaning for an edge that was heard from since.
"""

from typing import Annotated, Literal

from pydantic import Field

from datamodel.kinds import Part
from datamodel.node import Node

LOST, OFF = "lost", "off"
REASON_LIMIT = 256


class Word(Part):
    """`lost`: it is not waited for any longer, and what its chunks reserve stays reserved. `off`: nothing runs there any more,
    so nothing is reserved either."""

    says: Literal["lost", "off"]
    position: Annotated[
        int,
        Field(
            ge=0,
            le=2**53,
            strict=True,
            description="of the log, when it was said: what comes later is not meant",
        ),
    ]
    reason: Annotated[str, Field(max_length=REASON_LIMIT)] = ""


def unkept(config: Node | None) -> Word | None:
    """What was said of an edge, by what is asked of it, and has not been kept yet."""
    said = config.spec.get("word") if config is not None else None
    if config is None or said is None or config.status.get("word") == said["position"]:
        return None
    return Word.model_validate(said)
