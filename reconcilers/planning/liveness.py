"""Whether an edge is there, judged by how long it has been silent."""

from collections.abc import Iterable
from dataclasses import dataclass

from datamodel.node import Node
from datamodel.scheduling.edges import DISCONNECTED, GONE, LOST, ONLINE, SUSPECT
from datamodel.scheduling.silence import told_s


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Seconds of silence after which an edge is in doubt, cut off, and given up."""

    suspect_s: float
    disconnected_s: float
    lost_s: float

    def said_by(self, configs: Iterable[Node | None]) -> "Thresholds":
        """Those of an edge, where these are the defaults: see `datamodel.scheduling.silence.told_s`."""
        return Thresholds(*told_s(configs, (self.suspect_s, self.disconnected_s, self.lost_s)))


_WORSE = (ONLINE, SUSPECT, DISCONNECTED, LOST)


def judged(
    before: str, silent_s: float, *, heard: bool, thresholds: Thresholds, drained: bool = False
) -> tuple[str, float | None]:
    """The phase that follows, and in how many seconds it would change if the silence goes on.

    Only a heartbeat that is new brings an edge back, and then it is online: somebody may have said that it is lost, and it may
    be silent for longer than it once took. An edge that this judge has never `heard` gets the full time from the start of
    its watch. One that was `drained` is not cut off, but gone: nothing is left there that could be lost. Should it be wanted
    again, it is lost until it is heard from.
    """
    phase, recheck_s = _judged(LOST if before == GONE else before, silent_s, heard=heard, thresholds=thresholds)
    return (GONE, None) if drained and phase in (DISCONNECTED, LOST) else (phase, recheck_s)


def _judged(before: str, silent_s: float, *, heard: bool, thresholds: Thresholds) -> tuple[str, float | None]:
    phase, recheck_s = _liveness(silent_s, thresholds)
    if heard and (phase == ONLINE or not before):
        return phase, recheck_s
    is_worse = bool(before) and _WORSE.index(before) <= _WORSE.index(phase)
    return phase if is_worse else before, recheck_s


def _liveness(silent_s: float, thresholds: Thresholds) -> tuple[str, float | None]:
    for phase, limit_s in (
        (ONLINE, thresholds.suspect_s),
        (SUSPECT, thresholds.disconnected_s),
        (DISCONNECTED, thresholds.lost_s),
    ):
        if silent_s < limit_s:
            return phase, limit_s - silent_s
    return LOST, None
