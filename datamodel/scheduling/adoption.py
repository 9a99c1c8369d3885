"""When the result of an attempt of an older epoch becomes its chunk's after all: by somebody's word, or by the policy of its
job, which is as much as one.

Of a chunk that went elsewhere since its edge was not heard from, both attempts may run, and the first valid result wins. What
succeeded though it was to leave its edge for another reason is kept, and may be adopted; so is what had a lease, since no two
attempts at such a chunk are to run.
"""

from datamodel.kinds import Document
from datamodel.scheduling.giving_up import UNHEARD
from datamodel.scheduling.jobs import ABORTED, FAILED, SUCCEEDED

_COUNTED = frozenset({SUCCEEDED, FAILED, ABORTED})


def adopted(epoch: int, newest: int, phase: str, spec: Document, status: Document, *, ended: bool) -> bool:
    """Whether an attempt of this epoch has the result of a chunk that is in `phase`, in the epoch `newest`. Its own end adopts
    by policy, once; what is said of it when it has `ended` before, by word."""
    if status.get("phase") != SUCCEEDED or epoch >= newest:
        return False
    if ended:
        return bool(spec.get("adopted")) and phase != SUCCEEDED
    return "leaseS" not in spec and spec.get("intentReason") in UNHEARD and phase not in _COUNTED


def objection(epoch: int, newest: int, phase: str, status: Document) -> str | None:
    """Why nobody may adopt the result of an attempt of this epoch, where that may not be. A success that was counted stays:
    outputs were made of it, and others may have begun with them."""
    if status.get("phase") != SUCCEEDED:
        return "only what has succeeded can be adopted"
    if status.get("settlement") != "superseded" or epoch >= newest:
        return "its result was counted when it came, or its job was gone"
    if phase == SUCCEEDED:
        return "another attempt's success was counted for the chunk, and stays"
    return None
