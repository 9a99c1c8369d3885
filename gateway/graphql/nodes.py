"""Nodes by their paths, as they are or as they were."""

from collections.abc import Sequence
from typing import Any

from datamodel.errors import Invalid
from datamodel.moments import position_of, read_moment
from datamodel.node import Node
from gateway.graphql.connection import check_path
from gateway.graphql.context import Context, Info
from gateway.graphql.scalars import Moment
from gateway.page import LIMIT_MAX


async def node(info: Info, path: str, as_of: Moment | None = None) -> Any:
    """The node at a path, null where there is none. What belongs to a node is that of the present, unless it is asked `asOf`
    too."""
    check_path(info.context.backend.model, path, "/path")
    (found,) = await _read(info.context, [path], as_of)
    return found


async def nodes(info: Info, paths: list[str], as_of: Moment | None = None) -> Any:
    """The nodes at these paths, in their order, and null where there is none."""
    if len(paths) > LIMIT_MAX:
        raise Invalid(f"{LIMIT_MAX} paths at most", field="/paths")
    for index, path in enumerate(paths):
        check_path(info.context.backend.model, path, f"/paths/{index}")
    return await _read(info.context, paths, as_of)


async def _read(context: Context, paths: Sequence[str], as_of: str | None) -> list[Node | None]:
    context.charge(len(paths), "nodes")
    if as_of is None:
        return await context.backend.reads.nodes(*paths)
    position = await position_of(context.reads, read_moment(as_of, "/asOf"))
    found = await context.reads.nodes_at(list(dict.fromkeys(paths)), position)
    return [found.get(path) for path in paths]
