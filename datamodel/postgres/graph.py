"""Reading the projection: the graph port on Postgres."""

from collections.abc import Collection, Sequence

from datamodel.ledger import ALL, Entry, Totals
from datamodel.model import Model
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.ports import Placement
from datamodel.postgres import rows
from datamodel.postgres.database import Database

NODES = f"SELECT {rows.NODE_COLUMNS} FROM nodes WHERE path = ANY($1)"
PLACEMENTS = """
SELECT owner, regexp_replace(holder, '/[^/]+/[^/]+$', '') AS place, phase, count(*) AS entries,
  sum(progress)::bigint AS progress, sum(failures)::bigint AS failures
FROM ledger WHERE owner = ANY($1) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
FIRST_ENTRIES = """
SELECT first.* FROM unnest($1::text[]) AS wanted(owner) CROSS JOIN LATERAL (
  SELECT * FROM ledger WHERE ledger.owner = wanted.owner AND phase = $2 ORDER BY "index" LIMIT $3) AS first
ORDER BY first.owner, first."index"
"""
_PIECES = """
WITH found AS (
  SELECT coalesce(nodes.spec ->> $2, nodes.status #>> $4::text[], '1') AS pieces, totals.phases, totals.progress
  FROM nodes LEFT JOIN totals ON totals.owner = nodes.uid WHERE nodes.kind = $1 AND nodes.phase = ANY($3)
), counted AS (
  SELECT each.key AS phase, sum(each.value::bigint)::bigint AS entries
  FROM found CROSS JOIN LATERAL json_each_text(found.phases) AS each GROUP BY each.key
)
SELECT (SELECT coalesce(sum(pieces::bigint), 0) FROM found)::bigint AS pieces,
  (SELECT coalesce(sum(progress), 0) FROM found)::bigint AS progress,
  (SELECT coalesce(json_object_agg(phase, entries), '{}') FROM counted) AS phases
"""
_NEXT_SOURCE = """
SELECT source FROM links JOIN nodes ON nodes.path = source
WHERE links.target = wanted.target AND name = $2 AND source > {after} AND kind = $3 ORDER BY links.target, name, source LIMIT 1
"""
PLACES_LINKING = f"""
SELECT wanted.target, regexp_replace(found.source, '/[^/]+/[^/]+$', '') AS place
FROM unnest($1::text[]) AS wanted(target) CROSS JOIN LATERAL (
  WITH RECURSIVE step(source) AS (
    ({_NEXT_SOURCE.format(after="''")})
    UNION ALL
    SELECT ({_NEXT_SOURCE.format(after="regexp_replace(step.source, '/[^/]+$', '0')")}) FROM step WHERE source IS NOT NULL
  )
  SELECT source FROM step WHERE source IS NOT NULL LIMIT $4
) AS found
"""
"""Steps from each place to the next: "0" is the character after "/", behind all nodes of a collection."""


class PostgresGraph:
    """The queries. What they mean is said at the port."""

    def __init__(self, database: Database, model: Model) -> None:
        self._database = database
        self._model = model

    async def nodes(self, paths: Collection[str]) -> dict[str, Node]:
        found = await self._database.look_up(NODES, list(paths))
        return {row["path"]: rows.node(self._model, row) for row in found}

    async def nodes_of(self, uids: Collection[str]) -> dict[str, Node]:
        found = await self._database.look_up(f"SELECT {rows.NODE_COLUMNS} FROM nodes WHERE uid = ANY($1)", list(uids))
        return {row["uid"]: rows.node(self._model, row) for row in found}

    async def list_nodes(
        self, kind: str, *, under: str = "", after: str = "", limit: int = 100, phases: Collection[str] = ()
    ) -> list[Node]:
        found = await self._database.fetch(
            f"SELECT {rows.NODE_COLUMNS} FROM nodes WHERE kind = $1 AND path > $2 AND path >= $3 AND path < $4"
            " AND (cardinality($5::text[]) = 0 OR phase = ANY($5)) ORDER BY path LIMIT $6",
            kind,
            after,
            under + "/",
            under + "0",
            list(phases),
            limit,
        )
        return [rows.node(self._model, row) for row in found]

    async def linked(self, kind: str, link: str, target: str, *, after: str = "", limit: int = 100) -> list[Node]:
        found = await self._database.fetch(
            f"SELECT {rows.NODE_COLUMNS} FROM links JOIN nodes ON nodes.path = links.source"
            " WHERE target = $1 AND name = $2 AND source > $3 AND kind = $5 ORDER BY source LIMIT $4",
            target,
            link,
            after,
            limit,
            kind,
        )
        return [rows.node(self._model, row) for row in found]

    async def places_linking(
        self, kind: str, link: str, targets: Collection[str], *, limit: int = 1000
    ) -> dict[str, list[str]]:
        found = await self._database.look_up(PLACES_LINKING, list(targets), link, kind, limit)
        places: dict[str, list[str]] = {target: [] for target in targets}
        for row in found:
            places[row["target"]].append(row["place"])
        return places

    async def dangling(self, kind: str, link: str, *, after: str = "", limit: int = 100) -> list[Node]:
        found = await self._database.fetch(
            f"SELECT DISTINCT ON (source) {rows.NODE_COLUMNS} FROM links JOIN nodes ON nodes.path = links.source"
            " WHERE kind = $1 AND name = $2 AND source > $3"
            " AND NOT EXISTS (SELECT FROM nodes AS targets WHERE targets.uid = links.target) ORDER BY source LIMIT $4",
            kind,
            link,
            after,
            limit,
        )
        return [rows.node(self._model, row) for row in found]

    async def deleting(self, *, after: str = "", limit: int = 100) -> list[Node]:
        found = await self._database.fetch(
            f"SELECT {rows.NODE_COLUMNS} FROM nodes WHERE deletion_requested_at IS NOT NULL AND path > $1"
            " ORDER BY path LIMIT $2",
            after,
            limit,
        )
        return [rows.node(self._model, row) for row in found]

    async def pools(self, paths: Collection[str]) -> dict[str, Pool]:
        found = await self._database.look_up("SELECT * FROM pools WHERE path = ANY($1)", list(paths))
        return {row["path"]: rows.pool(row) for row in found}

    async def totals(self, owners: Collection[str]) -> dict[str, Totals]:
        found = await self._database.look_up("SELECT * FROM totals WHERE owner = ANY($1)", list(owners))
        return {row["owner"]: rows.totals(row) for row in found}

    async def entries(
        self, owner: str, *, phases: Collection[str] = (), after: int = -1, limit: int = 1000
    ) -> list[Entry]:
        chosen = "AND phase = ANY($4)" if phases else "AND cardinality($4::text[]) = 0"
        found = await self._database.fetch(
            f'SELECT * FROM ledger WHERE owner = $1 AND "index" > $2 {chosen} ORDER BY "index" LIMIT $3',
            owner,
            after,
            limit,
            list(phases),
        )
        return [rows.entry(row) for row in found]

    async def first_entries(self, owners: Collection[str], phase: str, limit: int) -> dict[str, list[Entry]]:
        found = await self._database.look_up(FIRST_ENTRIES, list(owners), phase, limit)
        entries: dict[str, list[Entry]] = {owner: [] for owner in owners}
        for row in found:
            entries[row["owner"]].append(rows.entry(row))
        return entries

    async def placements(self, owners: Collection[str]) -> dict[str, list[Placement]]:
        found = await self._database.fetch(PLACEMENTS, list(owners))
        placements: dict[str, list[Placement]] = {owner: [] for owner in owners}
        for row in found:
            placement = Placement(row["place"], row["phase"], row["entries"], row["progress"], row["failures"])
            placements[row["owner"]].append(placement)
        return placements

    async def count_by_phase(self, kind: str) -> dict[str, int]:
        found = await self._database.fetch(
            "SELECT phase, count(*) AS n FROM nodes WHERE kind = $1 GROUP BY phase", kind
        )
        return {row["phase"]: row["n"] for row in found}

    async def sum_totals(self) -> Totals:
        return (await self.totals([ALL])).get(ALL, Totals())

    async def sum_pieces(
        self, kind: str, spec: str, status: Sequence[str], phases: Collection[str]
    ) -> tuple[int, Totals]:
        (found,) = await self._database.fetch(_PIECES, kind, spec, list(phases), list(status))
        return found["pieces"], rows.totals(found)
