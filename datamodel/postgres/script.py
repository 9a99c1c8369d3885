"""What one admission writes, as one script: a single round trip from the first row to the commit.

Rows travel as JSON and become records of their table by column name (`json_populate_recordset`), so a struct whose fields are
the columns is written as it is. The script goes through the simple protocol, which takes no parameters: its statements were
prepared when the connection was made, and its only literals are JSON texts and times, quoted by `literal`.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from datamodel.admission import Admission, Guards
from datamodel.facets import facets_of
from datamodel.links import Links
from datamodel.model import Model
from datamodel.node import Node
from datamodel.postgres import rows
from datamodel.state import State


def _inserted(table: str, *columns: str) -> str:
    """All columns, where none are named."""
    into, told = (f"{table} ({', '.join(columns)})", ", ".join(columns)) if columns else (table, "*")
    return f"INSERT INTO {into} SELECT {told} FROM json_populate_recordset(NULL::{table}, $1)"


def _upserted(table: str, key: str, *columns: str) -> str:
    replaced = ", ".join(f"{column} = excluded.{column}" for column in columns)
    return f"{_inserted(table)} ON CONFLICT ({key}) DO UPDATE SET {replaced}"


def _updated(table: str, key: str, *columns: str) -> str:
    replaced = ", ".join(f"{column} = new.{column}" for column in columns)
    return (
        f"UPDATE {table} SET {replaced} FROM json_populate_recordset(NULL::{table}, $1) AS new"
        f" WHERE {table}.{key} = new.{key}"
    )


def _deleted(table: str, column: str) -> str:
    return f"DELETE FROM {table} WHERE {column} IN (SELECT json_array_elements_text($1))"


_STATEMENTS = {
    "insert_events": _inserted("events"),
    "delete_nodes": _deleted("nodes", "path"),
    "unlink": "DELETE FROM links USING json_populate_recordset(NULL::links, $1) AS old"
    " WHERE links.source = old.source AND links.name = old.name AND links.target = old.target",
    "delete_links": _deleted("links", "source"),
    "insert_nodes": _inserted("nodes", *rows.NodeRow.__struct_fields__),
    "insert_links": _inserted("links"),
    "report_nodes": _updated("nodes", "path", "status", "phase", "version"),
    "change_nodes": _updated(
        "nodes",
        "path",
        *(
            "labels",
            "spec",
            "status",
            "phase",
            "links",
            "owners",
            "finalizers",
            "generation",
            "version",
            "deletion_requested_at",
            "schema",
        ),
    ),
    "delete_facets": _deleted("facets", "path"),
    # Each by its key: a plan that was made while the table was empty would look for all of them in all of it.
    "drop_facets": "DELETE FROM facets WHERE ctid = ANY(ARRAY(SELECT found.ctid"
    " FROM json_populate_recordset(NULL::facets, $1) AS gone CROSS JOIN LATERAL"
    " (SELECT ctid FROM facets WHERE path = gone.path AND facet = gone.facet OFFSET 0) AS found))",
    "put_facets": _upserted("facets", "path, facet", "value"),
    "delete_pools": _deleted("pools", "path"),
    "put_pools": _upserted("pools", "path", "capacity", "used"),
    "put_ledger": _upserted("ledger", 'owner, "index"', "epoch", "phase", "holder", "failures", "progress", "outputs"),
    "delete_totals": _deleted("totals", "owner"),
    "put_totals": _upserted("totals", "owner", "phases", "progress"),
    "put_marks": _upserted("marks", "name", "through"),
    "insert_idempotency": _inserted("idempotency"),
    # Guards. Each takes the rows that it judges, so that they are so until the commit.
    "require_head": "SELECT require(count(*) = 1) FROM (SELECT FROM"
    " json_to_record($1) AS wanted(position bigint, id text, now timestamptz)"
    " JOIN head USING (position) JOIN events USING (position, id) WHERE head.at <= now FOR UPDATE OF head) AS found",
    "require_leases": "SELECT require(count(*) = json_array_length($1)) FROM (SELECT FROM"
    " json_to_recordset($1) AS wanted(name text, token bigint) JOIN leases USING (name, token)"
    " WHERE expires_at > clock_timestamp() FOR SHARE OF leases) AS found",
    "require_marks": "SELECT require(count(*) = json_array_length($1)) FROM (SELECT FROM"
    " json_to_recordset($1) AS wanted(name text, through bigint) JOIN marks USING (name, through)"
    " FOR UPDATE OF marks) AS found",
}

PREPARE = ";\n".join(f"PREPARE {name}(json) AS {statement}" for name, statement in _STATEMENTS.items())
"""What a writer's connection runs first. Planning them took half the time of a small transaction."""

GUARDS_FAILED = frozenset({"TD001", "23505"})
"""What Postgres says where a guard does not hold (see the function `require`), and where something new exists already."""

_encode = msgspec.json.Encoder().encode


def literal(text: str) -> str:
    """A string constant of SQL. Connections have `standard_conforming_strings` on, so a backslash is only itself."""
    return "'" + text.replace("'", "''") + "'"


def guards_script(guards: Guards, position: int, event: str, now: datetime) -> str:
    """What fails the transaction unless the log stands at a position with this event, not later than now, the leases are held
    and the marks stand as told."""
    statements = [_execute("require_head", {"position": position, "id": event, "now": now})]
    if guards.leases:
        held = [{"name": name, "token": token} for name, token in sorted(guards.leases.items())]
        statements.append(_execute("require_leases", held))
    if guards.marks:
        marks = [{"name": name, "through": through} for name, through in sorted(guards.marks.items())]
        statements.append(_execute("require_marks", marks))
    return ";\n".join(statements)


def rows_script(model: Model, state: State, admission: Admission, now: datetime) -> str:
    """Every row that the admission touched."""
    touched = admission.touched
    writes = [
        ("insert_events", admission.events),
        *_nodes(state, touched.nodes),
        *_facets(model, state, touched.nodes),
        *_pools(state, touched.pools),
        ("put_ledger", [state.entries[key] for key in touched.entries]),
        *_totals(state, touched.totals),
        ("put_marks", [{"name": name, "through": through} for name, through in admission.marks.items()]),
        ("insert_idempotency", _keys(admission, now)),
    ]
    statements = [_execute(name, found) for name, found in writes if found]
    if admission.events:
        last = admission.events[-1]
        statements.append(f"UPDATE head SET position = {last.position}, at = {literal(last.at.isoformat())}")
    return ";\n".join(statements)


def _execute(name: str, argument: object) -> str:
    return f"EXECUTE {name}({literal(_encode(argument).decode())})"


def _nodes(state: State, touched: dict[str, Node | None]) -> Iterator[tuple[str, Sequence[object]]]:
    created: list[Node] = []
    reported: list[dict[str, Any]] = []
    changed: list[Node] = []
    deleted: list[str] = []
    linked: list[dict[str, str]] = []
    unlinked: list[dict[str, str]] = []
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
            reported.append({"path": path, "status": after.status, "phase": after.phase, "version": after.version})
        else:
            changed.append(after)
            if after.links is not before.links:
                linked += _links(after, before.links)
                unlinked += _links(before, after.links)
    yield "delete_nodes", deleted
    yield "delete_links", deleted
    yield "insert_nodes", [rows.NodeRow.of(node) for node in created]
    yield "unlink", unlinked
    yield "insert_links", linked
    yield "report_nodes", reported
    yield "change_nodes", [rows.NodeRow.of(node) for node in changed]


def _links(node: Node, others: Links) -> Iterator[dict[str, str]]:
    """A row for each of a node's links that is none of the others."""
    for name, targets in node.links.items():
        others_here = frozenset(others.get(name, ()))
        for target in targets:
            if target not in others_here:
                yield {"source": node.path, "name": name, "target": target}


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


def _facets(model: Model, state: State, touched: dict[str, Node | None]) -> Iterator[tuple[str, Sequence[object]]]:
    deleted: list[str] = []
    dropped: list[dict[str, str]] = []
    put: list[rows.FacetRow] = []
    for path, before in touched.items():
        after = state.nodes.get(path)
        if after is None:
            if before is not None and (before.labels or model.kinds[before.kind].selectable):
                deleted.append(path)
            continue
        kind = model.kinds[after.kind]
        if before is not None and after.labels is before.labels and not kind.selectable:
            continue
        had = facets_of(kind, before.labels, before.spec, before.status) if before is not None else {}
        has = facets_of(kind, after.labels, after.spec, after.status)
        dropped += [{"path": path, "facet": facet} for facet in had if facet not in has]
        for facet, value in has.items():
            if had.get(facet) != value:
                put.append(rows.FacetRow(path, facet, after.kind, value))
    yield "delete_facets", deleted
    yield "drop_facets", dropped
    yield "put_facets", put


def _pools(state: State, paths: set[str]) -> Iterator[tuple[str, Sequence[object]]]:
    yield "delete_pools", sorted(paths - state.pools.keys())
    kept = {path: pool for path in paths if (pool := state.pools.get(path)) is not None}
    yield "put_pools", [{"path": path, "capacity": pool.capacity, "used": pool.used} for path, pool in kept.items()]


def _totals(state: State, owners: set[str]) -> Iterator[tuple[str, Sequence[object]]]:
    yield "delete_totals", sorted(owners - state.totals.keys())
    kept = {owner: totals for owner in owners if (totals := state.totals.get(owner)) is not None}
    yield (
        "put_totals",
        [{"owner": owner, "phases": totals.phases, "progress": totals.progress} for owner, totals in kept.items()],
    )


def _keys(admission: Admission, now: datetime) -> list[dict[str, Any]]:
    return [
        {"key": key, "digest": replay.digest, "outcome": replay.kept, "at": now}
        for key, replay in admission.keys.items()
    ]
