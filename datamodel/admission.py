"""What `admit` is told beside the graph's rows, and what it decides."""

from collections.abc import Collection, Mapping

import msgspec

from datamodel.command import Outcome, Verdict
from datamodel.event import Event
from datamodel.state import Touched

Kept = list[tuple[str, str, int]]
"""Path, uid and version for each verdict of an outcome."""


class Replay(msgspec.Struct, frozen=True):
    """What an idempotency key stands for: the digest of the unit that used it first, and its outcome."""

    digest: str
    outcome: Outcome

    @classmethod
    def of(cls, digest: str, kept: Kept) -> "Replay":
        outcome = (Verdict("unchanged", path, uid, version, replayed=True) for path, uid, version in kept)
        return cls(digest, tuple(outcome))

    @property
    def kept(self) -> Kept:
        """The outcome as it is stored: units with an idempotency key are atomic, so none of its verdicts is a refusal."""
        return [(verdict.path, verdict.uid, verdict.version) for verdict in self.outcome]


class Guards(msgspec.Struct, frozen=True):
    """What the present says of what units name beside rows: tokens of held leases, marks, used idempotency keys, which of the
    uids that they ask for are taken, and the nodes that too much goes with for all of it to be here."""

    leases: Mapping[str, int] = {}
    marks: Mapping[str, int] = {}
    keys: Mapping[str, Replay] = {}
    uids: Collection[str] = frozenset()
    large: Collection[str] = frozenset()


class Admission(msgspec.Struct):
    """What `admit` decided: an outcome for each unit, the new events in order, and the rows that they touched."""

    outcomes: list[Outcome]
    events: list[Event]
    touched: Touched
    marks: dict[str, int]
    keys: dict[str, Replay]
