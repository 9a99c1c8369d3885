"""Deletions that somebody should have finished long ago."""

from datetime import datetime, timedelta

from datamodel.node import Node
from datamodel.ports import Graph

OVERDUE_AFTER = timedelta(hours=1)
PAGE = 1_000
SHOWN = 100


async def overdue(graph: Graph, now: datetime) -> list[str]:
    """A sentence for each node whose deletion was requested more than an hour ago: its age, and the finalizers that hold it.
    Of very many only the first are named."""
    found, after, count = list[str](), "", 0
    while nodes := await graph.deleting(after=after, limit=PAGE):
        after = nodes[-1].path
        for node in nodes:
            assert node.deletion_requested_at is not None, "it is being deleted"
            age = now - node.deletion_requested_at
            count += age > OVERDUE_AFTER
            if age > OVERDUE_AFTER and count <= SHOWN:
                found.append(
                    f"{node.path}: its deletion was requested {_spoken(age)} ago, and waits for {_holders(node)}"
                )
    return [*found, f"… and {count - SHOWN} more"] if count > SHOWN else found


def _holders(node: Node) -> str:
    if not node.finalizers:
        return "nodes below it or linked to it"
    return f"its finalizer {', '.join(map(repr, node.finalizers))}"


def _spoken(age: timedelta) -> str:
    hours, minutes = age // timedelta(hours=1), age % timedelta(hours=1) // timedelta(minutes=1)
    return f"{hours} h {minutes:02} min"
