"""A decision whose events stand further on in the log than it was decided for, because others had written before it."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import structs

from datamodel.admission import Admission
from datamodel.command import Outcome, Verdict
from datamodel.event import Event
from datamodel.node import Node
from datamodel.ports import Change


def displaced(
    admission: Admission, changes: Sequence[Change], decided: int, written: int, at: datetime
) -> tuple[Admission, list[Change]]:
    """The same admission and changes where what was decided after one position was written after another, at a time of its
    own. What nothing was written of stays as it was before."""
    return _Displacement(decided, written - decided, at).of(admission, changes)


class _Displacement:
    """One call. A node that is told of twice stays one."""

    def __init__(self, decided: int, by: int, at: datetime) -> None:
        self._decided, self._by, self._at = decided, by, at
        self._nodes: dict[int, Node] = {}

    def of(self, admission: Admission, changes: Sequence[Change]) -> tuple[Admission, list[Change]]:
        moved = structs.replace(
            admission,
            outcomes=[self._outcome(outcome) for outcome in admission.outcomes],
            events=[self._event(event) for event in admission.events],
        )
        return moved, [self._change(change) for change in changes]

    def _outcome(self, outcome: Outcome) -> Outcome:
        return tuple(
            self._verdict(verdict) if verdict.version > self._decided else verdict  # else it is older, or refused
            for verdict in outcome
        )

    def _verdict(self, verdict: Verdict) -> Verdict:
        node = self._node(verdict.node) if verdict.node is not None else None
        return structs.replace(verdict, version=verdict.version + self._by, node=node)

    def _event(self, event: Event) -> Event:
        return structs.replace(event, position=event.position + self._by, at=self._at)

    def _change(self, change: Change) -> Change:
        node = self._node(change.node) if change.node is not None else None
        return structs.replace(change, position=change.position + self._by, node=node)

    def _node(self, node: Node) -> Node:
        known = self._nodes.get(id(node))
        if known is None:
            known = self._nodes[id(node)] = self._moved(node)
        return known

    def _moved(self, node: Node) -> Node:
        version = node.version + self._by
        if node.created_version <= self._decided:
            return structs.replace(node, version=version)
        created = node.created_version + self._by
        return structs.replace(node, version=version, created_version=created, created_at=self._at)
