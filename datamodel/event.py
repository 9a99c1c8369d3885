"""Events: what the log is made of. One event is one change of one node."""

from datetime import datetime
from typing import Literal

import msgspec

from datamodel.kinds import Document

Op = Literal[
    "created",
    "specChanged",
    "statusChanged",
    "labelsChanged",
    "linksChanged",
    "finalized",
    "deletionRequested",
    "deleted",
]


class Event(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """`part` is the post-image of what changed: the whole part for `created`, `{"spec": …}` for `specChanged`, and so on.

    `actor` is who did it, `cause` what led to it, `correlation` what it belongs to: see `datamodel.cause`.
    `schema` is the version of the kind that wrote it; what is read has documents of the present one all the same.
    """

    position: int
    id: str
    at: datetime
    op: Op
    path: str
    uid: str
    kind: str
    part: Document
    actor: str
    cause: str = ""
    correlation: str = ""
    schema: int = 1
