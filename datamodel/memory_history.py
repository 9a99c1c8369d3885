"""The past in the store in memory: read from the base on each time, which is the plainest way there is."""

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from itertools import islice

from datamodel.errors import not_kept
from datamodel.event import Event
from datamodel.history import NodeEvents, kept_of
from datamodel.memory_segments import Base
from datamodel.model import Model
from datamodel.node import Node
from datamodel.ports import Head
from datamodel.state import image
from datamodel.upcast import upcast_event


class MemoryHistory:
    """The reads. What they mean is said at the port."""

    _head: Head
    _events: list[bytes]
    _opened: Callable[[bytes], Event]
    base: Base
    _model: Model

    async def oldest(self) -> int:
        return self.base.head.position

    async def position_at(self, time: datetime) -> int:
        base = self.base.head
        if base.position and time < base.at:
            raise not_kept(time, base.position)
        return base.position + sum(event.at <= time for event in self._read())

    async def nodes_at(self, paths: Collection[str], position: int) -> dict[str, Node]:
        self._check_kept(position)
        nodes = self._at_base(paths)
        for event in self._read(position):
            if event.path in nodes:
                nodes[event.path] = image(nodes[event.path], event)
        return {path: node for path, node in nodes.items() if node is not None}

    async def departed(self, paths: Collection[str], after: int, through: int) -> dict[str, tuple[int, Node]]:
        self._check_kept(after)
        nodes = self._at_base(paths)
        found: dict[str, tuple[int, Node]] = {}
        for event in self._read(through):
            if event.path in nodes:
                node = nodes[event.path]
                if event.op == "deleted" and event.position > after and node is not None:
                    found.setdefault(event.path, (event.position, node))
                nodes[event.path] = image(node, event)
        return found

    async def history(
        self, path: str, *, uid: str = "", after: int = 0, before: int | None = None, limit: int = 100
    ) -> NodeEvents:
        oldest = self.base.head.position
        if 0 < after < oldest - 1:
            raise not_kept(after + 1, oldest)
        found = [event for event in self._told(oldest) if event.path == path and (not uid or event.uid == uid)]
        found = [event for event in found if event.position > after and (before is None or event.position < before)]
        found = (found if before is None else found[::-1])[:limit]
        return kept_of(found, oldest, uid=uid, after=after, before=before, limit=limit)

    async def history_each(
        self, paths: Collection[str], *, after: int = 0, before: int | None = None, limit: int = 100
    ) -> dict[str, NodeEvents]:
        return {path: await self.history(path, after=after, before=before, limit=limit) for path in paths}

    def _check_kept(self, position: int) -> None:
        oldest = self.base.head.position
        if position < oldest:
            raise not_kept(position, oldest)

    def _at_base(self, paths: Collection[str]) -> dict[str, Node | None]:
        return {path: self.base.state.nodes.get(path) for path in paths}

    def _read(self, through: int | None = None) -> Iterator[Event]:
        """What happened after the base."""
        return self._told(self.base.head.position + 1, through)

    def _told(self, first: int, through: int | None = None) -> Iterator[Event]:
        before = self._head.position - len(self._events)
        events = islice(self._events, max(0, first - 1 - before), None if through is None else max(0, through - before))
        return (upcast_event(self._model, self._opened(event)) for event in events)
