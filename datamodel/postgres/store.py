"""The store port on Postgres: a connection of its own for the writer, a small pool for the readers."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Self

import asyncpg

from datamodel.command import Outcome, Unit
from datamodel.event import Event
from datamodel.feed.message import node_body, tombstone
from datamodel.ledger import Entry, Totals
from datamodel.model import Model
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.ports import Change, Head, Placement, Snapshot
from datamodel.postgres import rows
from datamodel.postgres.append import append
from datamodel.postgres.connect import connect_writer, open_pool, transient
from datamodel.postgres.present import Connection
from datamodel.postgres.snapshot import snapshot

READERS = 4
QUARANTINE_BODY_LIMIT_BYTES = 16 * 1024
QUARANTINE_LIMIT = 10_000
IDEMPOTENCY_KEPT = "24 hours"

_CHANGE_COLUMNS = (
    "n.uid, n.kind, n.version, n.created_version, n.generation, n.deletion_requested_at, n.labels, n.spec, n.status"
)


class PostgresStore:
    """One database. Open it with `async with`; all methods raise `Transient` where the database does not answer."""

    def __init__(self, url: str, model: Model) -> None:
        self._url = url
        self._model = model
        self._readers: asyncpg.Pool[asyncpg.Record] | None = None
        self._writer: Connection | None = None
        self._writing = asyncio.Lock()

    @property
    def model(self) -> Model:
        return self._model

    async def __aenter__(self) -> Self:
        self._readers = await open_pool(self._url, READERS)
        return self

    async def __aexit__(self, *_: object) -> None:
        async with self._writing:
            if self._writer is not None:
                self._writer.terminate()
                self._writer = None
        if self._readers is not None:
            self._readers.terminate()

    async def append(self, units: Sequence[Unit]) -> list[Outcome]:
        async with self._writing:
            if self._writer is None or self._writer.is_closed():
                self._writer = await connect_writer(self._url)
            try:
                with transient("append"):
                    return (await append(self._writer, self._model, units)).outcomes
            except BaseException:
                # The transaction's state is unknown: a new connection is the only way to a clean one.
                self._writer.terminate()
                self._writer = None
                raise

    async def head(self) -> Head:
        (row,) = await self._fetch("SELECT position, at FROM head")
        return Head(position=row["position"], at=row["at"])

    async def events(self, after: int, limit: int) -> list[Event]:
        found = await self._fetch("SELECT * FROM events WHERE position > $1 ORDER BY position LIMIT $2", after, limit)
        return [rows.event(row) for row in found]

    async def changes(self, after: int, limit: int) -> list[Change]:
        found = await self._fetch(
            f"SELECT e.position, e.id, e.path, e.uid AS was, e.kind AS was_kind, {_CHANGE_COLUMNS}"
            " FROM events e LEFT JOIN nodes n ON n.path = e.path AND n.uid = e.uid"
            " WHERE e.position > $1 ORDER BY e.position LIMIT $2",
            after,
            limit,
        )
        return [_change(row) for row in found]

    async def living(self, after: str, limit: int) -> list[Change]:
        found = await self._fetch(
            f"SELECT n.version AS position, '' AS id, n.path, n.uid AS was, n.kind AS was_kind, {_CHANGE_COLUMNS}"
            " FROM nodes n WHERE n.path > $1 ORDER BY n.path LIMIT $2",
            after,
            limit,
        )
        return [_change(row) for row in found]

    async def count_nodes(self) -> int:
        (row,) = await self._fetch("SELECT count(*) AS n FROM nodes")
        return int(row["n"])

    async def event_id(self, position: int) -> str | None:
        found = await self._fetch("SELECT id FROM events WHERE position = $1", position)
        return found[0]["id"] if found else None

    async def nodes(self, paths: Collection[str]) -> dict[str, Node]:
        found = await self._fetch(f"SELECT {rows.NODE_COLUMNS} FROM nodes WHERE path = ANY($1)", list(paths))
        return {row["path"]: rows.node(row) for row in found}

    async def list_nodes(
        self, kind: str, *, under: str = "", after: str = "", limit: int = 100, phases: Collection[str] = ()
    ) -> list[Node]:
        found = await self._fetch(
            f"SELECT {rows.NODE_COLUMNS} FROM nodes WHERE kind = $1 AND path > $2 AND path >= $3 AND path < $4"
            " AND (cardinality($5::text[]) = 0 OR phase = ANY($5)) ORDER BY path LIMIT $6",
            kind,
            after,
            under + "/",
            under + "0",
            list(phases),
            limit,
        )
        return [rows.node(row) for row in found]

    async def children(
        self, kind: str, parents: Collection[str], *, after: str = "", limit: int = 100, phases: Collection[str] = ()
    ) -> dict[str, list[Node]]:
        found = await self._fetch(
            "SELECT parent.path AS parent, child.* FROM unnest($1::text[]) AS parent(path) CROSS JOIN LATERAL"
            f" (SELECT {rows.NODE_COLUMNS} FROM nodes WHERE kind = $2 AND path > $3 AND path >= parent.path || '/'"
            " AND path < parent.path || '0' AND (cardinality($4::text[]) = 0 OR phase = ANY($4)) ORDER BY path LIMIT $5)"
            " AS child ORDER BY child.path",
            list(parents),
            kind,
            after,
            list(phases),
            limit,
        )
        nodes: dict[str, list[Node]] = {parent: [] for parent in parents}
        for row in found:
            nodes[row["parent"]].append(rows.node(row))
        return nodes

    async def linked(self, kind: str, link: str, target: str, *, after: str = "", limit: int = 100) -> list[Node]:
        found = await self._fetch(
            f"SELECT {rows.NODE_COLUMNS} FROM links JOIN nodes ON nodes.path = links.source"
            " WHERE target = $1 AND name = $2 AND source > $3 AND kind = $5 ORDER BY source LIMIT $4",
            target,
            link,
            after,
            limit,
            kind,
        )
        return [rows.node(row) for row in found]

    async def pools(self, paths: Collection[str]) -> dict[str, Pool]:
        found = await self._fetch("SELECT * FROM pools WHERE path = ANY($1)", list(paths))
        return {row["path"]: rows.pool(row) for row in found}

    async def totals(self, owners: Collection[str]) -> dict[str, Totals]:
        found = await self._fetch("SELECT * FROM totals WHERE owner = ANY($1)", list(owners))
        return {row["owner"]: rows.totals(row) for row in found}

    async def entries(
        self, owner: str, *, phases: Collection[str] = (), after: int = -1, limit: int = 1000
    ) -> list[Entry]:
        chosen = "AND phase = ANY($4)" if phases else "AND cardinality($4::text[]) = 0"
        found = await self._fetch(
            f'SELECT * FROM ledger WHERE owner = $1 AND "index" > $2 {chosen} ORDER BY "index" LIMIT $3',
            owner,
            after,
            limit,
            list(phases),
        )
        return [rows.entry(row) for row in found]

    async def placements(self, owner: str) -> list[Placement]:
        found = await self._fetch(
            "SELECT regexp_replace(holder, '/[^/]+/[^/]+$', '') AS place, phase, count(*) AS entries,"
            " sum(progress)::bigint AS progress FROM ledger WHERE owner = $1 GROUP BY 1, 2 ORDER BY 1, 2",
            owner,
        )
        return [Placement(row["place"], row["phase"], row["entries"], row["progress"]) for row in found]

    async def count_by_phase(self, kind: str) -> dict[str, int]:
        found = await self._fetch("SELECT phase, count(*) AS n FROM nodes WHERE kind = $1 GROUP BY phase", kind)
        return {row["phase"]: row["n"] for row in found}

    async def sum_totals(self) -> Totals:
        found = await self._fetch(
            "SELECT key, sum(value::bigint)::bigint AS n FROM totals, json_each_text(phases) GROUP BY key"
            " UNION ALL SELECT NULL, coalesce(sum(progress), 0)::bigint FROM totals"
        )
        phases = {row["key"]: row["n"] for row in found if row["key"] is not None}
        return Totals(phases=phases, progress=next(row["n"] for row in found if row["key"] is None))

    async def acquire(self, names: Collection[str], holder: str, ttl_s: float) -> dict[str, int]:
        found = await self._fetch(
            "INSERT INTO leases AS held SELECT name, $2, 1, clock_timestamp() + make_interval(secs => $3)"
            " FROM unnest($1::text[]) AS wanted(name) ORDER BY name"
            " ON CONFLICT (name) DO UPDATE SET holder = $2, expires_at = excluded.expires_at,"
            " token = held.token + (held.holder <> $2 OR held.expires_at <= clock_timestamp())::int"
            " WHERE held.holder = $2 OR held.expires_at <= clock_timestamp() RETURNING name, token",
            list(names),
            holder,
            ttl_s,
        )
        return {row["name"]: row["token"] for row in found}

    async def count_leases(self, prefix: str) -> int:
        (row,) = await self._fetch(
            "SELECT count(*) AS n FROM leases WHERE starts_with(name, $1) AND expires_at > clock_timestamp()", prefix
        )
        return int(row["n"])

    async def release(self, names: Collection[str], holder: str) -> None:
        await self._fetch(
            "UPDATE leases SET expires_at = '-infinity' WHERE name = ANY($1) AND holder = $2", list(names), holder
        )

    async def marks(self, names: Collection[str]) -> dict[str, int]:
        found = await self._fetch("SELECT name, through FROM marks WHERE name = ANY($1)", list(names))
        return {row["name"]: row["through"] for row in found}

    async def quarantine(self, source: str, reason: str, body: bytes) -> None:
        await self._fetch(
            "INSERT INTO quarantine (source, reason, body) VALUES ($1, $2, $3)",
            source[:256].replace("\x00", ""),  # text columns take no zero bytes
            reason[:1024].replace("\x00", ""),
            body[:QUARANTINE_BODY_LIMIT_BYTES],
        )

    async def quarantined(self) -> int:
        (row,) = await self._fetch("SELECT count(*) AS n FROM quarantine")
        return int(row["n"])

    async def epoch(self) -> int:
        (row,) = await self._fetch("SELECT epoch FROM head")
        return int(row["epoch"])

    async def set_epoch(self, epoch: int) -> None:
        await self._fetch("UPDATE head SET epoch = greatest(epoch, $1)", epoch)

    async def sweep(self, limit: int) -> int:
        gone = await self._fetch(
            "WITH orphans AS (DELETE FROM ledger WHERE ctid = ANY(ARRAY(SELECT ledger.ctid FROM ledger"
            "  WHERE NOT EXISTS (SELECT FROM totals WHERE totals.owner = ledger.owner) LIMIT $1)) RETURNING 1),"
            " keys AS (DELETE FROM idempotency WHERE key = ANY(ARRAY(SELECT key FROM idempotency"
            f"  WHERE at < now() - interval '{IDEMPOTENCY_KEPT}' LIMIT $1)) RETURNING 1),"
            " stale AS (DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - $2 RETURNING 1)"
            " SELECT (SELECT count(*) FROM orphans) + (SELECT count(*) FROM keys) + (SELECT count(*) FROM stale) AS n",
            limit,
            QUARANTINE_LIMIT,
        )
        return int(gone[0]["n"])

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        return snapshot(self._url)

    async def _fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        assert self._readers is not None, "the store is not open"
        with transient("read"):
            return await self._readers.fetch(query, *arguments)


def _change(row: asyncpg.Record) -> Change:
    if row["uid"] is None:
        body = tombstone(row["path"], row["was"], row["was_kind"], row["position"])
        return Change(row["position"], row["id"], row["path"], body, deleted=True)
    body = node_body(
        row["path"],
        row["uid"],
        row["kind"],
        row["version"],
        row["created_version"],
        row["generation"],
        row["deletion_requested_at"],
        row["labels"],
        row["spec"],
        row["status"],
    )
    return Change(row["position"], row["id"], row["path"], body, deleted=False)
