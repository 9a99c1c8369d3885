"""What the graph was after each transaction, as it was seen when it happened: what readers of the past are judged by."""

from collections.abc import Mapping

from datamodel.node import Node


class Past:
    """The nodes by position. Of a database that was put back, only what it still knows happened."""

    def __init__(self) -> None:
        self._nodes: dict[int, dict[str, Node]] = {}

    def note(self, position: int, nodes: Mapping[str, Node]) -> None:
        self._nodes[position] = dict(nodes)

    def restored(self, position: int) -> None:
        """The log ends there now."""
        for later in [known for known in self._nodes if known > position]:
            del self._nodes[later]

    @property
    def positions(self) -> list[int]:
        """At which a transaction ended, in order."""
        return list(self._nodes)

    def of_kind(self, kind: str, position: int) -> dict[str, Node] | None:
        """The nodes of a kind by path; None where no transaction of the present log ended at the position."""
        nodes = self._nodes.get(position)
        return nodes if nodes is None else {path: node for path, node in nodes.items() if node.kind == kind}
