"""Rows and objects: how each table's rows become the graph's objects and back."""

from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec

from datamodel.command import Outcome, Verdict
from datamodel.event import Event
from datamodel.kinds import Document
from datamodel.ledger import Entry, Totals
from datamodel.node import Node
from datamodel.pool import Pool

NODE_COLUMNS = (
    "path, uid, kind, labels, spec, status, links, finalizers, generation, version, created_version, created_at,"
    " deletion_requested_at"
)

_document: msgspec.json.Decoder[Document] = msgspec.json.Decoder(dict[str, Any])
_amounts: msgspec.json.Decoder[dict[str, int]] = msgspec.json.Decoder(dict[str, int])
_encoder = msgspec.json.Encoder()


def text(document: object) -> str:
    """A document as the JSON text that asyncpg takes for json and jsonb."""
    return _encoder.encode(document).decode()


def node(row: asyncpg.Record) -> Node:
    return Node(
        path=row["path"],
        uid=row["uid"],
        kind=row["kind"],
        labels=_document.decode(row["labels"]),
        spec=_document.decode(row["spec"]),
        status=_document.decode(row["status"]),
        links=_document.decode(row["links"]),
        finalizers=tuple(row["finalizers"]),
        generation=row["generation"],
        version=row["version"],
        created_version=row["created_version"],
        created_at=row["created_at"],
        deletion_requested_at=row["deletion_requested_at"],
    )


def event(row: asyncpg.Record) -> Event:
    return Event(
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
    )


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


def outcome_text(outcome: Outcome) -> str:
    """A recorded outcome: units with an idempotency key are atomic, so none of its verdicts is a refusal."""
    return text([(verdict.path, verdict.uid, verdict.version) for verdict in outcome])


def outcome(recorded: str) -> Outcome:
    rows: Sequence[tuple[str, str, int]] = msgspec.json.decode(recorded, type=list[tuple[str, str, int]])
    return tuple(Verdict("unchanged", path, uid, version, replayed=True) for path, uid, version in rows)
