"""Walks in the store in memory: everything is looked at each time."""

import msgspec

from datamodel.event import Event
from datamodel.facets import facets_of
from datamodel.model import Model
from datamodel.node import Node
from datamodel.ports import Head
from datamodel.state import State
from datamodel.walk import END, Paths, Span, Walk, Walked

_event = msgspec.json.Decoder(Event).decode


class MemoryWalks:
    """The reads. What they mean is said at the port."""

    _model: Model
    _head: Head
    _events: list[bytes]
    state: State

    async def walk(self, walk: Walk, after: str, limit: int) -> Walked:
        nodes = self.state.nodes
        paths = sorted(path for path, node in nodes.items() if path > after and self._is_of(walk, node))[:limit]
        return Walked([nodes[path] for path in paths], _through(paths, limit))

    async def changed(self, span: Span, after: int, through: int, limit: int) -> Paths:
        before = self._head.position - len(self._events)
        events = self._events[max(0, after - before) : max(0, through - before)]
        paths = sorted({path for path in map(_path, events) if span.holds(path)})[:limit]
        return Paths(paths, _through(paths, limit))

    async def places(self, span: Span, limit: int) -> Paths:
        return await self.changed(span, 0, self._head.position, limit)

    def _is_of(self, walk: Walk, node: Node) -> bool:
        if node.kind not in walk.kinds or not walk.span.holds(node.path):
            return False
        facets = facets_of(self._model.kinds[node.kind], node.labels, node.spec, node.status)
        return not walk.facet or facets.get(walk.facet) in walk.values


def _path(event: bytes) -> str:
    return _event(event).path


def _through(paths: list[str], limit: int) -> str:
    return paths[-1] if len(paths) == limit else END
