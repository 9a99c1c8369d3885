"""What a job is told of its chunks on edges that are not heard from: nobody knows how they are, and they have not failed."""

from collections.abc import Collection, Iterable, Sequence

from datamodel.kinds import Document
from datamodel.node import Node
from datamodel.ports import Placement
from datamodel.scheduling.attempts import PLACED
from datamodel.scheduling.edges import DISCONNECTED, LOST
from datamodel.scheduling.jobs import FINISHED, RUNNING

CONDITION = "Heard"
"""The type of the condition. It is there from when a chunk of the job was first not heard of, until the job's end."""
NOT_HEARD, HEARD = "EdgesNotHeardFrom", "EdgesHeardFrom"
CUT = frozenset({DISCONNECTED, LOST})


def unheard(placements: Iterable[Placement], cut: Collection[str]) -> int:
    """How many chunks in flight are in places of edges that are cut off."""
    return sum(some.entries for some in placements if some.phase in (PLACED, RUNNING) and some.place in cut)


def aspect(job: Node, chunks: int) -> tuple[str, str, str, str] | None:
    """The condition (type, status, reason, message) of a job with so many chunks that are not heard of; None where it has that
    already, or needs none."""
    known = told_of(job.status.get("conditions", ()))
    if job.phase in FINISHED or job.deletion_requested_at is not None or not job.status:
        return None
    if not chunks:
        is_told = known is None or known["status"] == "True"
        return None if is_told else (CONDITION, "True", HEARD, "")
    what = "1 chunk is" if chunks == 1 else f"{chunks} chunks are"
    message = f"{what} on edges that are not heard from: how far these are is not known"
    same = known is not None and (known["status"], known["message"]) == ("Unknown", message)
    return None if same else (CONDITION, "Unknown", NOT_HEARD, message)


def told_of(conditions: Sequence[Document]) -> Document | None:
    """The condition among these that says it."""
    return next((condition for condition in conditions if condition["type"] == CONDITION), None)
