"""What this process wrote or read last of the log, so that those in it who follow the log read nothing twice."""

from collections import OrderedDict
from collections.abc import Sequence

from datamodel.admission import Admission
from datamodel.ports import Change
from datamodel.state import State

LIMIT_CHANGES = 20_000
LIMIT_BYTES = 32 * 1024 * 1024
"""As JSON; in memory it is a few times as much."""


class Recent:
    """The last changes by position. What is in it is committed; it is cleared when a connection broke, because the next one
    may lead to another database."""

    def __init__(self) -> None:
        self._changes = OrderedDict[int, Change]()  # a dict finds its first ever more slowly as others go
        self._bytes = 0
        self.last = 0
        """The highest position that is known of."""
        self.others_wrote = False
        """Somebody has appended, of whom nothing was read yet."""

    def put(self, changes: Sequence[Change]) -> None:
        """Adds committed changes; the oldest give way."""
        known = self._changes
        for change in changes:
            position = change.position
            if position in known:
                self._bytes -= known.pop(position).size_bytes
            known[position] = change
        self._bytes += sum([change.size_bytes for change in changes])
        if changes:
            self.last = max(self.last, changes[-1].position)
        while len(known) > LIMIT_CHANGES or self._bytes > LIMIT_BYTES:
            _, oldest = known.popitem(last=False)  # they came in order, or nearly so
            self._bytes -= oldest.size_bytes

    def at(self, position: int) -> Change | None:
        """The change at a position, where it is known."""
        return self._changes.get(position)

    def after(self, position: int, limit: int) -> list[Change]:
        """The run of known changes that begins right after a position; none where that one is not known."""
        found: list[Change] = []
        known = self._changes
        while len(found) < limit and (change := known.get(position + 1)) is not None:
            found.append(change)
            position += 1
        return found

    def suffice(self, known: Sequence[Change], limit: int) -> bool:
        """Whether a run that `after` has found is all that its asker can get, as far as is known here. One change alone is
        what a follower has already, who asks whether there is more."""
        return len(known) >= limit or (len(known) > 1 and known[-1].position >= self.last and not self.others_wrote)

    def clear(self) -> None:
        self._changes.clear()
        self._bytes = 0
        self.last = 0


def changes_of(admission: Admission, state: State, size_bytes: int) -> list[Change]:
    """What an admission changed, with the nodes as it left them; `size_bytes` is what all of it takes as JSON."""
    changes = []
    share = size_bytes // max(1, len(admission.events))
    for event in admission.events:
        node = state.nodes.get(event.path)
        if node is not None and node.uid != event.uid:
            node = None
        told = event.position, event.id, event.path, event.uid, event.kind, node, share, event.correlation
        changes.append(Change(*told))
    return changes
