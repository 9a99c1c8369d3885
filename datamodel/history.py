"""Reading the past: what the graph was at a moment, and how it came to be what it is."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from datamodel.event import Event
from datamodel.node import Node


class History(Protocol):
    """What the log still tells."""

    async def oldest(self) -> int:
        """The oldest position whose graph can be read. Its event is still there, and all after it."""
        ...

    async def position_at(self, time: datetime) -> int:
        """The position of the last event at or before a time. Raises `Gone` where that is before `oldest`."""
        ...

    async def nodes_at(self, paths: Collection[str], position: int) -> dict[str, Node]:
        """The nodes that existed at a position among these paths, as they were. Raises `Gone` where it is before `oldest` once
        they were read: nothing else that was read of it before is missing anything."""
        ...

    async def departed(self, paths: Collection[str], after: int, through: int) -> dict[str, tuple[int, Node]]:
        """Of those of these paths whose node has gone after a position and up to another: the position of the first deletion
        there, and the node as it was before. Raises `Gone` where the first position is before `oldest`."""
        ...

    async def history(
        self, path: str, *, uid: str = "", after: int = 0, before: int | None = None, limit: int = 100
    ) -> list[Event]:
        """The events of all nodes that have lived at a path, or of the one with a uid. In order of position from `after + 1`
        on; with `before`, from `before - 1` downwards. It begins at `oldest`, where `nodes_at` tells what came of all before;
        who asks to go on after a position (above 0) that is before that gets `Gone`."""
        ...
