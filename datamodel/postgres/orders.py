"""Walks in other orders than that of paths: which index is walked for each."""

from datamodel.postgres import rows
from datamodel.sorting import CREATED, NUMBERED, VERSION, Place
from datamodel.walk import Walk

FEW = 1_000
"""So many nodes are sorted rather than looked for along an index that has all the others, too."""

_COLUMNS = ", ".join(f"nodes.{column}" for column in rows.NODE_COLUMNS.split(", "))


def few_query(walk: Walk, kind: str) -> tuple[str, *tuple[object, ...]]:
    """The paths of one kind that a walk may find, or more than a few of them."""
    after, before = walk.span.after, walk.span.before
    if not walk.facet:
        query = "SELECT path FROM nodes WHERE (kind, path) > ($4, $1) AND (kind, path) < ($4, $2) ORDER BY kind, path LIMIT $3"
        return query, after, before, FEW + 1, kind
    query = (
        "SELECT found.path FROM unnest($6::text[]) AS listed(value) CROSS JOIN LATERAL (SELECT path FROM facets"
        " WHERE (kind, facet, facets.value, path) > ($4, $5, listed.value, $1)"
        " AND (kind, facet, facets.value, path) < ($4, $5, listed.value, $2)"
        " ORDER BY kind, facet, facets.value, path LIMIT $3) AS found LIMIT $3"
    )
    return query, after, before, FEW + 1, kind, walk.facet, list(walk.values)


def sorted_query(walk: Walk, among: str | list[str], after: Place, limit: int) -> tuple[str, *tuple[object, ...]]:
    """The next places in a walk's order, `key` and `at`, among the nodes of a kind or some paths, each with the node that is
    there, or nothing of it where the walk does not find it."""
    arguments: list[object] = [walk.span.after, walk.span.before, limit, among, after.key]

    def argument(value: object) -> str:
        arguments.append(value)
        return f"${len(arguments)}"

    down = " DESC" if walk.sort.descending else ""
    beyond = "<" if walk.sort.descending else ">"
    of = "kind = $4" if isinstance(among, str) else "path = ANY($4)"
    if walk.sort.name in NUMBERED and isinstance(among, str):
        places = (_BY_CREATION if walk.sort.name == CREATED else _BY_ERA).format(beyond=beyond, down=down)
    elif walk.sort.name in NUMBERED:
        key = {CREATED: "created_version", VERSION: "version"}[walk.sort.name]
        places = f"SELECT {key} AS key, path FROM nodes WHERE {of} AND {key} {beyond} $5 ORDER BY {key}{down} LIMIT $3"
    else:
        places = (
            f"SELECT value AS key, path FROM facets WHERE {of} AND facet = {argument(walk.sort.name)}"
            f" AND (value, path) {beyond} ($5, {argument(after.path)}) ORDER BY value{down}, path{down} LIMIT $3"
        )
    found = "nodes.path = place.path AND place.path > $1 AND place.path < $2"
    if walk.facet:
        found += (
            f" AND EXISTS (SELECT FROM facets WHERE facets.path = place.path AND facets.facet = {argument(walk.facet)}"
            f" AND facets.value = ANY({argument(list(walk.values))}))"
        )
    query = (
        f"SELECT place.key, place.path AS at, {_COLUMNS} FROM ({places}) AS place LEFT JOIN nodes ON {found}"
        f" ORDER BY place.key{down}, place.path{down}"
    )
    return query, *arguments


_BY_CREATION = """
WITH RECURSIVE place(key, path) AS (
  (SELECT created_version, path FROM nodes WHERE kind = $4 AND created_version {beyond} $5
    ORDER BY created_version{down} LIMIT 1)
  UNION ALL
  SELECT later.* FROM place CROSS JOIN LATERAL (SELECT created_version, path FROM nodes
    WHERE kind = $4 AND created_version {beyond} place.key ORDER BY created_version{down} LIMIT 1) AS later
)
SELECT key, path FROM place LIMIT $3
"""
"""Steps from each node to the next: a plan that was made while there were few would read all of them, and sort."""

_BY_ERA = f"""
WITH RECURSIVE eras(era) AS (
  (SELECT era FROM nodes WHERE kind = $4 AND era {{beyond}}= $5::bigint >> {rows.ERA_BITS} ORDER BY era{{down}} LIMIT 1)
  UNION ALL
  SELECT (SELECT era FROM nodes WHERE kind = $4 AND era {{beyond}} eras.era ORDER BY era{{down}} LIMIT 1) FROM eras
  WHERE era IS NOT NULL
)
SELECT later.key, later.path FROM eras CROSS JOIN LATERAL (SELECT version AS key, path FROM nodes
  WHERE kind = $4 AND nodes.era = eras.era AND version {{beyond}} $5 ORDER BY version{{down}} LIMIT $3) AS later LIMIT $3
"""
"""Steps from era to era, and sorts the nodes of those that are needed."""
