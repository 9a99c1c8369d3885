"""The image of one node: what the graph says of it at one position of the log."""

from datetime import datetime

import msgspec

from datamodel.kinds import Document


class Node(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """`version` is the position of the last change, `generation` counts changes of the spec, `links` holds the uids of
    each link's targets, in order; a link without any is not there. `owners`: see `datamodel.ownership`. `schema` is the
    version of the kind that wrote it last; what is read has documents of the present one all the same. `correlation` is that of
    the event that created it."""

    path: str
    uid: str
    kind: str
    labels: dict[str, str]
    spec: Document
    status: Document
    links: dict[str, tuple[str, ...]]
    finalizers: tuple[str, ...]
    generation: int
    version: int
    created_version: int
    created_at: datetime
    deletion_requested_at: datetime | None = None
    owners: dict[str, str] = {}
    schema: int = 1
    correlation: str = ""

    @property
    def phase(self) -> str:
        """`status.phase`, empty where the kind has none."""
        phase: str = self.status.get("phase", "")
        return phase

    @property
    def encodable_spec(self) -> Document | msgspec.Raw:
        """The spec for who does nothing with it but encode it: the text itself where that is what was read."""
        return self.spec

    @property
    def encodable_status(self) -> Document | msgspec.Raw:
        """The status in the same way."""
        return self.status
