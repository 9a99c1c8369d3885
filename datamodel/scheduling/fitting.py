"""Why nothing is placed on an edge: placement goes by it, and people are told it."""

from typing import NamedTuple

from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.scheduling.edges import ONLINE


class Hindrance(NamedTuple):
    """What stands in the way, in a word and in a sentence about the edge."""

    reason: str
    message: str


def hindrance(edge: Node | None, desired: Node | None, pool: Pool | None) -> Hindrance | None:
    """Why an edge takes nothing new now, whatever it would be; None where it does. `desired` is its place in the desired plane,
    `pool` what there is of it."""
    if edge is None or pool is None:
        return Hindrance("Unknown", "has not registered")
    if edge.phase != ONLINE:
        return Hindrance("NotOnline", f"is {edge.phase or 'new'}, and not online")
    if edge.spec["trouble"]:
        return Hindrance("InTrouble", "says that it can start nothing")
    if desired is None:
        return Hindrance("NoPlace", "has no place in the desired plane yet")
    if desired.spec["cordoned"]:
        return Hindrance("Cordoned", "is cordoned")
    return None
