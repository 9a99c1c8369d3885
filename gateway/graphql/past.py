"""What the log tells of nodes: their events, and what differs between two moments, as REST tells it."""

from typing import Annotated, Any

import strawberry
from strawberry.types.field import StrawberryField

from datamodel.moments import read_moment
from datamodel.node import Node
from gateway.graphql.connection import FIRST_DEFAULT, check_path, naming_arguments
from gateway.graphql.context import Info
from gateway.graphql.node import NodeInterface
from gateway.graphql.objects import resolved
from gateway.graphql.scalars import JSON, DateTime, Long, Moment
from gateway.page import checked_limit
from gateway.past import Changed, Past, difference_of, history_of

From = Annotated[Moment, strawberry.argument(name="from")]


@strawberry.type(description="One change of one node: `part` is what it changed, as it was afterwards.")
class NodeEvent:
    position: Long
    id: str
    at: DateTime
    op: str
    path: str
    uid: str
    kind: str
    part: JSON
    actor: str
    cause: str
    correlation: str


@strawberry.type(description="Events of all nodes that have lived at a path.")
class NodeHistory:
    events: list[NodeEvent]
    cursor: str | None = strawberry.field(description="Where the next page begins, null at the end.")
    kept_from: Long = strawberry.field(description="Above 0: there may have been events before it that are not kept.")


@strawberry.type(description="What is different at a path.")
class NodeDifference:
    path: str
    change: str = strawberry.field(
        resolver=lambda root: root.kind, description="`created`, `deleted`, `changed`, or `replaced` by another node."
    )
    before: NodeInterface | None
    after: NodeInterface | None


@strawberry.type(description="What is different at the position `to` from what was so at `from`, in order of path.")
class NodeDifferences:
    found: list[NodeDifference]
    cursor: str | None = strawberry.field(description="Where the next page begins, null at the end.")
    first: Long = strawberry.field(name="from")
    second: Long = strawberry.field(name="to")


def past_fields(*, of_node: bool) -> list[StrawberryField]:
    """`history` and `diff`: of a node, or else of a path, at which there need not be a node any more."""
    history: Any = _history_of_node if of_node else _history
    diff: Any = _diff_of_node if of_node else _diff
    return [
        resolved("history", NodeHistory, history, "The events, the newest first unless `oldestFirst`."),
        resolved(
            "diff", NodeDifferences, diff, "What is different; with `below`, everywhere below too. `to` is now, else."
        ),
    ]


async def _history(
    info: Info, path: str, first: int = FIRST_DEFAULT, after: str | None = None, *, oldest_first: bool = False
) -> Past:
    backend, limit = info.context.backend, checked_limit(first, "/first")
    check_path(backend.model, path, "/path")
    info.context.charge(limit, "history")
    await info.context.together()
    reads = info.context.reads
    with naming_arguments("/path"):
        return await history_of(
            backend, path, limit=limit, cursor=after, oldest_first=oldest_first, field="/after", reads=reads
        )


async def _history_of_node(
    root: Node, info: Info, first: int = FIRST_DEFAULT, after: str | None = None, *, oldest_first: bool = False
) -> Past:
    return await _history(info, root.path, first, after, oldest_first=oldest_first)


async def _diff(
    info: Info,
    path: str,
    begin: From,
    to: Moment | None = None,
    *,
    below: bool = False,
    first: int = FIRST_DEFAULT,
    after: str | None = None,
) -> Changed:
    backend, limit = info.context.backend, checked_limit(first, "/first")
    check_path(backend.model, path, "/path")
    info.context.charge(limit if below else 1, "diff")
    await info.context.together()
    reads, moments = (
        info.context.reads,
        (read_moment(begin, "/from"), read_moment(to, "/to") if to is not None else None),
    )
    with naming_arguments("/path"):
        return await difference_of(
            backend, path, moments, below=below, limit=limit, cursor=after, field="/after", reads=reads
        )


async def _diff_of_node(
    root: Node,
    info: Info,
    begin: From,
    to: Moment | None = None,
    *,
    below: bool = False,
    first: int = FIRST_DEFAULT,
    after: str | None = None,
) -> Changed:
    return await _diff(info, root.path, begin, to, below=below, first=first, after=after)
