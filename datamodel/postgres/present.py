"""What the rule book has to see, read in one round trip: rows and guards of whatever the units name."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from datamodel.admission import Guards, Kept, Replay
from datamodel.errors import NotMigrated
from datamodel.ledger import Counted, Totals
from datamodel.model import Model
from datamodel.needs import Needs
from datamodel.pool import Pool
from datamodel.postgres import rows
from datamodel.postgres.connect import Connection
from datamodel.postgres.doomed import read_doomed
from datamodel.postgres.remembered import Changed
from datamodel.state import State

# Every part is read by key, so one query can carry all of them; a part that nobody needs gets an empty array.
_READ = """
SELECT 'head' AS source, json_build_object('position', head.position, 'now', greatest(head.at, clock_timestamp()),
  'event', coalesce(id, ''), 'oldest', base.position) AS row
  FROM base, head LEFT JOIN events ON events.position = head.position
UNION ALL SELECT 'nodes', row_to_json(nodes) FROM nodes WHERE path = ANY($1)
UNION ALL SELECT 'pools', row_to_json(pools) FROM pools WHERE path = ANY($2)
UNION ALL SELECT 'ledger', row_to_json(ledger)
  FROM unnest($3::text[], $4::int[]) AS named(owner, "index") JOIN ledger USING (owner, "index")
UNION ALL SELECT 'totals', row_to_json(totals) FROM totals WHERE owner = ANY($5)
UNION ALL SELECT 'leases', row_to_json(leases) FROM leases WHERE name = ANY($6) AND expires_at > clock_timestamp()
UNION ALL SELECT 'marks', row_to_json(marks) FROM marks WHERE name = ANY($7)
UNION ALL SELECT 'idempotency', row_to_json(idempotency) FROM idempotency WHERE key = ANY($8)
UNION ALL SELECT 'uids', json_build_object('name', uid) FROM nodes WHERE uid = ANY($9)
UNION ALL SELECT 'changed', json_build_array(position, id, path, uid, went)
  FROM (SELECT position, id, path, uid, op = 'deleted' AS went FROM events
    WHERE position > $10 ORDER BY position LIMIT $11) AS later
"""


class _Head(msgspec.Struct):
    position: int
    now: datetime
    event: str
    oldest: int


class _Named(msgspec.Struct):
    """A row of a table of names: leases, marks, uids."""

    name: str
    token: int = 0
    through: int = 0


class _Keyed(msgspec.Struct):
    key: str
    digest: str
    outcome: Kept


class Offered(Pool, frozen=True, kw_only=True):
    """A row of pools."""

    path: str


class Owned(Totals, frozen=True, kw_only=True):
    """A row of totals."""

    owner: str

    def totals(self) -> Totals:
        return Totals(self.phases, self.progress)


def _decoder(shape: Any) -> Callable[[str], Any]:
    return msgspec.json.Decoder(shape).decode


_DECODERS: dict[str, Callable[[str], Any]] = {
    "head": _decoder(_Head),
    "nodes": _decoder(rows.NodeRow),
    "pools": _decoder(Offered),
    "ledger": _decoder(Counted),
    "totals": _decoder(Owned),
    "leases": _decoder(_Named),
    "marks": _decoder(_Named),
    "idempotency": _decoder(_Keyed),
    "uids": _decoder(_Named),
    "changed": _decoder(Changed),
}


class Present(msgspec.Struct):
    """The rows and guards that some units name, the log's last position and event, the position that it is kept from, the time
    that its next events will have, and what has changed since the position that was asked for, as far as that is kept.
    `size_bytes` is what the rows take as JSON."""

    rows: State
    guards: Guards
    position: int
    event: str
    oldest: int
    now: datetime
    changed: list[Changed]
    size_bytes: int


async def read_present(
    connection: Connection, model: Model, wanted: Needs, *, since: int = 0, changes: int = 0
) -> Present:
    """Reads under the log's lock, which the caller holds; of changes after the position `since`, at most so many. Raises
    `Transient` where the database is not migrated."""
    owners, indexes = zip(*wanted.entries, strict=True) if wanted.entries else ((), ())
    names: Sequence[Sequence[Any]] = (
        list(wanted.nodes),
        list(wanted.pools),
        owners,
        indexes,
        list(wanted.owners),
        list(wanted.leases),
        list(wanted.marks),
        list(wanted.keys),
        list(wanted.uids),
    )
    found: dict[str, list[Any]] = {source: [] for source in _DECODERS}
    size_bytes = 0
    for source, row in await connection.fetch(_READ, *names, since, changes):
        found[source].append(_DECODERS[source](row))
        size_bytes += len(row)
    if not found["head"]:
        raise NotMigrated("the log has no head: the database is not migrated")
    state = State()
    state.nodes = {row.path: row.node(model) for row in found["nodes"]}
    state.pools = {row.path: Pool(row.capacity, row.used) for row in found["pools"]}
    state.entries = {(row.owner, row.index): row.entry() for row in found["ledger"]}
    state.totals = {row.owner: row.totals() for row in found["totals"]}
    large = await read_doomed(connection, model, wanted, state) if wanted.removes else set[str]()
    guards = Guards(
        leases={row.name: row.token for row in found["leases"]},
        marks={row.name: row.through for row in found["marks"]},
        keys={row.key: Replay.of(row.digest, row.outcome) for row in found["idempotency"]},
        uids={row.name for row in found["uids"]},
        large=large,
    )
    (head,) = found["head"]
    return Present(state, guards, head.position, head.event, head.oldest, head.now, found["changed"], size_bytes)
