"""Walks on Postgres: each is a run of an index, from where the last one ended."""

from datamodel.model import Model
from datamodel.postgres import rows
from datamodel.postgres.database import Database
from datamodel.walk import END, Paths, Span, Walk, Walked

# The bounds of a span are $1 and $2, the limit is $3.
BY_PATH = (
    f"SELECT {rows.NODE_COLUMNS} FROM nodes WHERE path > $1 AND path < $2 AND kind = ANY($4) ORDER BY path LIMIT $3"
)
BY_KIND = f"SELECT {rows.NODE_COLUMNS} FROM nodes WHERE path > $1 AND path < $2 AND kind = $4 ORDER BY path LIMIT $3"
BY_FACET = f"""
SELECT {", ".join(f"nodes.{column}" for column in rows.NODE_COLUMNS.split(", "))}
FROM (SELECT found.path FROM unnest($4::text[]) AS wanted(kind) CROSS JOIN unnest($6::text[]) AS listed(value)
  CROSS JOIN LATERAL (SELECT path FROM facets WHERE facets.kind = wanted.kind AND facet = $5 AND facets.value = listed.value
    AND path > $1 AND path < $2 ORDER BY path LIMIT $3) AS found ORDER BY path LIMIT $3) AS page
JOIN nodes USING (path) ORDER BY nodes.path
"""
CHANGED = """
WITH later AS MATERIALIZED (SELECT path FROM events WHERE position > $4 AND position <= $5)
SELECT DISTINCT path FROM later WHERE path > $1 AND path < $2 ORDER BY path LIMIT $3
"""
PLACES = """
WITH RECURSIVE place(path) AS (
  (SELECT path FROM events WHERE path > $1 AND path < $2 ORDER BY path LIMIT 1)
  UNION ALL
  SELECT (SELECT path FROM events WHERE path > place.path AND path < $2 ORDER BY path LIMIT 1) FROM place
  WHERE path IS NOT NULL
)
SELECT path FROM place WHERE path IS NOT NULL LIMIT $3
"""
"""Steps from each path to the next, over all events of the first."""


class PostgresWalks:
    """The queries. What they mean is said at the port."""

    _database: Database
    _model: Model

    async def walk(self, walk: Walk, after: str, limit: int) -> Walked:
        bounds = max(walk.span.after, after), walk.span.before, limit
        if walk.facet:
            found = await self._database.look_up(BY_FACET, *bounds, list(walk.kinds), walk.facet, list(walk.values))
        elif len(walk.kinds) == 1:
            found = await self._database.look_up(BY_KIND, *bounds, walk.kinds[0])
        else:
            found = await self._database.look_up(BY_PATH, *bounds, list(walk.kinds))
        nodes = [rows.node(self._model, row) for row in found]
        return Walked(nodes, nodes[-1].path if len(nodes) == limit else END)

    async def changed(self, span: Span, after: int, through: int, limit: int) -> Paths:
        return await self._paths(CHANGED, span, limit, after, through)

    async def places(self, span: Span, limit: int) -> Paths:
        return await self._paths(PLACES, span, limit)

    async def _paths(self, query: str, span: Span, limit: int, *arguments: int) -> Paths:
        found = await self._database.look_up(query, span.after, span.before, limit, *arguments)
        paths = [row["path"] for row in found]
        return Paths(paths, paths[-1] if len(paths) == limit else END)
