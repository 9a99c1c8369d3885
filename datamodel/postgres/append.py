"""One transaction of the log: lock, read what the units name, admit, write what changed, commit.

Positions come from the one row of `head`, under its lock, so what is committed is always a contiguous prefix and a reader
needs nothing but `position > mine`.
"""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import asyncpg

from datamodel.admission import Admission, Guards, Replay
from datamodel.command import Unit
from datamodel.errors import Transient
from datamodel.event import Event
from datamodel.ledger import Entry, Totals
from datamodel.model import Model
from datamodel.needs import Needs, needs
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.postgres import rows
from datamodel.rulebook import SUBTREE_LIMIT, admit
from datamodel.state import State

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection  # generic for the type checker only


async def append(connection: Connection, model: Model, units: Sequence[Unit]) -> Admission:
    """Admits units in one transaction on a connection of its own; what it returns is durable."""
    wanted = needs(model, units)
    async with connection.transaction():
        head = await connection.fetchrow("SELECT position, greatest(at, clock_timestamp()) AS now FROM head FOR UPDATE")
        if head is None:
            raise Transient("the log has no head: the database is not migrated")
        state = await _read_rows(connection, model, wanted)
        guards = await _read_guards(connection, wanted)
        admission = admit(model, state, guards, units, head["position"], head["now"], _identifiers())
        await _write(connection, state, admission, head["now"])
    return admission


def _identifiers() -> Iterator[str]:
    while True:
        yield os.urandom(16).hex()


async def _read_rows(connection: Connection, model: Model, wanted: Needs) -> State:
    state = State()
    await _read_nodes(connection, state, "path = ANY($1)", list(wanted.nodes))
    if wanted.deleted or wanted.finalized:
        for root in sorted(wanted.subtrees(list(state.nodes.values()))):
            # "0" is the character after "/": the range holds every path that begins with root + "/".
            await _read_nodes(
                connection, state, f"path > $1 AND path < $2 LIMIT {SUBTREE_LIMIT + 1}", root + "/", root + "0"
            )
        wanted.with_nodes(model, list(state.nodes.values()))
    if wanted.pools:
        for row in await connection.fetch("SELECT * FROM pools WHERE path = ANY($1)", list(wanted.pools)):
            state.pools[row["path"]] = rows.pool(row)
    if wanted.entries:
        owners, indexes = zip(*wanted.entries, strict=True)
        found = await connection.fetch(
            'SELECT ledger.* FROM unnest($1::text[], $2::int[]) AS named(owner, "index")'
            ' JOIN ledger USING (owner, "index")',
            owners,
            indexes,
        )
        for row in found:
            state.entries[row["owner"], row["index"]] = rows.entry(row)
    if wanted.owners:
        for row in await connection.fetch("SELECT * FROM totals WHERE owner = ANY($1)", list(wanted.owners)):
            state.totals[row["owner"]] = rows.totals(row)
    return state


async def _read_nodes(connection: Connection, state: State, where: str, *arguments: Any) -> None:
    for row in await connection.fetch(f"SELECT {rows.NODE_COLUMNS} FROM nodes WHERE {where}", *arguments):
        state.nodes[row["path"]] = rows.node(row)


async def _read_guards(connection: Connection, wanted: Needs) -> Guards:
    leases: dict[str, int] = {}
    marks: dict[str, int] = {}
    keys: dict[str, Replay] = {}
    uids: set[str] = set()
    if wanted.leases:
        # The row lock makes an acquisition wait for this commit: an old token is never admitted after a new one is granted.
        held = await connection.fetch(
            "SELECT name, token FROM leases WHERE name = ANY($1) AND expires_at > clock_timestamp() ORDER BY name FOR SHARE",
            list(wanted.leases),
        )
        leases = {row["name"]: row["token"] for row in held}
    if wanted.marks:
        found = await connection.fetch("SELECT name, through FROM marks WHERE name = ANY($1)", list(wanted.marks))
        marks = {row["name"]: row["through"] for row in found}
    if wanted.keys:
        used = await connection.fetch("SELECT * FROM idempotency WHERE key = ANY($1)", list(wanted.keys))
        keys = {row["key"]: Replay(row["digest"], rows.outcome(row["outcome"])) for row in used}
    if wanted.uids:
        taken = await connection.fetch("SELECT uid FROM nodes WHERE uid = ANY($1)", list(wanted.uids))
        uids = {row["uid"] for row in taken}
    return Guards(leases, marks, keys, uids)


async def _write(connection: Connection, state: State, admission: Admission, now: Any) -> None:
    if admission.events:
        await _write_events(connection, admission.events)
        await _write_nodes(connection, state, admission.touched.nodes)
    if admission.touched.pools:
        await _write_pools(connection, {path: state.pools.get(path) for path in admission.touched.pools})
    if admission.touched.entries:
        await _write_entries(connection, [state.entries[key] for key in admission.touched.entries])
    if admission.touched.totals:
        await _write_totals(connection, {owner: state.totals.get(owner) for owner in admission.touched.totals})
    if admission.marks:
        await connection.execute(
            "INSERT INTO marks SELECT * FROM unnest($1::text[], $2::bigint[])"
            " ON CONFLICT (name) DO UPDATE SET through = excluded.through",
            list(admission.marks),
            list(admission.marks.values()),
        )
    if admission.keys:
        await connection.execute(
            "INSERT INTO idempotency SELECT k, d, o, $4 FROM unnest($1::text[], $2::text[], $3::json[]) AS new(k, d, o)",
            list(admission.keys),
            [replay.digest for replay in admission.keys.values()],
            [rows.outcome_text(replay.outcome) for replay in admission.keys.values()],
            now,
        )


async def _write_events(connection: Connection, events: Sequence[Event]) -> None:
    await connection.execute(
        "WITH moved AS (UPDATE head SET position = $1, at = $2)"
        " INSERT INTO events (position, at, id, op, path, uid, kind, part, actor, cause, correlation)"
        " SELECT new.position, $2, id, op, path, uid, kind, part, actor, cause, correlation FROM unnest($3::bigint[],"
        " $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::json[], $10::text[], $11::text[], $12::text[])"
        " AS new(position, id, op, path, uid, kind, part, actor, cause, correlation)",
        events[-1].position,
        events[-1].at,
        [event.position for event in events],
        [event.id for event in events],
        [event.op for event in events],
        [event.path for event in events],
        [event.uid for event in events],
        [event.kind for event in events],
        [rows.text(event.part) for event in events],
        [event.actor for event in events],
        [event.cause for event in events],
        [event.correlation for event in events],
    )


async def _write_nodes(connection: Connection, state: State, touched: dict[str, Node | None]) -> None:
    created: list[Node] = []
    reported: list[Node] = []
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
        elif after.spec is before.spec and after.labels is before.labels and after.finalizers is before.finalizers:
            (reported if after.deletion_requested_at == before.deletion_requested_at else changed).append(after)
        else:
            changed.append(after)
    if deleted:
        await connection.execute("DELETE FROM nodes WHERE path = ANY($1)", deleted)
        await connection.execute("DELETE FROM links WHERE source = ANY($1)", deleted)
    if created:
        await _insert_nodes(connection, created)
    if reported:
        await connection.execute(
            "UPDATE nodes SET status = new.status, phase = new.phase, version = new.version"
            " FROM unnest($1::text[], $2::json[], $3::text[], $4::bigint[]) AS new(path, status, phase, version)"
            " WHERE nodes.path = new.path",
            [node.path for node in reported],
            [rows.text(node.status) for node in reported],
            [node.phase for node in reported],
            [node.version for node in reported],
        )
    if changed:
        await _update_nodes(connection, changed)


async def _insert_nodes(connection: Connection, created: Sequence[Node]) -> None:
    await connection.execute(
        "INSERT INTO nodes (path, uid, kind, labels, spec, status, phase, links, finalizers, generation, version,"
        " created_version, created_at)"
        " SELECT path, uid, kind, labels, spec, status, phase, links,"
        " ARRAY(SELECT json_array_elements_text(finalizers)), generation, version, created_version, created_at"
        " FROM unnest($1::text[], $2::text[], $3::text[], $4::jsonb[], $5::json[], $6::json[], $7::text[], $8::jsonb[],"
        " $9::json[], $10::bigint[], $11::bigint[], $12::bigint[], $13::timestamptz[]) AS new(path, uid, kind, labels,"
        " spec, status, phase, links, finalizers, generation, version, created_version, created_at)",
        [node.path for node in created],
        [node.uid for node in created],
        [node.kind for node in created],
        [rows.text(node.labels) for node in created],
        [rows.text(node.spec) for node in created],
        [rows.text(node.status) for node in created],
        [node.phase for node in created],
        [rows.text(node.links) for node in created],
        [rows.text(node.finalizers) for node in created],
        [node.generation for node in created],
        [node.version for node in created],
        [node.created_version for node in created],
        [node.created_at for node in created],
    )
    links = [(node.path, name, target) for node in created for name, target in node.links.items()]
    if links:
        await connection.execute(
            "INSERT INTO links SELECT * FROM unnest($1::text[], $2::text[], $3::text[])",
            *(list(column) for column in zip(*links, strict=True)),
        )


async def _update_nodes(connection: Connection, changed: Sequence[Node]) -> None:
    await connection.execute(
        "UPDATE nodes SET labels = new.labels, spec = new.spec, status = new.status, phase = new.phase,"
        " finalizers = ARRAY(SELECT json_array_elements_text(new.finalizers)), generation = new.generation,"
        " version = new.version, deletion_requested_at = new.deletion_requested_at"
        " FROM unnest($1::text[], $2::jsonb[], $3::json[], $4::json[], $5::text[], $6::json[], $7::bigint[], $8::bigint[],"
        " $9::timestamptz[]) AS new(path, labels, spec, status, phase, finalizers, generation, version,"
        " deletion_requested_at) WHERE nodes.path = new.path",
        [node.path for node in changed],
        [rows.text(node.labels) for node in changed],
        [rows.text(node.spec) for node in changed],
        [rows.text(node.status) for node in changed],
        [node.phase for node in changed],
        [rows.text(node.finalizers) for node in changed],
        [node.generation for node in changed],
        [node.version for node in changed],
        [node.deletion_requested_at for node in changed],
    )


async def _write_pools(connection: Connection, pools: dict[str, Pool | None]) -> None:
    gone = [path for path, pool in pools.items() if pool is None]
    if gone:
        await connection.execute("DELETE FROM pools WHERE path = ANY($1)", gone)
    kept = {path: pool for path, pool in pools.items() if pool is not None}
    if kept:
        await connection.execute(
            "INSERT INTO pools SELECT * FROM unnest($1::text[], $2::json[], $3::json[])"
            " ON CONFLICT (path) DO UPDATE SET capacity = excluded.capacity, used = excluded.used",
            list(kept),
            [rows.text(pool.capacity) for pool in kept.values()],
            [rows.text(pool.used) for pool in kept.values()],
        )


async def _write_entries(connection: Connection, entries: Sequence[Entry]) -> None:
    await connection.execute(
        "INSERT INTO ledger SELECT * FROM unnest($1::text[], $2::int[], $3::int[], $4::text[], $5::text[], $6::int[],"
        " $7::int[], $8::json[])"
        ' ON CONFLICT (owner, "index") DO UPDATE SET epoch = excluded.epoch, phase = excluded.phase,'
        " holder = excluded.holder, failures = excluded.failures, progress = excluded.progress, outputs = excluded.outputs",
        [entry.owner for entry in entries],
        [entry.index for entry in entries],
        [entry.epoch for entry in entries],
        [entry.phase for entry in entries],
        [entry.holder for entry in entries],
        [entry.failures for entry in entries],
        [entry.progress for entry in entries],
        [None if entry.outputs is None else bytes(entry.outputs).decode() for entry in entries],
    )


async def _write_totals(connection: Connection, totals: dict[str, Totals | None]) -> None:
    gone = [owner for owner, total in totals.items() if total is None]
    if gone:
        await connection.execute("DELETE FROM totals WHERE owner = ANY($1)", gone)
    kept = {owner: total for owner, total in totals.items() if total is not None}
    if kept:
        await connection.execute(
            "INSERT INTO totals SELECT * FROM unnest($1::text[], $2::json[], $3::bigint[])"
            " ON CONFLICT (owner) DO UPDATE SET phases = excluded.phases, progress = excluded.progress",
            list(kept),
            [rows.text(total.phases) for total in kept.values()],
            [total.progress for total in kept.values()],
        )
