"""Why an attempt is not to go on: its chunk goes elsewhere, or is not wanted any more."""

from collections.abc import Mapping
from typing import Literal

IntentReason = Literal[
    "Adopted", "EdgeCutOff", "EdgeDrained", "EdgeInMaintenance", "EdgeLost", "LeaseOver", "Preempted", "Shed"
]
ADOPTED: IntentReason = "Adopted"
EDGE_CUT_OFF: IntentReason = "EdgeCutOff"
EDGE_DRAINED: IntentReason = "EdgeDrained"
EDGE_IN_MAINTENANCE: IntentReason = "EdgeInMaintenance"
EDGE_LOST: IntentReason = "EdgeLost"
LEASE_OVER: IntentReason = "LeaseOver"
PREEMPTED: IntentReason = "Preempted"
SHED: IntentReason = "Shed"
"""Why a chunk goes elsewhere: its edge is drained, or in maintenance, or cut off for as long as its job allows, or lost, or has
less than is reserved of it; or a job that matters more has its room; or its lease was over. Or why it is not wanted any
more: an older attempt's result was adopted."""
UNHEARD = frozenset({EDGE_CUT_OFF, EDGE_LOST})
"""The chunk went elsewhere while nobody knew whether the attempt runs on."""
WHY_GIVEN_UP: Mapping[str, str] = {
    EDGE_CUT_OFF: "it was cut off for longer than the job waits",
    EDGE_DRAINED: "it was to be drained",
    EDGE_IN_MAINTENANCE: "it was in maintenance",
    EDGE_LOST: "it was lost",
    LEASE_OVER: "its lease was over, and nobody had told its end",
    PREEMPTED: "a job that matters more has its room",
    SHED: "it had less than was reserved of it, and others matter more",
}
"""By reason, what is to be said of the edge."""
