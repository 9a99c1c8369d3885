"""Rows and objects: how each table's rows become the graph's objects and back."""

from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from datamodel.event import Event
from datamodel.kinds import Document
from datamodel.ledger import Entry, Totals
from datamodel.model import Model
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.upcast import upcast_event, upcast_node

NODE_COLUMNS = (
    "path, uid, kind, labels, spec, status, links, finalizers, generation, version, created_version, created_at,"
    " deletion_requested_at, owners, schema, correlation"
)

ERA_BITS = 14
"""An era is so many positions of the log, as a power of two: see the table of nodes."""

_document: msgspec.json.Decoder[Document] = msgspec.json.Decoder(dict[str, Any])
_links: msgspec.json.Decoder[dict[str, tuple[str, ...]]] = msgspec.json.Decoder(dict[str, tuple[str, ...]])
_amounts: msgspec.json.Decoder[dict[str, int]] = msgspec.json.Decoder(dict[str, int])


class NodeRow(msgspec.Struct, frozen=True):
    """A node as the table has it, column by column."""

    path: str
    uid: str
    kind: str
    labels: dict[str, str]
    spec: Document
    status: Document
    phase: str
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

    @classmethod
    def of(cls, node: Node) -> "NodeRow":
        return cls(
            node.path,
            node.uid,
            node.kind,
            node.labels,
            node.spec,
            node.status,
            node.phase,
            node.links,
            node.finalizers,
            node.generation,
            node.version,
            node.created_version,
            node.created_at,
            node.deletion_requested_at,
            node.owners,
            node.schema,
            node.correlation,
        )

    def node(self, model: Model) -> Node:
        stored = Node(
            self.path,
            self.uid,
            self.kind,
            self.labels,
            self.spec,
            self.status,
            self.links,
            self.finalizers,
            self.generation,
            self.version,
            self.created_version,
            self.created_at,
            self.deletion_requested_at,
            self.owners,
            self.schema,
            self.correlation,
        )
        return upcast_node(model, stored)


class FacetRow(msgspec.Struct, frozen=True):
    """A facet as the table has it, column by column."""

    path: str
    facet: str
    kind: str
    value: str


def node(model: Model, row: asyncpg.Record) -> Node:
    return upcast_node(model, stored_node(row))


def stored_node(row: asyncpg.Record) -> Node:
    """A node as it was written, whatever the version."""
    return Node(
        path=row["path"],
        uid=row["uid"],
        kind=row["kind"],
        labels=_document.decode(row["labels"]),
        spec=_document.decode(row["spec"]),
        status=_document.decode(row["status"]),
        links=_links.decode(row["links"]),
        finalizers=tuple(row["finalizers"]),
        generation=row["generation"],
        version=row["version"],
        created_version=row["created_version"],
        created_at=row["created_at"],
        deletion_requested_at=row["deletion_requested_at"],
        owners=_document.decode(row["owners"]),
        schema=row["schema"],
        correlation=row["correlation"],
    )


def event(model: Model, row: asyncpg.Record) -> Event:
    stored = Event(
        position=row["position"],
        id=row["id"],
        at=row["at"],
        op=row["op"],
        path=row["path"],
        uid=row["uid"],
        kind=row["kind"],
        part=_document.decode(row["part"]),
        actor=row["actor"],
        cause=row["cause"],
        correlation=row["correlation"],
        schema=row["schema"],
    )
    return upcast_event(model, stored)


def pool(row: asyncpg.Record) -> Pool:
    return Pool(capacity=_amounts.decode(row["capacity"]), used=_amounts.decode(row["used"]))


def entry(row: asyncpg.Record) -> Entry:
    outputs = row["outputs"]
    return Entry(
        owner=row["owner"],
        index=row["index"],
        epoch=row["epoch"],
        phase=row["phase"],
        holder=row["holder"],
        failures=row["failures"],
        progress=row["progress"],
        outputs=None if outputs is None else msgspec.Raw(outputs.encode()),
    )


def totals(row: asyncpg.Record) -> Totals:
    return Totals(phases=_amounts.decode(row["phases"]), progress=row["progress"])
