"""The three planes, their roots, and who may write them."""

from datamodel.kinds import SYSTEM, USER, Kind, Plane, Seed

EDGE = "edge"
"""The role of what reports from an edge."""

CONFIG = Plane("config", spec_writers=frozenset({USER}), status_writers=frozenset({SYSTEM}))
DESIRED = Plane(
    "desired-config", spec_writers=frozenset({SYSTEM}), status_writers=frozenset({EDGE}), scoped=frozenset({EDGE})
)
INVENTORY = Plane(
    "inventory", spec_writers=frozenset({EDGE}), status_writers=frozenset({SYSTEM}), scoped=frozenset({EDGE})
)


class Config(Kind):
    """What people ask for."""

    plane, segment, singleton = CONFIG, "config", True


class DesiredConfig(Kind):
    """What each edge should do."""

    plane, segment, singleton = DESIRED, "desired-config", True


class Inventory(Kind):
    """What was discovered."""

    plane, segment, singleton = INVENTORY, "inventory", True
    spec_writers = frozenset({SYSTEM})


SEEDS = (Seed("/config"), Seed("/inventory"), Seed("/desired-config"))
