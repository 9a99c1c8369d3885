"""What operators know of edges that are not heard from, and the hub cannot: that one is lost, or that its host is off."""

from collections.abc import Mapping

from datamodel.command import Command
from datamodel.errors import Conflict, Invalid
from datamodel.node import Node
from datamodel.scheduling.edges import ONLINE, inventory_path
from datamodel.scheduling.service import config_path
from datamodel.scheduling.words import LOST, OFF, REASON_LIMIT
from gateway.backend import ASKING, Backend
from gateway.once import Once

WORDS: Mapping[str, str] = {
    LOST: "Do not wait any longer for an edge that is not heard from: its chunks go elsewhere",
    OFF: "Say that the host of an edge is off: nothing runs there, and nothing is reserved of it any more",
}


async def say_of_edge(
    backend: Backend,
    site: str,
    name: str,
    says: str,
    reason: str = "",
    *,
    expected_version: int | None = None,
    key: str = "",
    digest: str = "",
) -> Node:
    """What is asked of the edge then, with the word in it; its status follows. With an idempotency key it is said once. Raises
    `NotFound` where there is no such edge, and `Conflict` where it is heard from."""
    if len(reason) > REASON_LIMIT:
        raise Invalid(f"it has at most {REASON_LIMIT} characters", field="/reason")
    once = Once(backend, key, digest, actor=ASKING)
    if (replayed := await once.replayed()) is not None:
        return await backend.node_after(replayed)
    edge = await backend.node(inventory_path(site, name))
    if edge.phase == ONLINE:
        raise Conflict(f"{site}/{name} is heard from: it can be drained, and is neither lost nor off")
    path = config_path(site, name)
    word = {"word": {"says": says, "position": (await backend.store.head()).position, "reason": reason}}
    if expected_version is None and await backend.reads.node(path) is None:
        site_too = Command("apply", path.rpartition("/edges/")[0])
        return await backend.node_after(await once.write(site_too, Command("apply", path, word)))
    patch = Command("patchSpec", path, word, expected_version=expected_version)
    return await backend.node_after(await once.write(patch))
