"""A snapshot of the store in memory: rows never change, so a copy of each table's keys is all it takes."""

from collections.abc import AsyncIterator, Sequence

from datamodel.event import Event
from datamodel.ledger import Entry, Totals
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.ports import Head
from datamodel.state import EntryKey, State


class MemorySnapshot:
    """What a state held when the snapshot was taken."""

    def __init__(self, head: Head, events: Sequence[Event], state: State) -> None:
        self.head = head
        self._events = events
        self._nodes = sorted(state.nodes.items(), key=lambda row: row[0])
        self._pools = sorted(state.pools.items(), key=lambda row: row[0])
        self._entries = sorted(state.entries.items(), key=lambda row: row[0])
        self._totals = sorted(state.totals.items(), key=lambda row: row[0])

    async def events(self) -> AsyncIterator[Event]:
        for event in self._events:
            yield event

    async def nodes(self) -> AsyncIterator[tuple[str, Node]]:
        for row in self._nodes:
            yield row

    async def phases(self) -> AsyncIterator[tuple[str, str]]:
        for path, node in self._nodes:
            yield path, node.phase

    async def links(self) -> AsyncIterator[tuple[tuple[str, str], str]]:
        for path, node in self._nodes:
            for name, target in sorted(node.links.items()):
                yield (path, name), target

    async def pools(self) -> AsyncIterator[tuple[str, Pool]]:
        for row in self._pools:
            yield row

    async def entries(self) -> AsyncIterator[tuple[EntryKey, Entry]]:
        for row in self._entries:
            yield row

    async def totals(self) -> AsyncIterator[tuple[str, Totals]]:
        for row in self._totals:
            yield row
