"""Why nothing is placed on an edge: placement goes by it, and people are told it."""

from typing import NamedTuple

from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.scheduling.edges import ONLINE


class Hindrance(NamedTuple):
    """What stands in the way, in a word and in a sentence about the edge. The word is one of `HINDRANCES`."""

    reason: str
    message: str


UNKNOWN, NOT_ONLINE, IN_TROUBLE, NO_PLACE, CORDONED = "Unknown", "NotOnline", "InTrouble", "NoPlace", "Cordoned"
HINDRANCES = {
    UNKNOWN: "without a capacity",
    NOT_ONLINE: "not online",
    IN_TROUBLE: "in trouble",
    NO_PLACE: "new",
    CORDONED: "cordoned",
}
"""By reason, what the edge is."""


def hindrance(edge: Node | None, desired: Node | None, pool: Pool | None) -> Hindrance | None:
    """Why an edge takes nothing new now, whatever it would be; None where it does. `desired` is its place in the desired plane,
    `pool` what there is of it."""
    if edge is None or pool is None:
        return Hindrance(UNKNOWN, "has not registered")
    if edge.phase != ONLINE:
        return Hindrance(NOT_ONLINE, f"is {edge.phase or 'new'}, and not online")
    if edge.spec["trouble"]:
        return Hindrance(IN_TROUBLE, f"can start nothing: {edge.spec['trouble']}")
    if desired is None:
        return Hindrance(NO_PLACE, "has no place in the desired plane yet")
    if desired.spec["cordoned"]:
        return Hindrance(CORDONED, "is cordoned")
    return None
