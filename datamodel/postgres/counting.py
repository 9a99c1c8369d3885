"""Counting on Postgres: how many nodes hold some terms, as one query."""

from collections.abc import Sequence

from datamodel.postgres.each import Each
from datamodel.selectors import Requirement
from datamodel.walk import NAME_FIELD, Walk

_NEGATED = frozenset({"notin", "absent"})


def count_query(walks: Sequence[Walk], terms: Sequence[Requirement]) -> tuple[str, *tuple[object, ...]]:
    """The query of `count` for each of these walks, and its arguments. Where a walk has a facet, its rows are counted, or those
    of its link, else the nodes."""
    walk = walks[0]
    each = Each.of(walks)
    path = "source" if walk.link else "path"
    tests = [f"counted.{path} > part.after", f"counted.{path} < part.before"]
    if walk.link:
        kinds = each.argument(list(walk.kinds))
        tests += [
            f"counted.target = part.target AND counted.name = {each.argument(walk.link)}",
            f"EXISTS (SELECT FROM nodes WHERE nodes.path = counted.source AND nodes.kind = ANY({kinds}))",
        ]
    else:
        tests.append(f"counted.kind = ANY({each.argument(list(walk.kinds))})")
    if walk.facet:
        facet, values = each.argument(walk.facet), each.argument(list(walk.values))
        tests.append(f"counted.facet = {facet} AND counted.value = ANY({values})")
    for term in terms:
        if term.key == NAME_FIELD:
            sign = "<> ALL" if term.operator in _NEGATED else "= ANY"
            tests.append(f"split_part(counted.{path}, '/', -1) {sign}({each.argument(list(term.values))})")
        elif (term.key, term.operator, term.values) != (walk.facet, "in", walk.values):
            found = f"facets.path = counted.{path} AND facets.facet = {each.argument(term.key)}"
            if term.values:
                found += f" AND facets.value = ANY({each.argument(list(term.values))})"
            negated = "NOT " if term.operator in _NEGATED else ""
            tests.append(f"{negated}EXISTS (SELECT FROM facets WHERE {found})")
    table = "links" if walk.link else "facets" if walk.facet else "nodes"
    return each.statement(f"SELECT count(*) FROM {table} AS counted WHERE {' AND '.join(tests)}")
