"""What the graph was after each transaction, as it was seen when it happened: what readers of the past are judged by."""

from collections.abc import Mapping
from math import inf

from datamodel.node import Node


class Past:
    """The nodes by position. Of a database that was put back, what all states that it ever had have in common, and the one that
    it was put back to: a later copy may be of a log that was lost before."""

    def __init__(self) -> None:
        self._nodes: dict[int, dict[str, Node]] = {}
        self._common = inf

    def note(self, position: int, nodes: Mapping[str, Node]) -> None:
        self._nodes[position] = dict(nodes)

    def restored(self, position: int, nodes: Mapping[str, Node]) -> None:
        """The log ends there now."""
        self._common = min(self._common, position)
        self._nodes = {known: nodes for known, nodes in self._nodes.items() if known <= self._common}
        self.note(position, nodes)

    @property
    def positions(self) -> list[int]:
        """At which a transaction ended, in order."""
        return list(self._nodes)

    def of_kind(self, kind: str, position: int) -> dict[str, Node] | None:
        """The nodes of a kind by path; None where no transaction of the present log ended at the position."""
        nodes = self._nodes.get(position)
        return nodes if nodes is None else {path: node for path, node in nodes.items() if node.kind == kind}
