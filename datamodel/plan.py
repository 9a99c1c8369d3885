"""Plans: a query that was checked, as a walk of the store and what is left to be judged of each node."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from datamodel.errors import Invalid
from datamodel.facets import LABEL, facets_of, selectable_fields
from datamodel.kinds import Kind
from datamodel.model import Model
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.selectors import EVERYTHING, Requirement, Selector
from datamodel.sorting import BY_PATH, Place, Sort, check_sort, place_of
from datamodel.walk import NAME_FIELD, Span, Walk

LIMIT_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Query:
    """Nodes of a kind (empty: of any) below a path (empty: anywhere), at most `depth` nodes below it (None: at any depth), that
    fit both selectors and are in one of `phases`, where there are any (a missing phase is an empty one), in the order of
    `sort`. `limit` is a page's. Fields are found by an index, while of phases every node is looked at."""

    kind: str = ""
    under: str = ""
    depth: int | None = None
    labels: Selector = EVERYTHING
    fields: Selector = EVERYTHING
    phases: tuple[str, ...] = ()
    sort: Sort = BY_PATH
    limit: int = 100
    link: str = ""
    """With it, only nodes of which this link leads to the uid `target`."""
    target: str = ""


class Plan:
    """A query that was checked. Raises `Invalid`."""

    def __init__(self, model: Model, query: Query) -> None:
        if not 1 <= query.limit <= LIMIT_MAX:
            raise Invalid(f"a page has 1 to {LIMIT_MAX} nodes", field="/limit")
        self.model = model
        self.kinds = _kinds(model, query)
        check_sort(query.sort, model.kinds[query.kind] if query.kind else None)
        self.sort = query.sort
        self.labels = query.labels
        self.phases = query.phases
        self.fields = Selector(tuple(_read(model, query, term) for term in query.fields.requirements))
        self.link, self.target = query.link, query.target
        usable = () if query.link else self.terms()
        driver = next((term for term in usable if term.operator == "in" and term.key != NAME_FIELD), None)
        self.walk = Walk(
            tuple(sorted(self.kinds)),
            _span(model, query, self.kinds),
            driver.key if driver is not None else "",
            driver.values if driver is not None else (),
            query.sort,
            query.link,
            query.target,
        )
        self.finds_all = not self.phases and all(term == driver for term in self.terms())
        """Whether every node of the walk fits, as it is now."""

    def terms(self) -> Iterator[Requirement]:
        """All that must hold of a node beyond its place and kind, as a store finds it."""
        yield from self.fields.requirements
        for term in self.labels.requirements:
            yield replace(term, key=LABEL + term.key)

    @property
    def selects(self) -> bool:
        """Whether a node that is found may not be found once it has changed, where it is."""
        return bool(self.labels.requirements or self.fields.requirements or self.phases or self.link)

    def may_find(self, path: str) -> bool:
        """Whether nodes at a path are of a kind that the query finds."""
        return self.model.locate(path)[0].__name__ in self.kinds

    def place(self, node: Node) -> Place:
        """Where a node that fits comes."""
        return place_of(self.sort, self.kinds[node.kind], node)

    def fits(self, node: Node) -> bool:
        """Whether the query finds a node."""
        kind = self.kinds.get(node.kind)
        if kind is None or not self.walk.span.holds(node.path) or not self.labels.matches(node.labels):
            return False
        if self.phases and node.phase not in self.phases:
            return False
        if self.link and self.target not in node.links.get(self.link, ()):
            return False
        if not self.fields.requirements:
            return True
        values = facets_of(kind, {}, node.spec, node.status)
        return self.fields.matches({**values, NAME_FIELD: last_name(node.path)})


def _kinds(model: Model, query: Query) -> dict[str, type[Kind]]:
    """The kinds that a query may find, by name."""
    if query.kind and query.kind not in model.kinds:
        raise Invalid(f"{query.kind[:80]!r} is no kind", field="/kind")
    if query.fields.requirements and not query.kind:
        raise Invalid("fields are those of one kind, which is not named", field="/kind")
    if query.link and query.link not in (model.kinds[query.kind].links if query.kind else ()):
        raise Invalid(f"{query.kind or 'not every kind'} has no link {query.link[:80]!r}", field="/link")
    if query.depth is not None and query.depth < 1:
        raise Invalid("a depth is at least 1", field="/depth")
    root = model.locate(query.under)[0] if query.under else None
    kinds = {}
    for name, kind in model.kinds.items():
        levels = _levels(kind, root)
        if levels is not None and (query.depth is None or levels <= query.depth) and query.kind in ("", name):
            kinds[name] = kind
    return kinds


def _levels(kind: type[Kind], root: type[Kind] | None) -> int | None:
    """How many nodes below nodes of `root` (None: above everything) those of a kind live; None where they do not."""
    levels = 1
    while kind.parent is not root:
        if kind.parent is None:
            return None
        kind, levels = kind.parent, levels + 1
    return levels


def _span(model: Model, query: Query, kinds: dict[str, type[Kind]]) -> Span:
    """The paths among which all nodes of the query are."""
    if query.under:
        return Span.below(query.under)
    if len(kinds) == 1:
        (kind,) = kinds.values()
        begin = model.collection(kind).partition("{}")[0]
        return Span.below(begin[:-1]) if begin.endswith("/") else Span.at(begin)
    return Span()


def _read(model: Model, query: Query, term: Requirement) -> Requirement:
    """A requirement on a field, with the values as they are stored."""
    if term.key == NAME_FIELD:
        return term
    field = selectable_fields(model.kinds[query.kind]).get(term.key)
    if field is None:
        raise Invalid(f"{query.kind} declares no selectable {term.key[:80]!r}", field="/fieldSelector")
    return replace(term, values=tuple(field.read(value) for value in term.values))
