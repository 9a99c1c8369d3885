"""Queries: which nodes are asked for, and pages of them that all show one position of the log.

A page is the present rows that are not newer than the position, with the images at the position of those that have changed or
gone since. So nothing is held open between two pages: the cursor is the position and the last path that was looked at.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec

from datamodel.errors import Gone, Invalid
from datamodel.facets import LABEL, facets_of, selectable_fields
from datamodel.kinds import Kind
from datamodel.model import Model
from datamodel.moments import Moment, position_of
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.selectors import EVERYTHING, Requirement, Selector
from datamodel.walk import END, Span, Walk

LIMIT_MAX = 1_000
CURSOR_LIMIT = 2_048
NAME_FIELD = "metadata.name"

ROUND_NODES = 200
ROUNDS = 10
"""A page looks at so many nodes (or at its limit, and one more) so many times at most, and is shorter than its limit if they do
not suffice."""
RECENT = 10_000
"""Changes since a page's position that are sought among all changes; beyond, they are sought among all paths."""

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Query:
    """Nodes of a kind (empty: of any) below a path (empty: anywhere), at most `depth` nodes below it (None: at any depth), that
    fit both selectors. `limit` is a page's. Pages are in order of path."""

    kind: str = ""
    under: str = ""
    depth: int | None = None
    labels: Selector = EVERYTHING
    fields: Selector = EVERYTHING
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Nodes as they were at a position, and where the next page begins (empty at the end). A page with few nodes or none may
    still have another one after it."""

    nodes: list[Node]
    cursor: str
    position: int


class _Cursor(msgspec.Struct, array_like=True):
    version: int
    position: int
    after: str
    query: str


async def page(
    store: Store, query: Query, *, cursor: str = "", as_of: Moment | None = None, recent: int = RECENT
) -> Page:
    """The first page, of the present or as of a moment; or with a cursor the one that follows, of the same position. Raises
    `Invalid`, and `Gone` where the position is not kept any more."""
    plan = Plan(store.model, query)
    after = ""
    if cursor:
        position, after = await _resumed(store, query, cursor)
    else:
        position = (await store.head()).position if as_of is None else await position_of(store, as_of)
    look = max(ROUND_NODES, query.limit + 1)
    found: list[Node] = []
    for _ in range(ROUNDS):
        try:
            nodes, after = await _round(store, plan, position, after, look, recent)
        except Gone as error:
            raise await _gone(store, query, position, after, error.oldest) from error
        found += nodes
        if len(found) >= query.limit or after == END:
            break
    if len(found) > query.limit:
        found = found[: query.limit]
        after = found[-1].path
    return Page(found, "" if after == END else _written(query, position, after), position)


async def count(store: Store, query: Query, *, as_of: Moment | None = None) -> int:
    """How many nodes a query finds at one position. It reads all of them."""
    query = replace(query, limit=LIMIT_MAX)
    found = await page(store, query, as_of=as_of)
    total = len(found.nodes)
    while found.cursor:
        found = await page(store, query, cursor=found.cursor)
        total += len(found.nodes)
    return total


class Plan:
    """A query that was checked, as a walk and what is left to be judged of each node. Raises `Invalid`."""

    def __init__(self, model: Model, query: Query) -> None:
        if not 1 <= query.limit <= LIMIT_MAX:
            raise Invalid(f"a page has 1 to {LIMIT_MAX} nodes", field="/limit")
        self.model = model
        self.kinds = _kinds(model, query)
        self.labels = query.labels
        self.fields = Selector(tuple(_read(model, query, term) for term in query.fields.requirements))
        driver = next((term for term in self._terms() if term.operator == "in"), None)
        self.walk = Walk(
            tuple(sorted(self.kinds)),
            _span(model, query, self.kinds),
            driver.key if driver is not None else "",
            driver.values if driver is not None else (),
        )

    def _terms(self) -> Iterable[Requirement]:
        """What an index can be walked by."""
        for term in self.fields.requirements:
            if term.key != NAME_FIELD:
                yield term
        for term in self.labels.requirements:
            yield replace(term, key=LABEL + term.key)

    def fits(self, node: Node) -> bool:
        """Whether the query finds a node."""
        kind = self.kinds.get(node.kind)
        if kind is None or not self.walk.span.holds(node.path) or not self.labels.matches(node.labels):
            return False
        if not self.fields.requirements:
            return True
        values = facets_of(kind, {}, node.spec, node.status)
        return self.fields.matches({**values, NAME_FIELD: last_name(node.path)})


async def _round(store: Store, plan: Plan, position: int, after: str, look: int, recent: int) -> tuple[list[Node], str]:
    """Nodes above a path that fit, up to another path, and that one. The present is read first: what changes after that
    is among the changes."""
    present = await store.walk(plan.walk, after, look)
    through = present.through
    nodes = {node.path: node for node in present.nodes if node.version <= position}
    end = (await store.head()).position
    if end > position:
        window = plan.walk.span.between(after, through)
        if end - position <= recent:
            changed = await store.changed(window, position, end, look)
        else:
            changed = await store.places(window, look)
        if changed.through != END:
            through = min(through, changed.through)
        kinds = plan.kinds
        others = [path for path in changed.paths if path not in nodes and plan.model.locate(path)[0].__name__ in kinds]
        nodes |= await store.nodes_at(others, position)
    fitting = [nodes[path] for path in sorted(nodes) if path <= through and plan.fits(nodes[path])]
    return fitting, through


def _kinds(model: Model, query: Query) -> dict[str, type[Kind]]:
    """The kinds that a query may find, by name."""
    if query.kind and query.kind not in model.kinds:
        raise Invalid(f"{query.kind[:80]!r} is no kind", field="/kind")
    if query.fields.requirements and not query.kind:
        raise Invalid("fields are those of one kind, which is not named", field="/kind")
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


def _written(query: Query, position: int, after: str) -> str:
    cursor = _Cursor(_VERSION, position, after, _digest(query))
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


async def _resumed(store: Store, query: Query, text: str) -> tuple[int, str]:
    """The position and path of a cursor. Of one that is too old, `Gone` has the cursor that goes on in the present."""
    cursor = _decoded(text)
    if cursor.query != _digest(query):
        raise Invalid("this cursor belongs to another query", field="/cursor")
    oldest = await store.oldest()
    if cursor.position < oldest:
        raise await _gone(store, query, cursor.position, cursor.after, oldest)
    return await position_of(store, cursor.position, "/cursor"), cursor.after


async def _gone(store: Store, query: Query, position: int, after: str, oldest: int) -> Gone:
    """What to raise for a page of a position that is not kept any more."""
    onward = _written(query, (await store.head()).position, after)
    message = f"this list was of position {position}, and the graph is kept from {oldest} on"
    return Gone(message, oldest=oldest, field="/cursor", cursor=onward)


def _decoded(text: str) -> _Cursor:
    try:
        if len(text) > CURSOR_LIMIT:
            raise Invalid("this is no cursor", field="/cursor")
        encoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = msgspec.json.decode(encoded, type=_Cursor)
        if cursor.position < 0 or "\x00" in cursor.after:
            raise Invalid("this is no cursor", field="/cursor")
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise Invalid("this is no cursor", field="/cursor") from error
    if cursor.version != _VERSION:
        raise Invalid(f"this cursor is of version {cursor.version}, not {_VERSION}: list again", field="/cursor")
    return cursor


def _digest(query: Query) -> str:
    """Of what must be the same for all pages of a list; the limit need not be."""
    told = repr(replace(query, limit=0))
    return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()
