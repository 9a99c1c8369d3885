"""Whether an edge is there, judged by how long it has been silent."""

from dataclasses import dataclass

from datamodel.scheduling.edges import DISCONNECTED, LOST, ONLINE, SUSPECT


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Seconds of silence after which an edge is in doubt, cut off, and given up."""

    suspect_s: float
    disconnected_s: float
    lost_s: float


_WORSE = (ONLINE, SUSPECT, DISCONNECTED, LOST)


def judged(before: str, silent_s: float, *, heard: bool, thresholds: Thresholds) -> tuple[str, float | None]:
    """The phase that follows, and in how many seconds it would change if the silence goes on.

    An edge that this judge has never `heard` gets the full time from the start of its watch, but no better phase than it
    had: only a heartbeat brings an edge back.
    """
    phase, recheck_s = _liveness(silent_s, thresholds)
    if heard or (before and _WORSE.index(before) <= _WORSE.index(phase)):
        return phase, recheck_s
    return before, recheck_s


def _liveness(silent_s: float, thresholds: Thresholds) -> tuple[str, float | None]:
    for phase, limit_s in (
        (ONLINE, thresholds.suspect_s),
        (SUSPECT, thresholds.disconnected_s),
        (DISCONNECTED, thresholds.lost_s),
    ):
        if silent_s < limit_s:
            return phase, limit_s - silent_s
    return LOST, None
