"""A log into rows: events that were admitted once are folded again, many at a time, and written as an admission's are."""

from collections.abc import Sequence
from datetime import UTC, datetime

from datamodel.admission import Admission
from datamodel.errors import Invalid
from datamodel.event import Event
from datamodel.model import Model
from datamodel.ports import Head
from datamodel.postgres.statements import Writes
from datamodel.postgres.writes import row_writes
from datamodel.state import State, fold
from datamodel.upcast import restamped

BATCH_EVENTS = 1_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of a log without events."""


class Refold:
    """Takes a base and the log from there on, each event upcast, and writes it as of the present versions. The whole graph is
    held in memory."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._state = State()
        self.position = 0
        self.at = EPOCH

    def begin(self, head: Head) -> None:
        """The log goes on after a base."""
        self.position, self.at = head.position, head.at

    def base_writes(self, base: State) -> Writes:
        """What writes rows of the base, which are what is present as long as nothing else happened to them."""
        for table, found in (
            (self._state.nodes, base.nodes),
            (self._state.pools, base.pools),
            (self._state.entries, base.entries),
            (self._state.totals, base.totals),
        ):
            for key, row in found.items():
                self._state.put(table, key, row)
        return row_writes(self.model, self._state, Admission([], [], self._state.commit(), {}, {}), self.at)

    def writes(self, events: Sequence[Event], *, log: bool) -> Writes:
        """What writes the rows that these events touched, and the events themselves if `log`. Raises `Invalid` where they do
        not follow those before, or do not fit the model."""
        written = [restamped(self.model, event) for event in events]
        for event in written:
            if event.position != self.position + 1:
                raise Invalid(f"event {event.position} follows {self.position}", field="position")
            try:
                fold(self.model, self._state, event)
            except Exception as error:
                raise Invalid(
                    f"event {event.position} ({event.op} of {event.path}) does not fit: {error!r}", field="part"
                ) from error
            self.position, self.at = event.position, event.at
        admission = Admission([], written if log else [], self._state.commit(), {}, {})
        return row_writes(self.model, self._state, admission, self.at)
