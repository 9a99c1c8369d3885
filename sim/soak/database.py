"""What can be seen of the system in its database: sizes, rows, queues, and how far behind anybody is."""

from typing import Any, Self

import asyncpg

from datamodel.errors import Transient

TIMEOUT_S = 20.0
PROJECTION = ("nodes", "links", "ledger", "totals", "pools")
_COUNTED = ("ledger", "totals", "links", "marks", "leases", "quarantine", "idempotency")

_SIZES = """
SELECT relname AS name, coalesce((SELECT sum(pg_total_relation_size(relid))::int8 FROM pg_partition_tree(oid)),
  pg_total_relation_size(oid)) AS bytes FROM pg_class
WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
"""
_RELATIONS = "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'i', 't', 'S', 'm')"
_ROWS = " UNION ALL ".join(f"SELECT '{name}' AS name, count(*) AS rows FROM {name}" for name in _COUNTED)  # noqa: S608 - constants
_LOG = """
SELECT position, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 AS wal_written,
  (SELECT sum(size)::float8 FROM pg_ls_waldir()) AS wal_kept FROM head
"""
_GREW = """
SELECT count(*) FILTER (WHERE op = 'deleted') AS deleted,
  count(*) FILTER (WHERE op = 'created' AND kind = 'Attempt') AS attempts FROM events WHERE position > $1 AND position <= $2
"""
# What waits for whom: jobs for placement, counted jobs for progress, deleted jobs for retention, ended attempts for ingest.
_QUEUES = """
WITH jobs AS (SELECT n.*, t.phases FROM nodes n LEFT JOIN totals t ON t.owner = n.uid WHERE n.kind = 'Job')
SELECT (SELECT count(*) FROM nodes) AS live,
  count(*) FILTER (WHERE phase IN ('', 'pending')) AS pending,
  count(*) FILTER (WHERE phase = 'running') AS running,
  count(*) FILTER (WHERE deletion_requested_at IS NOT NULL) AS deleting,
  count(*) FILTER (WHERE phase IN ('', 'pending', 'running') AND (phases->>'succeeded')::int = (spec->>'chunks')::int)
    AS counted,
  (SELECT count(*) FROM nodes WHERE kind = 'Attempt' AND phase IN ('', 'pending', 'running')) AS attempts,
  extract(epoch FROM clock_timestamp() - min(created_at) FILTER (WHERE phase IN ('', 'pending')))::float8 AS pending_s,
  extract(epoch FROM clock_timestamp() - min(deletion_requested_at))::float8 AS deleting_s
FROM jobs
"""


class Database:
    """One connection, made again where it breaks. Open it with `async with`; `sample` raises `Transient`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self.position = 0
        self.live_nodes = 0
        self._most_live_nodes = 1
        self.deleted = 0
        """Nodes that were deleted since the log began."""
        self.attempts = 0
        """Attempts that were made since the log began."""
        self._began: tuple[int, float] | None = None

    async def __aenter__(self) -> Self:
        self._pool = await asyncpg.create_pool(self._url, min_size=0, max_size=1, command_timeout=TIMEOUT_S)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.terminate()

    async def sample(self) -> dict[str, float]:
        assert self._pool is not None
        try:
            async with self._pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
                (log,) = await connection.fetch(_LOG)
                (grew,) = await connection.fetch(_GREW, self.position, log["position"])
                (queues,) = await connection.fetch(_QUEUES)
                rows = {row["name"]: row["rows"] for row in await connection.fetch(_ROWS)}
                sizes = {row["name"]: row["bytes"] for row in await connection.fetch(_SIZES)}
                relations = await connection.fetchval(_RELATIONS)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise Transient(f"the database cannot be sampled: {error}") from error
        self.position, self.live_nodes = log["position"], queues["live"]
        self._most_live_nodes = max(self._most_live_nodes, self.live_nodes)
        self.deleted += grew["deleted"]
        self.attempts += grew["attempts"]
        return {
            **self._log(log, sizes["events"]),
            **_waiting(queues),
            "relations": relations,
            "rows: live nodes": queues["live"],
            **{f"rows: {name}": count for name, count in rows.items()},
            **{f"size: {name}": sizes[name] for name in (*PROJECTION, "events", "idempotency")},
            # Tables keep the size that they had when there was most to hold: fewer nodes later are no growth.
            "projection per live node": sum(sizes[name] for name in PROJECTION) / self._most_live_nodes,
        }

    def _log(self, log: Any, events_bytes: int) -> dict[str, float]:
        began_at, began_wal = self._began = self._began or (log["position"], log["wal_written"])
        events = log["position"] - began_at
        per_event = {"log: WAL bytes per event": (log["wal_written"] - began_wal) / events} if events else {}
        return {
            "log: events": log["position"],
            "log: bytes per event": events_bytes / max(1, log["position"]),
            **per_event,
            "WAL": log["wal_kept"],
        }


def _waiting(queues: Any) -> dict[str, float]:
    return {
        "queue: jobs pending": queues["pending"],
        "queue: jobs running": queues["running"],
        "queue: jobs counted and not finished": queues["counted"],
        "queue: jobs being deleted": queues["deleting"],
        "queue: attempts not ended": queues["attempts"],
        "age: oldest pending job": queues["pending_s"] or 0.0,
        "age: oldest deletion": queues["deleting_s"] or 0.0,
    }
