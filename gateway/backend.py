"""What stands behind every request: the store, the way to write to it, and word of what changes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from datamodel.appender import Appender
from datamodel.artifacts.ports import KeptPieces
from datamodel.command import Actor, Command, Outcome, Unit, Verdict, raise_refused
from datamodel.errors import NotFound
from datamodel.kinds import USER
from datamodel.model import Model
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.reads import Reads
from datamodel.secrets.ports import Keeping
from datamodel.transcripts.ports import Transcripts
from gateway.changes import Changes
from gateway.growth import Growth

ACTOR = Actor("anonymous", USER)
"""Who writes through the gateway, until it knows people by name."""
ASKING = Actor("anonymous/verbs", USER)
"""The same by a verb: what was asked for so is no part of what a document said, which leaves it alone when it is applied."""


@dataclass(frozen=True, slots=True)
class Backend:
    """The parts that requests share. `feed_connected` says whether the feed's server is reached; `transcripts` and
    `artifacts` give what it keeps beside the feed, or raise `Transient`. `secrets` is None where none are taken in."""

    store: Store
    appender: Appender
    reads: Reads
    changes: Changes
    growth: Growth
    feed_connected: Callable[[], bool]
    transcripts: Callable[[], Transcripts]
    artifacts: Callable[[], KeptPieces]
    secrets: Keeping | None = None

    @property
    def model(self) -> Model:
        return self.store.model

    async def node(self, path: str) -> Node:
        """The node as it is now. Raises `NotFound`."""
        node = await self.reads.node(path)
        if node is None:
            raise NotFound(f"{path} does not exist")
        return node

    async def node_at(self, path: str, position: int) -> Node:
        """The node as it was at a position. Raises `NotFound`, and `Gone` where that is not kept any more."""
        node = (await self.store.nodes_at([path], position)).get(path)
        if node is None:
            raise NotFound(f"{path} does not exist at position {position}")
        return node

    async def carry_out(self, command: Command) -> Verdict:
        """Writes one command durably. Raises what refuses it."""
        (verdict,) = raise_refused(await self.append((command,)))
        return verdict

    async def append(
        self,
        commands: Sequence[Command],
        *,
        key: str = "",
        digest: str = "",
        dry_run: bool = False,
        actor: Actor = ACTOR,
    ) -> Outcome:
        """The verdicts on commands that are written durably, all or none, because of the present request; with `dry_run`, what
        they would be. Raises what refuses them before any is judged."""
        return await self.appender.append(Unit(tuple(commands), actor, key=key, digest=digest, dry_run=dry_run))

    async def node_after(self, verdict: Verdict) -> Node:
        """The node as a command left it; as it is now where the verdict was replayed. Raises `NotFound`."""
        return verdict.node if verdict.node is not None else await self.node(verdict.path)

    async def delete(self, path: str) -> Node | None:
        """Deletes a node with everything below it. The node where somebody has to clean up first, None once it is gone.
        Raises what refuses it."""
        verdict = await self.carry_out(Command("delete", path))
        return verdict.node
