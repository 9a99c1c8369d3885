"""What this process wrote or read last of the log, so that those in it who follow the log read nothing twice."""

import itertools
from collections.abc import Sequence

from datamodel.admission import Admission
from datamodel.ports import Change
from datamodel.state import State

LIMIT_CHANGES = 2_000


class Recent:
    """The last changes by position. What is in it is committed; it is cleared when a connection broke, because the next one
    may lead to another database."""

    def __init__(self) -> None:
        self._changes: dict[int, Change] = {}
        self.last = 0
        """The highest position that is known of."""

    def put(self, changes: Sequence[Change]) -> None:
        """Adds committed changes; the oldest give way."""
        if changes:
            self.last = max(self.last, changes[-1].position)
        self._changes.update((change.position, change) for change in changes[-LIMIT_CHANGES:])
        if (surplus := len(self._changes) - LIMIT_CHANGES) > 0:
            for position in [*itertools.islice(self._changes, surplus)]:  # they came in order, or nearly so
                del self._changes[position]

    def after(self, position: int, limit: int) -> list[Change]:
        """The run of known changes that begins right after a position; none where that one is not known."""
        found: list[Change] = []
        known = self._changes
        while len(found) < limit and (change := known.get(position + 1)) is not None:
            found.append(change)
            position += 1
        return found

    def clear(self) -> None:
        self._changes.clear()
        self.last = 0


def changes_of(admission: Admission, state: State) -> list[Change]:
    """What an admission changed, with the nodes as it left them."""
    changes = []
    for event in admission.events:
        node = state.nodes.get(event.path)
        if node is not None and node.uid != event.uid:
            node = None
        changes.append(Change(event.position, event.id, event.path, event.uid, event.kind, node))
    return changes
