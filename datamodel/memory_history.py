"""The past in the store in memory: read from the log's beginning each time, which is the plainest way there is."""

from collections.abc import Collection, Iterator
from datetime import datetime

import msgspec

from datamodel.event import Event
from datamodel.model import Model
from datamodel.node import Node
from datamodel.state import image
from datamodel.upcast import upcast_event

_event = msgspec.json.Decoder(Event).decode


class MemoryHistory:
    """The reads. What they mean is said at the port."""

    _events: list[bytes]
    _model: Model

    async def oldest(self) -> int:
        return 0

    async def position_at(self, time: datetime) -> int:
        return sum(event.at <= time for event in self._read())

    async def nodes_at(self, paths: Collection[str], position: int) -> dict[str, Node]:
        wanted, nodes = set(paths), dict[str, Node | None]()
        for event in self._read(position):
            if event.path in wanted:
                nodes[event.path] = image(nodes.get(event.path), event)
        return {path: node for path, node in nodes.items() if node is not None}

    async def departed(self, paths: Collection[str], after: int, through: int) -> dict[str, tuple[int, Node]]:
        wanted, nodes = set(paths), dict[str, Node | None]()
        found: dict[str, tuple[int, Node]] = {}
        for event in self._read(through):
            if event.path in wanted:
                node = nodes.get(event.path)
                if event.op == "deleted" and event.position > after and node is not None:
                    found.setdefault(event.path, (event.position, node))
                nodes[event.path] = image(node, event)
        return found

    async def history(
        self, path: str, *, uid: str = "", after: int = 0, before: int | None = None, limit: int = 100
    ) -> list[Event]:
        found = [event for event in self._read() if event.path == path and (not uid or event.uid == uid)]
        found = [event for event in found if event.position > after and (before is None or event.position < before)]
        return (found if before is None else found[::-1])[:limit]

    def _read(self, through: int | None = None) -> Iterator[Event]:
        return (upcast_event(self._model, _event(event)) for event in self._events[:through])
