"""Connections: pages of nodes in the form that GraphQL clients know, put together as lists of REST are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from inspect import Parameter, Signature
from typing import Any, NamedTuple

import strawberry

from datamodel.errors import Gone, Invalid, NotFound
from datamodel.kinds import Kind
from datamodel.model import Model
from datamodel.moments import Moment, read_moment
from datamodel.node import Node
from datamodel.plan import Query
from datamodel.query import Page, count, cursor_after, page
from gateway.graphql.context import COUNT_CHARGE, NODES_LIMIT, Context, Info
from gateway.graphql.objects import derived, listed, object_type, plain, resolved
from gateway.graphql.scalars import Moment as MomentType
from gateway.graphql.selection import Selection
from gateway.page import has_phase

FIRST_DEFAULT = 20
Narrow = Callable[[Query, Any], Query]
"""Makes of a query that of what belongs to a source."""

_ARGUMENTS = {"/cursor": "/after", "/sort": "/orderBy", "/limit": "/first"}
"""What a query's parts are called here."""


@strawberry.type(description="Where a page ends.")
class PageInfo:
    has_next_page: bool
    end_cursor: str | None


class Edge(NamedTuple):
    """A node on its page."""

    node: Node
    found: "Found"


class Found:
    """A page of what was asked for."""

    def __init__(self, model: Model, query: Query, as_of: Moment | None, page: Page) -> None:
        self.query, self.page = query, page
        self.as_of = page.position if as_of is not None else None
        self._model = model
        self.edges = [Edge(node, self) for node in page.nodes]

    def cursor_after(self, node: Node) -> str:
        return cursor_after(self._model, self.query, self.page.bookmark, node)


def connection_type(kind: type[Kind], node_type: Any) -> Any:
    """The connection of a kind. Its source is what was `Found`."""
    name = kind.__name__
    edge = object_type(
        f"{name}Edge",
        [
            plain("node", node_type),
            derived("cursor", str, _cursor, "A page that begins `after` it goes on behind the node."),
        ],
        f"One {name} of a page.",
    )
    fields = [
        plain("edges", listed(edge)),
        derived("pageInfo", PageInfo, _page_info),
        resolved("totalCount", int, _total_count, _total_count.__doc__),
    ]
    return object_type(
        f"{name}Connection", fields, f"A page of {name} nodes. All pages of a list show one position of the log."
    )


def connection(kind: type[Kind], selection: Selection, of: Narrow, *, under: bool = False) -> Any:
    """The resolver of a connection of nodes of a kind; with `under`, it takes the path below which they are."""
    types: dict[str, Any] = {"after": str, "where": selection.where, "order_by": selection.order, "as_of": MomentType}
    if has_phase(kind):
        types["phase"] = str
    if under:
        types["under"] = str

    async def resolver(root: Any, info: Info, **given: Any) -> Found:
        first, above = given.get("first", FIRST_DEFAULT), given.get("under")
        query = of(selection.query(first, given.get("where"), given.get("order_by"), given.get("phase")), root)
        if above is not None:
            check_path(info.context.backend.model, above, "/under")
            query = replace(query, under=above)
        found = await _load(info.context, query, given.get("after"), given.get("as_of"))
        if above is not None and not found.edges:
            with naming_arguments("/under"):
                await info.context.backend.node_at(above, found.page.position)
        return found

    resolver.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter("root", Parameter.POSITIONAL_OR_KEYWORD, annotation=Any),
            Parameter("info", Parameter.POSITIONAL_OR_KEYWORD, annotation=Info),
            Parameter("first", Parameter.KEYWORD_ONLY, default=FIRST_DEFAULT, annotation=int),
            *(
                Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=type_ | None)
                for name, type_ in types.items()
            ),
        ]
    )
    return resolver


def check_path(model: Model, path: str, field: str) -> None:
    """Raises `Invalid` naming an argument that is no path of a node."""
    try:
        model.locate(path)
    except Invalid as error:
        raise Invalid(error.message, field=field) from error


async def _load(context: Context, query: Query, after: str | None, as_of: str | None) -> Found:
    """The page. Raises `Invalid` and `Gone` naming the argument."""
    context.charge(query.limit, "pages")
    await context.together()
    moment = read_moment(as_of, "/asOf") if as_of is not None else None
    with naming_arguments("/under"):
        found = await page(context.reads, query, cursor=after or "", as_of=moment)
    return Found(context.backend.model, query, moment, found)


@contextmanager
def naming_arguments(path: str) -> Iterator[None]:
    """Makes the errors of a query name the arguments that it was made of. What is not there is what `path` names."""
    try:
        yield
    except Gone as error:
        field = _ARGUMENTS.get(error.field, error.field)
        raise Gone(error.message, oldest=error.oldest, field=field, cursor=error.cursor) from error
    except Invalid as error:
        raise Invalid(error.message, field=_ARGUMENTS.get(error.field, error.field)) from error
    except NotFound as error:
        raise NotFound(error.message, field=path) from error


def _cursor(root: Edge) -> str:
    return root.found.cursor_after(root.node)


def _page_info(root: Found) -> Any:
    end = root.page.cursor or (root.cursor_after(root.page.nodes[-1]) if root.page.nodes else None)
    return PageInfo(has_next_page=bool(root.page.cursor), end_cursor=end)


async def _total_count(root: Found, info: Info) -> int:
    """How many nodes there are on all pages: now, or with `asOf` then. It is counted only where it is asked for; of the past,
    20,000 at most."""
    info.context.charge(COUNT_CHARGE, "totalCount")
    await info.context.together()
    query = replace(root.query, limit=1)
    return await count(info.context.reads, query, as_of=root.as_of, most=NODES_LIMIT)
