"""A snapshot of the store in memory: rows never change, so a copy of each table's keys is all it takes."""

from collections.abc import AsyncIterator, Sequence
from itertools import islice

import msgspec

from datamodel.event import Event
from datamodel.ledger import Entry, Totals
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.ports import Head
from datamodel.rows import Keys, Rows
from datamodel.state import EntryKey, State

_event = msgspec.json.Decoder(Event).decode


class MemorySnapshot:
    """What a state held when the snapshot was taken. `events` is the encoded log, which may grow meanwhile."""

    def __init__(self, head: Head, events: Sequence[bytes], state: State) -> None:
        self.head = head
        self._events = events
        self._state = State()
        self._state.learn(state)

    async def events(self, after: int = 0) -> AsyncIterator[Event]:
        for event in islice(self._events, after, self.head.position):
            yield _event(event)

    async def rows(self, keys: Keys) -> Rows:
        return Rows.of(self._state, keys)

    async def nodes(self) -> AsyncIterator[tuple[str, Node]]:
        for row in sorted(self._state.nodes.items(), key=lambda row: row[0]):
            yield row

    async def phases(self) -> AsyncIterator[tuple[str, str]]:
        async for path, node in self.nodes():
            yield path, node.phase

    async def links(self) -> AsyncIterator[tuple[tuple[str, str], str]]:
        async for path, node in self.nodes():
            for name, target in sorted(node.links.items()):
                yield (path, name), target

    async def pools(self) -> AsyncIterator[tuple[str, Pool]]:
        for row in sorted(self._state.pools.items(), key=lambda row: row[0]):
            yield row

    async def entries(self) -> AsyncIterator[tuple[EntryKey, Entry]]:
        for row in sorted(self._state.entries.items(), key=lambda row: row[0]):
            yield row

    async def totals(self) -> AsyncIterator[tuple[str, Totals]]:
        for row in sorted(self._state.totals.items(), key=lambda row: row[0]):
            yield row
