"""What is kept beside the log: leases, marks, quarantine and the feed's epoch, on Postgres."""

from collections.abc import Collection

from datamodel.lease import LEASE_LIMIT_S, Lease
from datamodel.postgres.database import Database

QUARANTINE_BODY_LIMIT_BYTES = 16 * 1024
QUARANTINE_LIMIT = 10_000
IDEMPOTENCY_KEPT = "24 hours"

_FREE = (
    "(held.expires_at <= clock_timestamp()"
    f" OR held.expires_at > clock_timestamp() + make_interval(secs => {LEASE_LIMIT_S}))"
)
"""Whether a lease is anybody's to take."""
_AT_LEAST = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
"""Of a token: see `datamodel.lease.next_token`."""


class PostgresBookkeeping:
    """The statements. What they mean is said at the ports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def acquire(self, names: Collection[str], holder: str, ttl_s: float) -> dict[str, int]:
        found = await self._database.look_up(
            f"INSERT INTO leases AS held SELECT name, $2, {_AT_LEAST}, clock_timestamp() + make_interval(secs => $3)"
            " FROM unnest($1::text[]) AS wanted(name) ORDER BY name"
            " ON CONFLICT (name) DO UPDATE SET holder = $2, expires_at = excluded.expires_at,"
            f" token = CASE WHEN held.holder <> $2 OR {_FREE} THEN greatest(held.token + 1, excluded.token)"
            " ELSE held.token END"
            f" WHERE held.holder = $2 OR {_FREE} RETURNING name, token",
            list(names),
            holder,
            ttl_s,
        )
        return {row["name"]: row["token"] for row in found}

    async def renew(self, prefixes: Collection[str], holder: str, ttl_s: float) -> dict[str, Lease]:
        found = await self._database.fetch(
            "WITH own AS (UPDATE leases AS held SET expires_at = clock_timestamp() + make_interval(secs => $3)"
            f" WHERE name ^@ ANY($1::text[]) AND holder = $2 AND NOT {_FREE} RETURNING name, holder, token)"
            " SELECT name, holder, token FROM own UNION ALL SELECT name, holder, token FROM leases AS held"
            f" WHERE name ^@ ANY($1::text[]) AND holder <> $2 AND NOT {_FREE}",
            list(prefixes),
            holder,
            ttl_s,
        )
        return {row["name"]: Lease(row["holder"], row["token"]) for row in found}

    async def release(self, names: Collection[str], holder: str) -> None:
        await self._database.look_up(
            "UPDATE leases SET expires_at = '-infinity' WHERE name = ANY($1) AND holder = $2", list(names), holder
        )

    async def marks(self, names: Collection[str]) -> dict[str, int]:
        found = await self._database.look_up("SELECT name, through FROM marks WHERE name = ANY($1)", list(names))
        return {row["name"]: row["through"] for row in found}

    async def quarantine(self, source: str, reason: str, body: bytes) -> None:
        await self._database.look_up(
            "INSERT INTO quarantine (source, reason, body) VALUES ($1, $2, $3)",
            source[:256].replace("\x00", ""),  # text columns take no zero bytes
            reason[:1024].replace("\x00", ""),
            body[:QUARANTINE_BODY_LIMIT_BYTES],
        )

    async def quarantined(self) -> int:
        (row,) = await self._database.fetch("SELECT count(*) AS n FROM quarantine")
        return int(row["n"])

    async def epoch(self) -> int:
        (row,) = await self._database.look_up("SELECT epoch FROM head")
        return int(row["epoch"])

    async def set_epoch(self, epoch: int) -> None:
        await self._database.look_up("UPDATE head SET epoch = greatest(epoch, $1)", epoch)

    async def sweep(self, limit: int) -> int:
        gone = await self._database.fetch(
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
