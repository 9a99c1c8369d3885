"""What operators ask of edges: to place nothing new there, to send elsewhere what runs, or to use them again."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from datamodel.command import Command, raise_refused
from datamodel.errors import Invalid
from datamodel.kinds import Document
from datamodel.node import Node
from datamodel.scheduling.edges import inventory_path
from datamodel.scheduling.service import CORDON, DRAIN, USE, config_path
from gateway.backend import Backend

GRACE_LIMIT_S = 30 * 86_400

INTENTS: Mapping[str, str] = {"cordon": CORDON, "drain": DRAIN, "uncordon": USE}
"""By verb, what the edge is to be used for then."""

SUMMARIES = {
    "cordon": "Place nothing new on an edge; what runs there goes on",
    "drain": "Place nothing new on an edge, and let what runs there go elsewhere",
    "uncordon": "Use an edge again",
}


async def ask_of_edge(backend: Backend, site: str, name: str, verb: str, grace_s: int = 0) -> Node:
    """What operators ask of the edge then; its status follows. What runs on a drained edge may go on for `grace_s` more. Raises
    `NotFound` where there is no such edge."""
    if not 0 <= grace_s <= GRACE_LIMIT_S:
        raise Invalid(f"it is from 0 to {GRACE_LIMIT_S} seconds", field="/graceS")
    await backend.node(inventory_path(site, name))
    spec: Document = {"intent": INTENTS[verb]}
    if grace_s:
        spec["drainBy"] = (datetime.now(UTC) + timedelta(seconds=grace_s)).isoformat()
    path = config_path(site, name)
    commands = Command("apply", path.rpartition("/edges/")[0]), Command("apply", path, spec)
    _, verdict = raise_refused(await backend.append(commands))
    return await backend.node_after(verdict)
