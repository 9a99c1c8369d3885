"""Why nothing is placed on an edge: placement goes by it, and people are told it."""

from collections.abc import Mapping
from typing import NamedTuple

from datamodel.kinds import Amounts
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.scheduling.edges import ONLINE
from datamodel.scheduling.placing import SITE, Rules
from datamodel.scheduling.resources import POWER, measure


class Hindrance(NamedTuple):
    """What stands in the way, in a word and in a sentence about the edge. The word is one of `HINDRANCES`; `resource` is what
    there is too little of, where it is that."""

    reason: str
    message: str
    resource: str = ""


UNKNOWN, NOT_ONLINE, IN_TROUBLE, NO_PLACE, CORDONED = "Unknown", "NotOnline", "InTrouble", "NoPlace", "Cordoned"
IN_MAINTENANCE = "InMaintenance"
OTHER_SITE, OTHER_LABELS, NO_LEASES = "OtherSite", "OtherLabels", "NoLeases"
TOO_SMALL, FULL, TAKEN = "TooSmall", "Full", "Taken"
SHORT_SOON = "ShortSoon"
HINDRANCES = {
    UNKNOWN: "without a capacity",
    NOT_ONLINE: "not online",
    IN_TROUBLE: "in trouble",
    NO_PLACE: "new",
    CORDONED: "cordoned",
    IN_MAINTENANCE: "in maintenance",
    OTHER_SITE: "of another site",
    OTHER_LABELS: "without the labels",
    NO_LEASES: "without a guard",
    TOO_SMALL: "too small",
    FULL: "full",
    TAKEN: "taken by the job's other chunks",
    SHORT_SOON: "about to have less power",
}
"""By reason, what the edge is."""
NEVER = frozenset({UNKNOWN, OTHER_SITE, OTHER_LABELS, NO_LEASES, TOO_SMALL})
"""Reasons that time alone does not change."""


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
    if (maintenance := edge.status.get("maintenance")) is not None:
        return Hindrance(IN_MAINTENANCE, f"is in maintenance until {maintenance['until']}")
    if desired.spec["cordoned"]:
        return Hindrance(CORDONED, "is cordoned")
    return None


def unfit(
    labels: Mapping[str, str], capacity: Amounts, free: Amounts, asked: Amounts, rules: Rules
) -> Hindrance | None:
    """Why an edge that takes work does not take this: the rules first, then what it never has room for, then what it has not
    now. None where it does."""
    bar = rules.bar(labels)
    if bar == "site":
        return Hindrance(
            OTHER_SITE, f"is of the site {labels[SITE]}, and the group's jobs run on {', '.join(rules.sites)}"
        )
    if bar == "labels":
        return Hindrance(OTHER_LABELS, f"has not the labels that are required: {rules.required}")
    if bar == "guard":
        return Hindrance(NO_LEASES, "cannot end a chunk without its agent, and the job is exclusive")
    for name in sorted(asked):
        if asked[name] > capacity.get(name, 0):
            has, wanted = measure(name, capacity.get(name, 0)), measure(name, asked[name])
            return Hindrance(TOO_SMALL, f"has {has}, and a chunk asks for {wanted}", name)
    for name in sorted(asked):
        if asked[name] > free.get(name, 0):
            has, wanted = measure(name, max(0, free.get(name, 0))), measure(name, asked[name])
            return Hindrance(FULL, f"has {has} left, and a chunk asks for {wanted}", name)
    return None


def short_soon(counted_on: Amounts, asked: Amounts) -> Hindrance | None:
    """Why an edge that has room for this now does not take it: so much is counted on as free. None where that is enough."""
    if asked.get(POWER, 0) <= counted_on.get(POWER, 0):
        return None
    has, wanted = measure(POWER, max(0, counted_on.get(POWER, 0))), measure(POWER, asked[POWER])
    return Hindrance(SHORT_SOON, f"expects to have {has} left, and a chunk asks for {wanted}", POWER)
