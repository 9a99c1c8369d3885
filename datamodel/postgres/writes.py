"""What one admission writes: every row that it touched, by statement and column."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from datamodel.admission import Admission, Guards
from datamodel.event import Event
from datamodel.facets import facets_of
from datamodel.ledger import Entry
from datamodel.links import Links
from datamodel.model import Model
from datamodel.node import Node
from datamodel.postgres.statements import Columns, Writes, array, column_names
from datamodel.state import State

_ROW_BYTES = 512
"""About what an event and its node take beside their documents."""

_DOCUMENTS = frozenset({"labels", "spec", "status", "links", "owners"})

_encode = msgspec.json.Encoder().encode

Row = TypeVar("Row")


class Rests(msgspec.Struct, frozen=True):
    """What a decision rests on: the event at a position, and that no later one tells of these nodes, or of any node of these
    kinds."""

    position: int
    event: str
    nodes: Collection[str]
    kinds: Collection[str]


def guard_writes(guards: Guards, rests: Rests, now: datetime) -> Writes:
    """What fails the transaction unless nobody has written what a decision of a time rests on, the leases are held and the
    marks stand as told."""
    return {
        "lock_head": ([now],),
        "require_event": ([rests.position], [rests.event]),
        "require_nodes": ([*rests.nodes],),
        "require_kinds": ([*rests.kinds],),
        "require_leases": ([*guards.leases], [*guards.leases.values()]),
        "require_marks": ([*guards.marks], [*guards.marks.values()]),
    }


def row_writes(model: Model, state: State, admission: Admission, now: datetime) -> Writes:
    """The rows of an admission that left the state so."""
    touched = admission.touched
    events, last = admission.events, admission.events[-1:]
    return {
        "insert_events": _events(events),
        **_nodes(state, touched.nodes),
        **_facets(model, state, touched.nodes),
        **_pools(state, touched.pools),
        "put_ledger": _entries([state.entries[key] for key in touched.entries]),
        **_totals(state, touched.totals),
        "put_marks": ([*admission.marks], [*admission.marks.values()]),
        "insert_idempotency": _keys(admission, now),
        "move_head": ([event.position for event in last], [event.at for event in last]),
    }


def size_bytes(writes: Writes) -> int:
    """About what all of it takes as JSON."""
    events = writes["insert_events"]
    return len(events[0]) * _ROW_BYTES + 2 * sum(map(len, events[7]))


def _events(events: Sequence[Event]) -> Columns:
    return (
        [event.position for event in events],
        [event.id for event in events],
        [event.at for event in events],
        [event.op for event in events],
        [event.path for event in events],
        [event.uid for event in events],
        [event.kind for event in events],
        [_json(event.part) for event in events],
        [event.actor for event in events],
        [event.cause for event in events],
        [event.correlation for event in events],
        [event.schema for event in events],
    )


def _nodes(state: State, touched: Mapping[str, Node | None]) -> Writes:
    created: list[Node] = []
    reported: list[Node] = []
    changed: list[Node] = []
    deleted: list[str] = []
    linked: list[tuple[str, str, str]] = []
    unlinked: list[tuple[str, str, str]] = []
    for path, before in touched.items():
        after = state.nodes.get(path)
        if before is not None and (after is None or after.uid != before.uid):
            deleted.append(path)
        if after is None:
            continue
        if before is None or after.uid != before.uid:
            created.append(after)
            if after.links:
                linked += _links(after, {})
        elif _only_reported(before, after):
            reported.append(after)
        else:
            changed.append(after)
            if after.links is not before.links:
                linked += _links(after, before.links)
                unlinked += _links(before, after.links)
    return {
        "delete_nodes": (deleted,),
        "unlink": _columns(unlinked, 3),
        "delete_links": (deleted,),
        "insert_nodes": _rows("insert_nodes", created),
        "insert_links": _columns(linked, 3),
        "report_nodes": _rows("report_nodes", reported),
        "change_nodes": _rows("change_nodes", changed),
    }


def _rows(statement: str, nodes: Sequence[Node]) -> Columns:
    """What a statement takes of nodes."""
    return [_column(name, nodes) for name in column_names(statement)]


def _column(name: str, nodes: Sequence[Node]) -> list[Any]:
    """A member of nodes as its column has it."""
    members = map(attrgetter(name), nodes)
    if name in _DOCUMENTS:
        return [_encode(document).decode() if document else "{}" for document in members]
    if name == "finalizers":
        return [array(finalizers) for finalizers in members]
    return [*members]


def _links(node: Node, others: Links) -> Iterator[tuple[str, str, str]]:
    """A row for each of a node's links that is none of the others."""
    for name, targets in node.links.items():
        others_here = frozenset(others.get(name, ()))
        for target in targets:
            if target not in others_here:
                yield node.path, name, target


def _only_reported(before: Node, after: Node) -> bool:
    """Whether nothing but the status differs: most writes, and they need not carry the spec again. What an older version of
    the kind wrote is written whole."""
    return (
        after.schema == before.schema
        and after.spec is before.spec
        and after.labels is before.labels
        and after.links is before.links
        and after.finalizers is before.finalizers
        and after.deletion_requested_at == before.deletion_requested_at
    )


def _facets(model: Model, state: State, touched: Mapping[str, Node | None]) -> Writes:
    deleted: list[str] = []
    dropped: list[tuple[str, str]] = []
    put: list[tuple[str, str, str, str]] = []
    for path, before in touched.items():
        after = state.nodes.get(path)
        if after is None:
            if before is not None and (before.labels or model.kinds[before.kind].selectable):
                deleted.append(path)
            continue
        kind = model.kinds[after.kind]
        if not kind.selectable and (not after.labels if before is None else after.labels is before.labels):
            continue
        had = facets_of(kind, before.labels, before.spec, before.status) if before is not None else {}
        has = facets_of(kind, after.labels, after.spec, after.status)
        dropped += [(path, facet) for facet in had if facet not in has]
        for facet, value in has.items():
            if had.get(facet) != value:
                put.append((path, facet, after.kind, value))
    return {"delete_facets": (deleted,), "drop_facets": _columns(dropped, 2), "put_facets": _columns(put, 4)}


def _pools(state: State, paths: Collection[str]) -> Writes:
    pools, gone = _kept(state.pools, paths)
    rows = [(path, _json(pool.capacity), _json(pool.used)) for path, pool in pools]
    return {"delete_pools": (gone,), "put_pools": _columns(rows, 3)}


def _entries(entries: Sequence[Entry]) -> Columns:
    return (
        [entry.owner for entry in entries],
        [entry.index for entry in entries],
        [entry.epoch for entry in entries],
        [entry.phase for entry in entries],
        [entry.holder for entry in entries],
        [entry.failures for entry in entries],
        [entry.progress for entry in entries],
        [bytes(entry.outputs).decode() if entry.outputs is not None else "" for entry in entries],
    )


def _totals(state: State, owners: Collection[str]) -> Writes:
    kept, gone = _kept(state.totals, owners)
    rows = [(owner, _json(totals.phases), totals.progress) for owner, totals in kept]
    return {"delete_totals": (gone,), "put_totals": _columns(rows, 3)}


def _kept(table: Mapping[str, Row], keys: Collection[str]) -> tuple[list[tuple[str, Row]], list[str]]:
    """The rows that are left of those that were touched, with their keys, and the keys of those that went: at the cost of what
    was touched, however many there are."""
    kept = [(key, row) for key in keys if (row := table.get(key)) is not None]
    return kept, sorted({*keys}.difference(table))


def _keys(admission: Admission, now: datetime) -> Columns:
    return _columns([(key, kept.digest, _encode(kept.kept).decode(), now) for key, kept in admission.keys.items()], 4)


def _columns(rows: Sequence[tuple[Any, ...]], count: int) -> Columns:
    return list(zip(*rows, strict=True)) if rows else [()] * count


def _json(document: Any) -> str:
    return _encode(document).decode() if document else "{}"
