"""Walks on Postgres: each is a run of an index, from where the last one ended."""

from collections.abc import Sequence
from dataclasses import replace

from datamodel.bookmark import Bookmark
from datamodel.model import Model
from datamodel.node import Node
from datamodel.postgres import rows
from datamodel.postgres.counting import count_query
from datamodel.postgres.database import Database
from datamodel.postgres.each import Each, by_part
from datamodel.postgres.orders import FEW, few_query, sorted_query
from datamodel.selectors import Requirement
from datamodel.sorting import PATH, Place, beginning, is_before, place_of
from datamodel.walk import END, Paths, Span, Walk, Walked

CHANGED = """
WITH later AS MATERIALIZED (SELECT path FROM events WHERE position > $4 AND position <= $5)
SELECT DISTINCT path FROM later WHERE path > $1 AND path < $2 ORDER BY path LIMIT $3
"""
_PLACES = """
WITH RECURSIVE place(path) AS (
  (SELECT path FROM events WHERE path > part.after AND path < part.before ORDER BY path LIMIT 1)
  UNION ALL
  SELECT (SELECT path FROM events WHERE path > place.path AND path < part.before ORDER BY path LIMIT 1) FROM place
  WHERE path IS NOT NULL
)
SELECT path FROM place WHERE path IS NOT NULL LIMIT {limit}
"""
"""Steps from each path to the next, over all events of the first."""


class PostgresWalks:
    """The queries. What they mean is said at the port."""

    _database: Database
    _model: Model

    async def walk(self, walk: Walk, after: Place | None, limit: int) -> Walked:
        (walked,) = await self.walk_each([(walk, after)], limit)
        return walked

    async def walk_each(self, walks: Sequence[tuple[Walk, Place | None]], limit: int) -> list[Walked]:
        assert all(walk.is_like(walks[0][0]) for walk, _ in walks), "they are taken at once"
        if walks[0][0].sort.name != PATH:
            return await self._walk_sorted([(walk, after or beginning(walk.sort)) for walk, after in walks], limit)
        found = await self._database.look_up(*walk_query(walks, limit))
        walked = []
        bookmark = Bookmark(found[0]["end_position"], found[0]["end_event"])
        for (walk, _), part in zip(walks, by_part(found, len(walks)), strict=True):
            nodes = [rows.node(self._model, row) for row in part if row["path"] is not None]
            nodes.sort(key=_path, reverse=walk.sort.descending)
            walked.append(Walked(nodes, Place("", nodes[-1].path) if len(nodes) == limit else None, bookmark))
        return walked

    async def _walk_sorted(self, walks: Sequence[tuple[Walk, Place]], limit: int) -> list[Walked]:
        """Each kind has a run of its own. Where only few nodes can be meant, they are sorted; else the order's index is walked,
        and the nodes are looked at that it finds."""
        found: list[dict[Place, Node]] = [{} for _ in walks]
        ends: list[list[Place]] = [[] for _ in walks]
        for kind in walks[0][0].kinds:
            counted = by_part(await self._database.look_up(*few_query([walk for walk, _ in walks], kind)), len(walks))
            for few in (True, False):
                parts = [index for index, (row,) in enumerate(counted) if (row["count"] <= FEW) == few]
                if not parts:
                    continue
                query = sorted_query([walks[index] for index in parts], kind, limit, few=few)
                looked = by_part(await self._database.look_up(*query), len(parts))
                for index, part in zip(parts, looked, strict=True):
                    sort = walks[index][0].sort
                    nodes = [rows.node(self._model, row) for row in part if row["path"] is not None]
                    found[index] |= {place_of(sort, self._model.kinds[kind], node): node for node in nodes}
                    if len(part) == limit:
                        ends[index].append(Place(part[-1]["key"], part[-1]["at"]))
        return [_walked(walk, found[index], ends[index]) for index, (walk, _) in enumerate(walks)]

    async def count_walk(self, walk: Walk, terms: Sequence[Requirement]) -> int:
        (counted,) = await self.count_each([walk], terms)
        return counted

    async def count_each(self, walks: Sequence[Walk], terms: Sequence[Requirement]) -> list[int]:
        assert all(walk.is_like(walks[0]) for walk in walks), "they are counted at once"
        found = await self._database.fetch(*count_query(walks, terms))
        return [int(row["count"]) for (row,) in by_part(found, len(walks))]

    async def changed(self, span: Span, after: int, through: int, limit: int) -> Paths:
        found = await self._database.look_up(CHANGED, span.after, span.before, limit, after, through)
        return _paths([row["path"] for row in found], limit)

    async def places(self, span: Span, limit: int) -> Paths:
        (found,) = await self.places_each([span], limit)
        return found

    async def places_each(self, spans: Sequence[Span], limit: int) -> list[Paths]:
        found = by_part(await self._database.look_up(*places_query(spans, limit)), len(spans))
        return [_paths([row["path"] for row in part], limit) for part in found]


def walk_query(walks: Sequence[tuple[Walk, Place | None]], limit: int) -> tuple[str, *tuple[object, ...]]:
    """The query of walks in order of path, and its arguments."""
    walk = walks[0][0]
    each = Each.of([_onward(walk, after) for walk, after in walks])
    down = " DESC" if walk.sort.descending else ""
    many = each.argument(limit)
    if walk.link:
        query = (
            f"SELECT node.* FROM links CROSS JOIN LATERAL (SELECT {rows.NODE_COLUMNS} FROM nodes WHERE path = links.source"
            f" AND kind = ANY({each.argument(list(walk.kinds))}) OFFSET 0) AS node WHERE links.target = part.target"
            f" AND links.name = {each.argument(walk.link)} AND links.source > part.after AND links.source < part.before"
            f" ORDER BY links.source{down} LIMIT {many}"
        )
    elif walk.facet:
        kinds, facet = each.argument(list(walk.kinds)), each.argument(walk.facet)
        values = each.argument(list(walk.values))
        query = (
            f"SELECT node.* FROM (SELECT found.path FROM unnest({kinds}::text[]) AS wanted(kind)"
            f" CROSS JOIN unnest({values}::text[]) AS listed(value) CROSS JOIN LATERAL (SELECT path FROM facets"
            f" WHERE (facets.kind, facet, facets.value, path) > (wanted.kind, {facet}, listed.value, part.after)"
            f" AND (facets.kind, facet, facets.value, path) < (wanted.kind, {facet}, listed.value, part.before)"
            f" ORDER BY facets.kind{down}, facet{down}, facets.value{down}, path{down} LIMIT {many}) AS found"
            f" ORDER BY path{down} LIMIT {many}) AS page CROSS JOIN LATERAL"
            f" (SELECT {rows.NODE_COLUMNS} FROM nodes WHERE path = page.path OFFSET 0) AS node"
        )
    elif len(walk.kinds) == 1:
        # A kind or a facet and its paths are one range: nothing but their own index has them in that order, whatever Postgres
        # believes.
        kind = each.argument(walk.kinds[0])
        query = (
            f"SELECT {rows.NODE_COLUMNS} FROM nodes WHERE (kind, path) > ({kind}, part.after)"
            f" AND (kind, path) < ({kind}, part.before) ORDER BY kind{down}, path{down} LIMIT {many}"
        )
    else:
        query = (
            f"SELECT {rows.NODE_COLUMNS} FROM nodes WHERE path > part.after AND path < part.before"
            f" AND kind = ANY({each.argument(list(walk.kinds))}) ORDER BY path{down} LIMIT {many}"
        )
    return each.statement_at_end(query)


def places_query(spans: Sequence[Span], limit: int) -> tuple[str, *tuple[object, ...]]:
    """The query of places, and its arguments."""
    each = Each.over(spans)
    return each.statement(_PLACES.format(limit=each.argument(limit)))


def _onward(walk: Walk, after: Place | None) -> Walk:
    """What is left of a walk in order of path after a place."""
    if after is None:
        return walk
    span = walk.span
    if walk.sort.descending:
        return replace(walk, span=Span(span.after, min(span.before, after.path)))
    return replace(walk, span=Span(max(span.after, after.path), span.before))


def _walked(walk: Walk, found: dict[Place, Node], ends: Sequence[Place]) -> Walked:
    """The nodes that all kinds have been walked through, in order."""
    descending = walk.sort.descending
    through = sorted(ends, reverse=descending)[0] if ends else None
    places = [place for place in found if through is None or not is_before(walk.sort, through, place)]
    return Walked([found[place] for place in sorted(places, reverse=descending)], through)


def _paths(paths: list[str], limit: int) -> Paths:
    return Paths(paths, paths[-1] if len(paths) == limit else END)


def _path(node: Node) -> str:
    return node.path
