"""What the log says of why: that each event has a cause, that causes come before, and that a request's work belongs to it."""

from collections.abc import Iterator

from datamodel.cause import SEED, causing_position, is_known
from datamodel.event import Event
from datamodel.names import is_within
from datamodel.state import State

_JOBS = "/config/job-groups"
_ATTEMPTS = "/attempts/"


class Causes:
    """Looks at every event as it is appended. A database that was put back has lost events that others still act on."""

    def __init__(self) -> None:
        self._newest = self._lost_through = 0

    def restored(self) -> None:
        """The database was put back."""
        self._lost_through = max(self._lost_through, self._newest)

    def wrong(self, event: Event, state: State) -> Iterator[str]:
        """A sentence for each thing that does not hold. `state` is as the event's transaction left it."""
        self._newest = max(self._newest, event.position)
        name = f"{event.op} of {event.path} at {event.position}"
        if not is_known(event.cause):
            yield f"{name} has the cause {event.cause!r}"
        position = causing_position(event.cause)
        if position is not None and position >= event.position and position > self._lost_through:
            yield f"{name} was caused by what comes later, {event.cause}"
        is_attempt = _ATTEMPTS in event.path
        if not event.correlation and event.cause != SEED and (is_attempt or is_within(event.path, _JOBS)):
            yield f"{name} belongs to no request"
        if event.op == "created" and is_attempt and event.actor == "placement":
            job = state.nodes.get(event.part["spec"]["job"])
            if job is not None and event.correlation != job.correlation:
                yield f"{name} belongs to {event.correlation!r}, and its job to {job.correlation!r}"
