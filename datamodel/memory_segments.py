"""Segments in the store in memory: the log is a list, of which the beginning is cut off."""

from collections.abc import Callable

import msgspec

from datamodel.errors import Conflict
from datamodel.event import Event
from datamodel.model import Model
from datamodel.ports import Head
from datamodel.segments import Segment
from datamodel.state import State, fold
from datamodel.upcast import restamped, restamped_node, upcast_event, upcast_node


class Base(msgspec.Struct, frozen=True):
    """What the graph was at a position. It gives way to another one and is never changed."""

    head: Head
    state: State

    def upcast(self, model: Model) -> "Base":
        """The same, read by a later model."""
        state = State()
        state.learn(self.state)
        nodes = state.nodes
        nodes.update((path, restamped_node(model, upcast_node(model, node))) for path, node in nodes.items())
        return Base(self.head, state)


class MemorySegments:
    """The steps. What they mean is said at the port."""

    _model: Model
    _head: Head
    _events: list[bytes]
    _opened: Callable[[bytes], Event]
    base: Base
    _segments: list[Segment]
    _segment_positions: int

    @property
    def _first(self) -> int:
        """The position of the first event that is there, or would be."""
        return self._segments[0].first

    async def segments(self) -> list[Segment]:
        return self._segments.copy()

    async def extend(self, positions: int) -> None:
        while (last := self._segments[-1].last) < self._head.position + positions:
            self._segments.append(Segment(last + 1, last + positions))

    async def fold_base(self, through: int, limit: int) -> int:
        head = self.base.head
        through = min(through, head.position + limit)
        events = self._events[head.position + 1 - self._first : max(0, through + 1 - self._first)]
        state = State()
        state.learn(self.base.state)
        for encoded in events:
            event = restamped(self._model, upcast_event(self._model, self._opened(encoded)))
            fold(self._model, state, event)
            head = Head(event.position, event.at)
        state.commit()
        state.entries = {key: entry for key, entry in state.entries.items() if key[0] in state.totals}
        self.base = Base(head, state)
        return head.position

    async def drop_segment(self, segment: Segment) -> None:
        if segment not in self._segments:
            return
        if segment != self._segments[0] or segment.last >= self.base.head.position:
            raise Conflict(f"positions {segment.first} to {segment.last} are still needed")
        del self._events[: segment.last + 1 - segment.first]
        del self._segments[0]

    def _room_through(self, position: int) -> None:
        """Who appends finds a segment."""
        while (last := self._segments[-1].last) < position:
            self._segments.append(Segment(last + 1, last + self._segment_positions))
