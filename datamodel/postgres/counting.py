"""Counting on Postgres: how many nodes hold some terms, as one query."""

from collections.abc import Sequence

from datamodel.selectors import Requirement
from datamodel.walk import NAME_FIELD, Walk

_NEGATED = frozenset({"notin", "absent"})


def count_query(walk: Walk, terms: Sequence[Requirement]) -> tuple[str, *tuple[object, ...]]:
    """The query of `count`, and its arguments. Where the walk has a facet, its rows are counted, else the nodes."""
    arguments: list[object] = [walk.span.after, walk.span.before, list(walk.kinds)]

    def argument(value: object) -> str:
        arguments.append(value)
        return f"${len(arguments)}"

    tests = ["counted.path > $1", "counted.path < $2", "counted.kind = ANY($3)"]
    if walk.facet:
        tests += [f"counted.facet = {argument(walk.facet)}", f"counted.value = ANY({argument(list(walk.values))})"]
    for term in terms:
        if term.key == NAME_FIELD:
            sign = "<> ALL" if term.operator in _NEGATED else "= ANY"
            tests.append(f"split_part(counted.path, '/', -1) {sign}({argument(list(term.values))})")
        elif (term.key, term.operator, term.values) != (walk.facet, "in", walk.values):
            found = f"facets.path = counted.path AND facets.facet = {argument(term.key)}"
            if term.values:
                found += f" AND facets.value = ANY({argument(list(term.values))})"
            negated = "NOT " if term.operator in _NEGATED else ""
            tests.append(f"{negated}EXISTS (SELECT FROM facets WHERE {found})")
    table = "facets" if walk.facet else "nodes"
    return f"SELECT count(*) FROM {table} AS counted WHERE {' AND '.join(tests)}", *arguments
