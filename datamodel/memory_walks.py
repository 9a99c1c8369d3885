"""Walks in the store in memory: everything is looked at each time."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from datamodel.bookmark import Bookmark
from datamodel.event import Event
from datamodel.facets import facets_of
from datamodel.model import Model
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.ports import Head
from datamodel.selectors import Requirement
from datamodel.sorting import PATH, Place, is_before, place_of
from datamodel.state import State
from datamodel.walk import END, NAME_FIELD, Paths, Span, Walk, Walked


class MemoryWalks(ABC):
    """The reads. What they mean is said at the port."""

    _model: Model
    _head: Head
    _events: list[bytes]
    _opened: Callable[[bytes], Event]
    state: State

    @abstractmethod
    def _event_id(self, position: int) -> str | None:
        """The id of a position's event, None where it is not kept."""

    async def walk(self, walk: Walk, after: Place | None, limit: int) -> Walked:
        kinds, sort = self._model.kinds, walk.sort
        found = {
            place_of(sort, kinds[node.kind], node): node
            for node in self.state.nodes.values()
            if self._is_of(walk, node)
        }
        places = [place for place in found if after is None or is_before(sort, after, place)]
        places = sorted(places, reverse=sort.descending)[:limit]
        position = self._head.position
        bookmark = Bookmark(position, self._event_id(position)) if sort.name == PATH else None
        return Walked([found[place] for place in places], places[-1] if len(places) == limit else None, bookmark)

    async def walk_each(self, walks: Sequence[tuple[Walk, Place | None]], limit: int) -> list[Walked]:
        return [await self.walk(walk, after, limit) for walk, after in walks]

    async def count_walk(self, walk: Walk, terms: Sequence[Requirement]) -> int:
        nodes = [node for node in self.state.nodes.values() if self._is_of(walk, node)]
        return sum(all(term.holds(self._values(node)) for term in terms) for node in nodes)

    async def count_each(self, walks: Sequence[Walk], terms: Sequence[Requirement]) -> list[int]:
        return [await self.count_walk(walk, terms) for walk in walks]

    async def changed(self, span: Span, after: int, through: int, limit: int) -> Paths:
        before = self._head.position - len(self._events)
        events = self._events[max(0, after - before) : max(0, through - before)]
        paths = sorted({path for path in (self._opened(event).path for event in events) if span.holds(path)})[:limit]
        return Paths(paths, _through(paths, limit))

    async def places(self, span: Span, limit: int) -> Paths:
        return await self.changed(span, 0, self._head.position, limit)

    async def places_each(self, spans: Sequence[Span], limit: int) -> list[Paths]:
        return [await self.places(span, limit) for span in spans]

    def _is_of(self, walk: Walk, node: Node) -> bool:
        if node.kind not in walk.kinds or not walk.span.holds(node.path):
            return False
        if walk.link and walk.target not in node.links.get(walk.link, ()):
            return False
        return not walk.facet or self._values(node).get(walk.facet) in walk.values

    def _values(self, node: Node) -> dict[str, str]:
        facets = facets_of(self._model.kinds[node.kind], node.labels, node.spec, node.status)
        return {**facets, NAME_FIELD: last_name(node.path)}


def _through(paths: list[str], limit: int) -> str:
    return paths[-1] if len(paths) == limit else END
