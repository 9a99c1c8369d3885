"""Walks in other orders than that of paths: which index is walked for each."""

from collections.abc import Sequence

from datamodel.postgres import rows
from datamodel.postgres.each import Each
from datamodel.sorting import CREATED, NUMBERED, VERSION, Place
from datamodel.walk import Walk

FEW = 1_000
"""So many nodes are sorted rather than looked for along an index that has all the others, too."""

_COLUMNS = ", ".join(f"nodes.{column}" for column in rows.NODE_COLUMNS.split(", "))


def few_query(walks: Sequence[Walk], kind: str) -> tuple[str, *tuple[object, ...]]:
    """For each of these walks, how many nodes of a kind it may find, as far as they are few."""
    each = Each.of(walks)
    return each.statement(f"SELECT count(*) FROM ({_few(each, walks[0], kind)}) AS few")


def _few(each: Each, walk: Walk, kind: str) -> str:
    """The paths of one kind that a walk may find, or more than a few of them."""
    of_kind, limit = each.argument(kind), each.argument(FEW + 1)
    if walk.link:
        return (
            f"SELECT source AS path FROM links WHERE target = part.target AND name = {each.argument(walk.link)}"
            " AND source > part.after AND source < part.before"
            f" AND EXISTS (SELECT FROM nodes WHERE nodes.path = source AND nodes.kind = {of_kind})"
            f" ORDER BY target, name, source LIMIT {limit}"
        )
    if not walk.facet:
        return (
            f"SELECT path FROM nodes WHERE (kind, path) > ({of_kind}, part.after) AND (kind, path) < ({of_kind}, part.before)"
            f" ORDER BY kind, path LIMIT {limit}"
        )
    facet, values = each.argument(walk.facet), each.argument(list(walk.values))
    return (
        f"SELECT found.path FROM unnest({values}::text[]) AS listed(value) CROSS JOIN LATERAL (SELECT path FROM facets"
        f" WHERE (kind, facet, facets.value, path) > ({of_kind}, {facet}, listed.value, part.after)"
        f" AND (kind, facet, facets.value, path) < ({of_kind}, {facet}, listed.value, part.before)"
        f" ORDER BY kind, facet, facets.value, path LIMIT {limit}) AS found LIMIT {limit}"
    )


def sorted_query(
    walks: Sequence[tuple[Walk, Place]], kind: str, limit: int, *, few: bool
) -> tuple[str, *tuple[object, ...]]:
    """For each of these walks the next places in its order after one, `key` and `at`, each with the node that is there, or
    nothing of it where the walk does not find it. They are sought among all nodes of the kind, or sorted where the walk finds
    `few`."""
    walk = walks[0][0]
    each = Each.of([walk for walk, _ in walks])
    each.beyond([place for _, place in walks], "bigint" if walk.sort.name in NUMBERED else "text")
    down = " DESC" if walk.sort.descending else ""
    beyond = "<" if walk.sort.descending else ">"
    of = f"path = ANY(ARRAY({_few(each, walk, kind)}))" if few else f"kind = {each.argument(kind)}"
    many = each.argument(limit)
    if walk.sort.name in NUMBERED and not few:
        steps = _BY_CREATION if walk.sort.name == CREATED else _BY_ERA
        places = steps.format(beyond=beyond, down=down, of=of, limit=many)
    elif walk.sort.name in NUMBERED:
        key = {CREATED: "created_version", VERSION: "version"}[walk.sort.name]
        beyond_key = f"{of} AND {key} {beyond} part.key"
        places = f"SELECT {key} AS key, path FROM nodes WHERE {beyond_key} ORDER BY {key}{down} LIMIT {many}"
    else:
        places = (
            f"SELECT value AS key, path FROM facets WHERE {of} AND facet = {each.argument(walk.sort.name)}"
            f" AND (value, path) {beyond} (part.key, part.path) ORDER BY value{down}, path{down} LIMIT {many}"
        )
    found = "nodes.path = place.path AND place.path > part.after AND place.path < part.before"
    if walk.link:
        found += (
            " AND EXISTS (SELECT FROM links WHERE links.source = place.path AND links.target = part.target"
            f" AND links.name = {each.argument(walk.link)})"
        )
    if walk.facet:
        found += (
            f" AND EXISTS (SELECT FROM facets WHERE facets.path = place.path AND facets.facet = {each.argument(walk.facet)}"
            f" AND facets.value = ANY({each.argument(list(walk.values))}))"
        )
    return each.statement(
        f"SELECT place.key, place.path AS at, {_COLUMNS} FROM ({places}) AS place LEFT JOIN nodes ON {found}"
        f" ORDER BY place.key{down}, place.path{down}"
    )


_BY_CREATION = """
WITH RECURSIVE place(key, path) AS (
  (SELECT created_version, path FROM nodes WHERE {of} AND created_version {beyond} part.key
    ORDER BY created_version{down} LIMIT 1)
  UNION ALL
  SELECT later.* FROM place CROSS JOIN LATERAL (SELECT created_version, path FROM nodes
    WHERE {of} AND created_version {beyond} place.key ORDER BY created_version{down} LIMIT 1) AS later
)
SELECT key, path FROM place LIMIT {limit}
"""
"""Steps from each node to the next: a plan that was made while there were few would read all of them, and sort."""

_BY_ERA = f"""
WITH RECURSIVE eras(era) AS (
  (SELECT era FROM nodes WHERE {{of}} AND era {{beyond}}= part.key >> {rows.ERA_BITS} ORDER BY era{{down}} LIMIT 1)
  UNION ALL
  SELECT (SELECT era FROM nodes WHERE {{of}} AND era {{beyond}} eras.era ORDER BY era{{down}} LIMIT 1) FROM eras
  WHERE era IS NOT NULL
)
SELECT later.key, later.path FROM eras CROSS JOIN LATERAL (SELECT version AS key, path FROM nodes
  WHERE {{of}} AND nodes.era = eras.era AND version {{beyond}} part.key ORDER BY version{{down}} LIMIT {{limit}}) AS later
LIMIT {{limit}}
"""
"""Steps from era to era, and sorts the nodes of those that are needed."""
