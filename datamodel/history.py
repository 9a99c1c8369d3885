"""Reading the past: what the graph was at a moment, and how it came to be what it is."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

import msgspec

from datamodel.event import Event
from datamodel.node import Node


class NodeEvents(msgspec.Struct, frozen=True):
    """Events of a path, in the order that was asked for. Where there may have been more of them before the oldest position
    that is kept, `kept_from` is that position: `nodes_at` tells there what came of all before. Else it is 0."""

    events: list[Event]
    kept_from: int = 0


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
    ) -> NodeEvents:
        """The events of all nodes that have lived at a path, or of the one with a uid. In order of position from `after + 1`
        on; with `before`, from `before - 1` downwards. It begins at `oldest`, and says so where there may have been more;
        who asks to go on after a position (above 0) that is before that gets `Gone`."""
        ...

    async def history_each(
        self, paths: Collection[str], *, after: int = 0, before: int | None = None, limit: int = 100
    ) -> dict[str, NodeEvents]:
        """The same of each of these paths; `limit` holds for each."""
        ...


def kept_of(
    events: list[Event], oldest: int, *, uid: str = "", after: int = 0, before: int | None = None, limit: int = 100
) -> NodeEvents:
    """What an adapter answers: of the events that `history` found, those that are kept, by an `oldest` that was asked for
    after they were read."""
    kept = [event for event in events if event.position >= oldest]
    reaches = after == 0 if before is None else after == 0 and len(kept) < limit
    has_begun = bool(uid) and any(event.op == "created" for event in kept)
    return NodeEvents(kept, oldest if oldest > 1 and reaches and not has_begun else 0)
