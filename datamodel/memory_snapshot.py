"""A snapshot of the store in memory: rows never change, so a copy of each table's keys is all it takes."""

from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import islice

import msgspec

from datamodel.admission import Kept, Replay
from datamodel.event import Event
from datamodel.ledger import Entry, Totals
from datamodel.memory_segments import Base
from datamodel.model import Model
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.ports import Head
from datamodel.rows import Keys, Rows, facet_rows
from datamodel.state import EntryKey, State
from datamodel.upcast import upcast_event

_event = msgspec.json.Decoder(Event).decode


class Beside(msgspec.Struct, frozen=True):
    """What was kept beside the graph: the feed's epoch, and by name marks, the leases' tokens and what keys stand for."""

    epoch: int
    marks: Mapping[str, int]
    tokens: Mapping[str, int]
    replays: Mapping[str, Replay]


class MemorySnapshot:
    """What a state held when the snapshot was taken. `events` is the encoded log, to its end, from the base or before it."""

    def __init__(
        self, model: Model, head: Head, events: Sequence[bytes], state: State, beside: Beside, base: Base
    ) -> None:
        self.head, self.oldest = head, base.head
        self._model = model
        self._base = base.state
        self._events = events
        self._state = State()
        self._state.learn(state)
        self._beside = beside

    async def events(self, after: int = 0) -> AsyncIterator[Event]:
        for event in islice(self._events, max(0, after - self.head.position + len(self._events)), None):
            yield upcast_event(self._model, _event(event))

    async def base(self) -> AsyncIterator[State]:
        yield self._base

    async def rows(self, keys: Keys) -> Rows:
        return Rows.of(self._model, self._state, keys)

    async def nodes(self) -> AsyncIterator[tuple[str, Node]]:
        for row in sorted(self._state.nodes.items(), key=lambda row: row[0]):
            yield row

    async def phases(self) -> AsyncIterator[tuple[str, str]]:
        async for path, node in self.nodes():
            yield path, node.phase

    async def links(self) -> AsyncIterator[tuple[tuple[str, str], tuple[str, ...]]]:
        async for path, node in self.nodes():
            for name, targets in sorted(node.links.items()):
                yield (path, name), targets

    async def facets(self) -> AsyncIterator[tuple[tuple[str, str], tuple[str, str]]]:
        for row in sorted(facet_rows(self._model, self._state.nodes.values()).items()):
            yield row

    async def pools(self) -> AsyncIterator[tuple[str, Pool]]:
        for row in sorted(self._state.pools.items(), key=lambda row: row[0]):
            yield row

    async def entries(self) -> AsyncIterator[tuple[EntryKey, Entry]]:
        for row in sorted(self._state.entries.items(), key=lambda row: row[0]):
            yield row

    async def totals(self) -> AsyncIterator[tuple[str, Totals]]:
        for row in sorted(self._state.totals.items(), key=lambda row: row[0]):
            yield row

    async def epoch(self) -> int:
        return self._beside.epoch

    async def marks(self) -> AsyncIterator[tuple[str, int]]:
        for row in sorted(self._beside.marks.items()):
            yield row

    async def tokens(self) -> AsyncIterator[tuple[str, int]]:
        for row in sorted(self._beside.tokens.items()):
            yield row

    async def replays(self) -> AsyncIterator[tuple[str, tuple[str, Kept]]]:
        for key, replay in sorted(self._beside.replays.items(), key=lambda row: row[0]):
            yield key, (replay.digest, replay.kept)
