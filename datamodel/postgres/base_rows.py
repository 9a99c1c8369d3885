"""The rows of the base: read by key, folded, and written whole."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import msgspec

from datamodel.errors import Invalid
from datamodel.event import Event
from datamodel.ledger import Counted
from datamodel.model import Model
from datamodel.pool import Pool
from datamodel.ports import Head
from datamodel.postgres import rows
from datamodel.postgres.connect import Connection
from datamodel.postgres.present import Offered, Owned
from datamodel.rows import Keys
from datamodel.state import State, Touched, fold
from datamodel.upcast import restamped_node

BATCH_ROWS = 1_000
ALL_ROWS = "SELECT source, content FROM base_rows ORDER BY source, key"

READ = """
SELECT base_rows.source, content FROM unnest($1::text[], $2::text[]) AS wanted(source, key)
JOIN base_rows USING (source, key)
"""
_PUT = """
INSERT INTO base_rows SELECT * FROM json_populate_recordset(NULL::base_rows, $1)
ON CONFLICT (source, key) DO UPDATE SET content = excluded.content
"""
_DELETE = """
DELETE FROM base_rows USING unnest($1::text[], $2::text[]) AS gone(source, key)
WHERE base_rows.source = gone.source AND base_rows.key = gone.key
"""
_DELETE_OWNED = """
DELETE FROM base_rows USING unnest($1::text[]) AS gone(owner)
WHERE source = 'ledger' AND key > gone.owner || ' ' AND key < gone.owner || '!'
"""
"""The character after the space."""

_encode = msgspec.json.Encoder().encode
_node = msgspec.json.Decoder(rows.NodeRow).decode
_pool = msgspec.json.Decoder(Offered).decode
_entry = msgspec.json.Decoder(Counted).decode
_totals = msgspec.json.Decoder(Owned).decode


async def fold_events(connection: Connection, model: Model, events: Sequence[Event]) -> None:
    """Folds the next events into the base: it reads and writes what they touch. They are as the present versions write them.
    Raises `Invalid` where they do not fit the model."""
    keys = Keys()
    for event in events:
        keys.touch(model, event)
    state = state_of(model, await connection.fetch(READ, *_columns(keys)))
    for event in events:
        try:
            fold(model, state, event)
        except Exception as error:
            raise Invalid(
                f"event {event.position} ({event.op} of {event.path}) does not fit: {error!r}", field="part"
            ) from error
    touched = state.commit()
    await _write(connection, state, touched)
    last = events[-1]
    await move_to(connection, Head(last.position, last.at))


async def put_rows(connection: Connection, state: State) -> None:
    """Writes all that a state holds."""
    put = [
        {"source": source, "key": key, "content": content}
        for source, key, content in (
            *(("nodes", path, rows.NodeRow.of(node)) for path, node in state.nodes.items()),
            *(("pools", path, Offered(pool.capacity, pool.used, path=path)) for path, pool in state.pools.items()),
            *(("ledger", _entry_key(*key), entry) for key, entry in state.entries.items()),
            *(("totals", owner, Owned(t.phases, t.progress, owner=owner)) for owner, t in state.totals.items()),
        )
    ]
    await connection.execute(_PUT, _encode(put).decode())


async def move_to(connection: Connection, head: Head) -> None:
    """Says where the base is."""
    await connection.execute("UPDATE base SET position = $1, at = $2", head.position, head.at)


async def states(model: Model, found: AsyncIterator[asyncpg.Record]) -> AsyncIterator[State]:
    """What all rows hold, in bounded parts."""
    batch: list[asyncpg.Record] = []
    async for row in found:
        batch.append(row)
        if len(batch) == BATCH_ROWS:
            yield state_of(model, batch)
            batch.clear()
    if batch:
        yield state_of(model, batch)


def state_of(model: Model, found: Sequence[asyncpg.Record]) -> State:
    """What rows hold, brought to the present versions of their kinds."""
    state = State()
    for source, row in found:
        match source:
            case "nodes":
                node = restamped_node(model, _node(row).node(model))
                state.nodes[node.path] = node
            case "pools":
                offered = _pool(row)
                state.pools[offered.path] = Pool(offered.capacity, offered.used)
            case "ledger":
                entry = _entry(row).entry()
                state.entries[entry.owner, entry.index] = entry
            case "totals":
                owned = _totals(row)
                state.totals[owned.owner] = owned.totals()
    return state


async def _write(connection: Connection, state: State, touched: Touched) -> None:
    kept = State()
    gone = Keys()
    tables: tuple[tuple[Any, Any, Any, set[Any]], ...] = (
        (touched.nodes, state.nodes, kept.nodes, gone.nodes),
        (touched.pools, state.pools, kept.pools, gone.pools),
        (touched.entries, state.entries, kept.entries, gone.entries),
        (touched.totals, state.totals, kept.totals, gone.owners),
    )
    for keys, table, to_keep, to_delete in tables:
        for key in keys:
            if key in table:
                to_keep[key] = table[key]
            else:
                to_delete.add(key)
    await put_rows(connection, kept)
    await connection.execute(_DELETE, *_columns(gone))
    # Nobody asks for the entries of an owner that went, and nothing else would ever remove them.
    await connection.execute(_DELETE_OWNED, sorted(gone.owners))


def _columns(keys: Keys) -> tuple[list[str], list[str]]:
    """Tables and keys side by side, in a fixed order."""
    named = [
        *(("nodes", path) for path in sorted(keys.nodes)),
        *(("pools", path) for path in sorted(keys.pools)),
        *(("ledger", _entry_key(*key)) for key in sorted(keys.entries)),
        *(("totals", owner) for owner in sorted(keys.owners)),
    ]
    return [source for source, _ in named], [key for _, key in named]


def _entry_key(owner: str, index: int) -> str:
    return f"{owner} {index}"
