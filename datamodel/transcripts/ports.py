"""The port: what writers and readers of transcripts ask. Adapters: `jetstream`, and in memory `memory`."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

ENTRY_LIMIT_BYTES = 128 * 1024
"""The largest entry."""
ENTRIES_LIMIT = 20_480
"""The most entries of one transcript; with one more, its oldest goes."""
READ_ENTRIES = 256
"""The most entries that one `read` returns."""


class Entry(msgspec.Struct, frozen=True):
    """One entry. Sequences of a transcript only grow, with gaps: they are those of all transcripts together."""

    sequence: int
    body: bytes


class Growing(Protocol):
    """What a writer asks of transcripts, by key: tokens of lower-case letters, digits and `-`, with dots between them. It may
    do no more, by its credential. All may raise `Transient`."""

    async def append(self, key: str, after: int, body: bytes) -> int:
        """Adds an entry right after the one of sequence `after` (0: as the first that there is); its sequence, once it is
        kept for good. Raises `Conflict` where another entry is the last, and `Transient` where it is unknown whether it
        was added."""
        ...

    async def last(self, key: str) -> Entry | None:
        """The last entry that is kept."""
        ...


class Transcripts(Growing, Protocol):
    """All that there is to ask of them.

    Entries go after some time, and the oldest of all go where there are too many: a transcript may have lost its beginning, or
    all of it.
    """

    async def read(self, key: str, after: int) -> list[Entry]:
        """Entries behind the sequence `after`, in order: `READ_ENTRIES` at most, none where there are none yet."""
        ...

    def watch(self, key: str) -> AbstractAsyncContextManager[asyncio.Event]:
        """An event that is set when the transcript may have grown. Word of it may be lost: look now and then."""
        ...

    async def kept_s(self) -> float:
        """The age in seconds at which entries go."""
        ...
