"""The ports between programs: messages that may be lost, and the streams that the relay fills. Adapters: `bus` and `stream`
over NATS, `memory` in one process.

What follows the streams is the port `Feed` in `datamodel.ports`.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from datamodel.ports import Change

Received = Callable[[str, bytes], None]
"""Takes the subject and the body of a message. It must be quick."""


class Messages(Protocol):
    """Messages by subject, at most once: who does not listen, or is cut off, misses them. What one sender sends over one
    connection arrives in order."""

    @property
    def connected(self) -> bool: ...

    async def publish(self, subject: str, body: bytes) -> None:
        """Sends to whoever listens now. Raises `Transient` where that cannot be."""
        ...

    async def subscribe(self, subject: str, received: Received) -> None:
        """Listens for as long as the connection lives, through its reconnections; `*` stands for any one token. Raises
        `Transient`."""
        ...

    def on_reconnect(self, call: Callable[[], None]) -> None:
        """`call()` runs after every reconnection: subscriptions are back then, messages may be lost."""
        ...


class Stream(msgspec.Struct, frozen=True):
    """The stream of an epoch as it is found. `last` is the position of its last message, `present` the one that completes
    it: followers use no stream that is not complete."""

    epoch: int
    last: int
    present: int

    @property
    def complete(self) -> bool:
        return self.last >= self.present


class Streams(Protocol):
    """The relay's side of the feed. A stream keeps the last message of each node, its sequence is the log's position, and it
    takes a message only right after the one that its sender expects there. All may raise `Transient`."""

    async def newest(self) -> Stream | None:
        """The stream of the highest epoch, complete or not."""
        ...

    async def create(self, epoch: int, first: int, present: int) -> Stream:
        """A new, empty stream whose first message will have the sequence `first`."""
        ...

    async def delete_older(self, epoch: int) -> None:
        """Removes the streams of earlier epochs: their followers then look for the newest."""
        ...

    async def last_event(self, stream: Stream) -> str | None:
        """The id of the event that the last message follows; None where there is none, or it has gone."""
        ...

    async def publish(self, epoch: int, after: int, changes: Sequence[Change]) -> None:
        """Publishes at the sequences `after + 1` and on; returns when all are there. Raises `Conflict` where somebody else is
        at the end of the stream, `Transient` where it is unknown how far it got."""
        ...

    def on_reconnect(self, call: Callable[[], None]) -> None:
        """`call()` runs after every reconnection: what was known of a stream may be so no more."""
        ...
