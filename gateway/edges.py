"""What operators ask of edges: to place nothing new there, to send elsewhere what runs, or to use them again."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from datamodel.command import Command
from datamodel.errors import Invalid
from datamodel.node import Node
from datamodel.scheduling.edges import inventory_path
from datamodel.scheduling.service import CORDON, DRAIN, USE, config_path
from gateway.backend import ASKING, Backend
from gateway.once import Once

GRACE_LIMIT_S = 30 * 86_400

INTENTS: Mapping[str, str] = {"cordon": CORDON, "drain": DRAIN, "uncordon": USE}
"""By verb, what the edge is to be used for then."""

SUMMARIES = {
    "cordon": "Place nothing new on an edge; what runs there goes on",
    "drain": "Place nothing new on an edge, and let what runs there go elsewhere",
    "uncordon": "Use an edge again",
}


async def ask_of_edge(
    backend: Backend,
    site: str,
    name: str,
    verb: str,
    grace_s: int = 0,
    *,
    expected_version: int | None = None,
    key: str = "",
    digest: str = "",
) -> Node:
    """What operators ask of the edge then; its status follows. What runs on a drained edge may go on for `grace_s` more. With
    an idempotency key it is asked once. Raises `NotFound` where there is no such edge, and `Conflict` where what is asked of
    it is not of the version that is expected."""
    if not 0 <= grace_s <= GRACE_LIMIT_S:
        raise Invalid(f"it is from 0 to {GRACE_LIMIT_S} seconds", field="/graceS")
    once = Once(backend, key, digest, actor=ASKING)
    if (replayed := await once.replayed()) is not None:
        return await backend.node_after(replayed)
    await backend.node(inventory_path(site, name))
    by = (datetime.now(UTC) + timedelta(seconds=grace_s)).isoformat() if grace_s else None
    path = config_path(site, name)
    asked = {"intent": INTENTS[verb], "drainBy": by}
    if expected_version is None and await backend.reads.node(path) is None:
        site_too = Command("apply", path.rpartition("/edges/")[0])
        return await backend.node_after(await once.write(site_too, Command("apply", path, asked)))
    patch = Command("patchSpec", path, asked, expected_version=expected_version)
    return await backend.node_after(await once.write(patch))
