"""What stands behind every request: the store, the way to write to it, and word of what changes."""

from collections.abc import Callable
from dataclasses import dataclass

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Unit, Verdict, raise_refused
from datamodel.errors import NotFound
from datamodel.model import Model
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.reads import Reads
from datamodel.scheduling.planes import USER
from gateway.changes import Changes

ACTOR = Actor("anonymous", USER)
"""Who writes through the gateway, until it knows people by name."""


@dataclass(frozen=True, slots=True)
class Backend:
    """The parts that requests share. `feed_connected` says whether the feed's server is reached."""

    store: Store
    appender: Appender
    reads: Reads
    changes: Changes
    feed_connected: Callable[[], bool]

    @property
    def model(self) -> Model:
        return self.store.model

    async def node(self, path: str) -> Node:
        """The node as it is now. Raises `NotFound`."""
        node = await self.reads.node(path)
        if node is None:
            raise NotFound(f"{path} does not exist")
        return node

    async def carry_out(self, command: Command, *, cause: str, key: str = "", digest: str = "") -> Verdict:
        """Writes one command durably. Raises what refuses it."""
        unit = Unit((command,), ACTOR, cause=cause, key=key, digest=digest)
        (verdict,) = raise_refused(await self.appender.append(unit))
        return verdict

    async def delete(self, path: str, *, cause: str) -> Node | None:
        """Deletes a node with everything below it. The node where somebody has to clean up first, None once it is gone.
        Raises what refuses it."""
        verdict = await self.carry_out(Command("delete", path), cause=cause)
        node = await self.reads.node(path)
        return node if node is not None and node.uid == verdict.uid else None
