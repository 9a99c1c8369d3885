"""Rows and objects: how each table's rows become the graph's objects and back."""

from collections.abc import Callable
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
from datamodel.postgres.stored import StoredNode
from datamodel.upcast import upcast_event, upcast_node

NODE_COLUMNS = (
    "path, uid, kind, labels, spec, status, links, finalizers, generation, version, created_version, created_at,"
    " deletion_requested_at, owners, schema, correlation"
)

ERA_BITS = 14
"""An era is so many positions of the log, as a power of two: see the table of nodes."""

_document: Callable[[str], Document] = msgspec.json.Decoder(dict[str, Any]).decode
_links = msgspec.json.Decoder(dict[str, tuple[str, ...]]).decode
_amounts = msgspec.json.Decoder(dict[str, int]).decode


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
    return StoredNode(  # in its order: names cost as much again as all of this
        row["path"],
        row["uid"],
        row["kind"],
        _document(row["labels"]),
        msgspec.Raw(row["spec"]),  # type: ignore[arg-type] # which is what it is made with
        msgspec.Raw(row["status"]),  # type: ignore[arg-type]
        _links(row["links"]),
        tuple(row["finalizers"]),
        row["generation"],
        row["version"],
        row["created_version"],
        row["created_at"],
        row["deletion_requested_at"],
        _document(row["owners"]),
        row["schema"],
        row["correlation"],
    )


def event(model: Model, row: asyncpg.Record) -> Event:
    stored = Event(
        row["position"],
        row["id"],
        row["at"],
        row["op"],
        row["path"],
        row["uid"],
        row["kind"],
        _document(row["part"]),
        row["actor"],
        row["cause"],
        row["correlation"],
        row["schema"],
    )
    return upcast_event(model, stored)


def pool(row: asyncpg.Record) -> Pool:
    return Pool(capacity=_amounts(row["capacity"]), used=_amounts(row["used"]))


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
    return Totals(phases=_amounts(row["phases"]), progress=row["progress"])
