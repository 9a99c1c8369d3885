"""What `admit` is told beside the graph's rows, and what it decides."""

from collections.abc import Collection, Mapping

import msgspec

from datamodel.command import Outcome
from datamodel.event import Event
from datamodel.state import Touched


class Replay(msgspec.Struct, frozen=True):
    """What an idempotency key stands for: the digest of the unit that used it first, and its outcome."""

    digest: str
    outcome: Outcome


class Guards(msgspec.Struct, frozen=True):
    """What the present says of what units name beside rows: tokens of held leases, marks, used idempotency keys, and which
    of the uids that they ask for are taken."""

    leases: Mapping[str, int] = {}
    marks: Mapping[str, int] = {}
    keys: Mapping[str, Replay] = {}
    uids: Collection[str] = frozenset()


class Admission(msgspec.Struct):
    """What `admit` decided: an outcome for each unit, the new events in order, and the rows that they touched."""

    outcomes: list[Outcome]
    events: list[Event]
    touched: Touched
    marks: dict[str, int]
    keys: dict[str, Replay]
