"""The causes of keys: what each key that waits was woken by, for the record of what its reconciliation writes."""

from datamodel.cause import REQUEUE, RESYNC, Cause, event_cause
from datamodel.ports import Change

_Event = tuple[int, str]
"""Its position and correlation: it is known of every wake, and made a cause of few."""


class Causes:
    """One cause a key at most, so there are no more than there are keys that wait. The newest event is kept; what is no event
    gives way to one."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Event | Cause] = {}

    def put(self, key: str, change: Change) -> None:
        """An event wakes a key."""
        self._waiting[key] = change.position, change.correlation

    def put_other(self, key: str, text: str) -> None:
        """Something else wakes a key."""
        if key not in self._waiting:
            self._waiting[key] = Cause(text)

    def take(self, key: str) -> Cause:
        """The cause of a key that is worked on now."""
        found = self._waiting.pop(key, None)
        if isinstance(found, Cause):
            return found
        return Cause(event_cause(found[0]), found[1]) if found is not None else Cause(REQUEUE)

    def put_back(self, key: str, cause: Cause) -> None:
        """What a key was worked on for is to be done yet, unless something newer woke it."""
        self._waiting.setdefault(key, cause)

    def restart(self) -> None:
        """The log may be another one now, of whose events nobody has heard: what waits is looked at because everything is."""
        self._waiting = {key: Cause(RESYNC) for key in self._waiting}

    def __len__(self) -> int:
        return len(self._waiting)
