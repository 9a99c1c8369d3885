"""Connections: pages of nodes in the form that GraphQL clients know."""

from typing import Any

import strawberry

from datamodel.kinds import Kind
from datamodel.node import Node
from gateway.graphql.objects import listed, object_type, plain, resolved
from gateway.page import Found, Page, after_cursor, checked_limit, cursor_of, stored_phases

FIRST_DEFAULT = 20


@strawberry.type(description="Where a page ends.")
class PageInfo:
    has_next_page: bool
    end_cursor: str | None


def connection_type(kind: type[Kind], node_type: Any) -> Any:
    """The connection of a kind. Its source is what was `Found`, the source of an edge is the node."""
    name = kind.__name__
    edge = object_type(
        f"{name}Edge",
        [resolved("node", node_type, _itself), resolved("cursor", str, _cursor)],
        f"One {name} of a page.",
    )
    fields = [plain("edges", listed(edge), source="nodes"), resolved("pageInfo", PageInfo, _page_info)]
    return object_type(f"{name}Connection", fields, f"A page of {name} nodes in order of path.")


def page_of(kind: type[Kind], first: int, after: str | None, phase: str | None) -> Page:
    """The page that arguments ask for. Raises `Invalid` naming the argument."""
    return Page(
        limit=checked_limit(first, "/first"),
        after=after_cursor(after, "/after") if after else "",
        phases=stored_phases(kind, phase, "/phase") if phase else (),
    )


def _itself(root: Node) -> Any:
    return root


def _cursor(root: Node) -> str:
    return cursor_of(root.path)


def _page_info(root: Found) -> Any:
    end = cursor_of(root.nodes[-1].path) if root.nodes else None
    return PageInfo(has_next_page=root.more, end_cursor=end)
