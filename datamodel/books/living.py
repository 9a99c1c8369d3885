"""A living node in the books."""

from datetime import datetime

import msgspec

from datamodel.kinds import Document, Kind
from datamodel.links import Links


class Living(msgspec.Struct, eq=False):
    """A node as its events left it: what a `Node` has, and beside it its kind's declaration, its parent's path and how many
    living children it has. `others` are the leaves of spec and labels that are not its creator's, by JSON pointer."""

    path: str
    uid: str
    kind: str
    labels: dict[str, str]
    spec: Document
    status: Document
    links: Links
    finalizers: tuple[str, ...]
    generation: int
    version: int
    created_version: int
    created_at: datetime
    deletion_requested_at: datetime | None
    schema: int
    correlation: str
    declared: type[Kind]
    parent: str
    children: int = 0
    gone: bool = False
    creator: str = ""
    others: dict[str, str] = {}

    @property
    def ended(self) -> bool:
        """Whether nothing follows its phase. What has no phases never ends."""
        phases = self.declared.phases
        return phases is not None and not phases.allowed.get(self.status.get("phase") or phases.initial)

    @property
    def vacant(self) -> bool:
        """Whether it holds nothing any more, though something may follow its phase."""
        phases = self.declared.phases
        return self.ended or (phases is not None and self.status.get("phase") in phases.vacant)
