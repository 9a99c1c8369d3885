"""Transcripts in memory: a verified fake, behind the same contract suite as the real ones."""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from datamodel.errors import Conflict
from datamodel.transcripts.ports import ENTRIES_LIMIT, READ_ENTRIES, Entry


class MemoryTranscripts:
    """The port `Transcripts`. It loses nothing by itself, and nothing gets too old in it."""

    def __init__(self) -> None:
        self._sequence = 0
        self._kept: dict[str, list[Entry]] = {}
        self._watchers: dict[str, set[asyncio.Event]] = {}

    def wipe(self) -> None:
        """Everything is lost, sequences too."""
        self._kept.clear()
        self._sequence = 0

    async def append(self, key: str, after: int, body: bytes) -> int:
        return self.put(key, after, body)

    def put(self, key: str, after: int, body: bytes) -> int:
        """What `append` does, at once."""
        kept = self._kept.setdefault(key, [])
        last = kept[-1].sequence if kept else 0
        if last != after:
            raise Conflict(f"{key} ends at {last}, not at {after}")
        self._sequence += 1
        kept.append(Entry(self._sequence, body))
        del kept[:-ENTRIES_LIMIT]
        for grown in self._watchers.get(key, ()):
            grown.set()
        return self._sequence

    def entries(self, key: str) -> list[Entry]:
        """All that are kept."""
        return list(self._kept.get(key, ()))

    async def last(self, key: str) -> Entry | None:
        kept = self._kept.get(key)
        return kept[-1] if kept else None

    async def read(self, key: str, after: int) -> list[Entry]:
        kept = self._kept.get(key, [])
        begin = bisect_right(kept, after, key=lambda entry: entry.sequence)
        return kept[begin : begin + READ_ENTRIES]

    @asynccontextmanager
    async def watch(self, key: str) -> AsyncIterator[asyncio.Event]:
        grown = asyncio.Event()
        watchers = self._watchers.setdefault(key, set())
        watchers.add(grown)
        try:
            yield grown
        finally:
            watchers.discard(grown)
            if not watchers and self._watchers.get(key) is watchers:
                del self._watchers[key]

    async def kept_s(self) -> float:
        return float("inf")
