"""What one admission writes, as one script: a single round trip from the first row to the commit.

Rows travel as JSON and become records of their table by column name (`json_populate_recordset`), so a struct whose fields are
the columns is written as it is. The script goes through the simple protocol, which takes no parameters; its only literals are
those JSON texts and times, quoted by `literal`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from datamodel.admission import Admission
from datamodel.node import Node
from datamodel.postgres import rows
from datamodel.state import State

_encode = msgspec.json.Encoder().encode


def literal(text: str) -> str:
    """A string constant of SQL. Connections have `standard_conforming_strings` on, so a backslash is only itself."""
    return "'" + text.replace("'", "''") + "'"


def commit_script(state: State, admission: Admission, now: datetime) -> str:
    """Every row that the admission touched, then the commit."""
    touched = admission.touched
    statements = [
        *_events(admission),
        *_nodes(state, touched.nodes),
        *_pools(state, touched.pools),
        *_entries([state.entries[key] for key in touched.entries]),
        *_totals(state, touched.totals),
        *_marks(admission.marks),
        *_keys(admission, now),
        "COMMIT",
    ]
    return ";\n".join(statements)


def _recordset(table: str, found: Sequence[object]) -> str:
    return f"json_populate_recordset(NULL::{table}, {literal(_encode(found).decode())})"


def _gone(table: str, column: str, keys: Sequence[str]) -> str:
    return f"DELETE FROM {table} WHERE {column} IN (SELECT json_array_elements_text({literal(_encode(keys).decode())}))"


def _events(admission: Admission) -> list[str]:
    events = admission.events
    if not events:
        return []
    last = events[-1]
    return [
        f"UPDATE head SET position = {last.position}, at = {literal(last.at.isoformat())}",
        f"INSERT INTO events SELECT * FROM {_recordset('events', events)}",
    ]


def _nodes(state: State, touched: dict[str, Node | None]) -> list[str]:
    created: list[Node] = []
    reported: list[dict[str, Any]] = []
    changed: list[Node] = []
    deleted: list[str] = []
    for path, before in touched.items():
        after = state.nodes.get(path)
        if before is not None and (after is None or after.uid != before.uid):
            deleted.append(path)
        if after is None:
            continue
        if before is None or after.uid != before.uid:
            created.append(after)
        elif _only_reported(before, after):
            reported.append({"path": path, "status": after.status, "phase": after.phase, "version": after.version})
        else:
            changed.append(after)
    return [*_deleted(deleted), *_created(created), *_reported(reported), *_changed(changed)]


def _only_reported(before: Node, after: Node) -> bool:
    """Whether nothing but the status differs: most writes, and they need not carry the spec again."""
    return (
        after.spec is before.spec
        and after.labels is before.labels
        and after.finalizers is before.finalizers
        and after.deletion_requested_at == before.deletion_requested_at
    )


def _deleted(paths: Sequence[str]) -> list[str]:
    return [_gone("nodes", "path", paths), _gone("links", "source", paths)] if paths else []


def _created(nodes: Sequence[Node]) -> list[str]:
    if not nodes:
        return []
    statements = [f"INSERT INTO nodes SELECT * FROM {_recordset('nodes', [rows.NodeRow.of(node) for node in nodes])}"]
    links = [
        {"source": node.path, "name": name, "target": target} for node in nodes for name, target in node.links.items()
    ]
    if links:
        statements.append(f"INSERT INTO links SELECT * FROM {_recordset('links', links)}")
    return statements


def _reported(found: Sequence[dict[str, Any]]) -> list[str]:
    if not found:
        return []
    new = _recordset("nodes", found)
    columns = "status = new.status, phase = new.phase, version = new.version"
    return [f"UPDATE nodes SET {columns} FROM {new} AS new WHERE nodes.path = new.path"]


def _changed(nodes: Sequence[Node]) -> list[str]:
    if not nodes:
        return []
    new = _recordset("nodes", [rows.NodeRow.of(node) for node in nodes])
    names = ("labels", "spec", "status", "phase", "finalizers", "generation", "version", "deletion_requested_at")
    columns = ", ".join(f"{name} = new.{name}" for name in names)
    return [f"UPDATE nodes SET {columns} FROM {new} AS new WHERE nodes.path = new.path"]


def _pools(state: State, paths: set[str]) -> list[str]:
    kept = [
        {"path": path, "capacity": pool.capacity, "used": pool.used}
        for path in paths
        if (pool := state.pools.get(path)) is not None
    ]
    return [
        *_without("pools", "path", paths - state.pools.keys()),
        *_upserted("pools", "path", ("capacity", "used"), kept),
    ]


def _entries(entries: Sequence[object]) -> list[str]:
    columns = ("epoch", "phase", "holder", "failures", "progress", "outputs")
    return _upserted("ledger", 'owner, "index"', columns, entries)


def _totals(state: State, owners: set[str]) -> list[str]:
    kept = [
        {"owner": owner, "phases": totals.phases, "progress": totals.progress}
        for owner in owners
        if (totals := state.totals.get(owner)) is not None
    ]
    return [
        *_without("totals", "owner", owners - state.totals.keys()),
        *_upserted("totals", "owner", ("phases", "progress"), kept),
    ]


def _marks(marks: dict[str, int]) -> list[str]:
    return _upserted("marks", "name", ("through",), [{"name": name, "through": at} for name, at in marks.items()])


def _keys(admission: Admission, now: datetime) -> list[str]:
    found = [
        {"key": key, "digest": replay.digest, "outcome": rows.recorded(replay.outcome), "at": now}
        for key, replay in admission.keys.items()
    ]
    return [f"INSERT INTO idempotency SELECT * FROM {_recordset('idempotency', found)}"] if found else []


def _without(table: str, column: str, keys: set[str]) -> list[str]:
    return [_gone(table, column, sorted(keys))] if keys else []


def _upserted(table: str, key: str, columns: Sequence[str], found: Sequence[object]) -> list[str]:
    if not found:
        return []
    replaced = ", ".join(f"{column} = excluded.{column}" for column in columns)
    return [
        f"INSERT INTO {table} SELECT * FROM {_recordset(table, found)} ON CONFLICT ({key}) DO UPDATE SET {replaced}"
    ]
