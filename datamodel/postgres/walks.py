"""Walks on Postgres: each is a run of an index, from where the last one ended."""

import re
from collections.abc import Sequence

from datamodel.model import Model
from datamodel.node import Node
from datamodel.postgres import rows
from datamodel.postgres.counting import count_query
from datamodel.postgres.database import Database
from datamodel.postgres.orders import FEW, few_query, sorted_query
from datamodel.selectors import Requirement
from datamodel.sorting import PATH, Place, beginning, is_before, place_of
from datamodel.walk import END, Paths, Span, Walk, Walked

# The bounds of a span are $1 and $2, the limit is $3.
BY_PATH = (
    f"SELECT {rows.NODE_COLUMNS} FROM nodes WHERE path > $1 AND path < $2 AND kind = ANY($4) ORDER BY path LIMIT $3"
)
# A kind or a facet and its paths are one range: nothing but their own index has them in that order, whatever Postgres believes.
BY_KIND = (
    f"SELECT {rows.NODE_COLUMNS} FROM nodes WHERE (kind, path) > ($4, $1) AND (kind, path) < ($4, $2)"
    " ORDER BY kind, path LIMIT $3"
)
BY_FACET = f"""
SELECT {", ".join(f"nodes.{column}" for column in rows.NODE_COLUMNS.split(", "))}
FROM (SELECT found.path FROM unnest($4::text[]) AS wanted(kind) CROSS JOIN unnest($6::text[]) AS listed(value)
  CROSS JOIN LATERAL (SELECT path FROM facets
    WHERE (facets.kind, facet, facets.value, path) > (wanted.kind, $5, listed.value, $1)
    AND (facets.kind, facet, facets.value, path) < (wanted.kind, $5, listed.value, $2)
    ORDER BY facets.kind, facet, facets.value, path LIMIT $3) AS found ORDER BY path LIMIT $3) AS page
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

    async def walk(self, walk: Walk, after: Place | None, limit: int) -> Walked:
        if walk.sort.name != PATH:
            return await self._walk_sorted(walk, after, limit)
        begin, before = walk.span.after, walk.span.before
        if after is not None and walk.sort.descending:
            before = min(before, after.path)
        elif after is not None:
            begin = max(begin, after.path)
        query, arguments = _by_path(walk)
        found = await self._database.look_up(query, begin, before, limit, *arguments)
        nodes = [rows.node(self._model, row) for row in found]
        return Walked(nodes, Place("", nodes[-1].path) if len(nodes) == limit else None)

    async def _walk_sorted(self, walk: Walk, after: Place | None, limit: int) -> Walked:
        """Each kind has a run of its own. Where only few nodes can be meant, they are sorted; else the order's index is walked,
        and the nodes are looked at that it finds."""
        found, ends = dict[Place, Node](), list[Place]()
        for kind in walk.kinds:
            few = await self._database.look_up(*few_query(walk, kind))
            among = [row["path"] for row in few] if len(few) <= FEW else kind
            looked = await self._database.look_up(*sorted_query(walk, among, after or beginning(walk.sort), limit))
            nodes = [rows.node(self._model, row) for row in looked if row["path"] is not None]
            found |= {place_of(walk.sort, self._model.kinds[kind], node): node for node in nodes}
            if len(looked) == limit:
                ends.append(Place(looked[-1]["key"], looked[-1]["at"]))
        descending = walk.sort.descending
        through = sorted(ends, reverse=descending)[0] if ends else None
        places = [place for place in found if through is None or not is_before(walk.sort, through, place)]
        return Walked([found[place] for place in sorted(places, reverse=descending)], through)

    async def count_walk(self, walk: Walk, terms: Sequence[Requirement]) -> int:
        (row,) = await self._database.fetch(*count_query(walk, terms))
        return int(row["count"])

    async def changed(self, span: Span, after: int, through: int, limit: int) -> Paths:
        return await self._paths(CHANGED, span, limit, after, through)

    async def places(self, span: Span, limit: int) -> Paths:
        return await self._paths(PLACES, span, limit)

    async def _paths(self, query: str, span: Span, limit: int, *arguments: int) -> Paths:
        found = await self._database.look_up(query, span.after, span.before, limit, *arguments)
        paths = [row["path"] for row in found]
        return Paths(paths, paths[-1] if len(paths) == limit else END)


def _by_path(walk: Walk) -> tuple[str, list[object]]:
    """The query of a walk in order of path, and its arguments from the fourth on."""
    arguments: list[object] = [list(walk.kinds)]
    if walk.facet:
        query = BY_FACET
        arguments += [walk.facet, list(walk.values)]
    elif len(walk.kinds) == 1:
        query, arguments = BY_KIND, [walk.kinds[0]]
    else:
        query = BY_PATH
    return re.sub(r"ORDER BY [\w., ]*path", _backwards, query) if walk.sort.descending else query, arguments


def _backwards(order: re.Match[str]) -> str:
    return ", ".join(f"{column} DESC" for column in order[0].split(", "))
