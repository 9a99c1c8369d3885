"""NATS in memory: verified fakes of the ports `Messages`, `Streams` and `Feed`, which stand behind the same contract suite
as the real ones.

They never lose anything by themselves. No method but `MemoryFeed.follow` waits, so each is one step of the event loop; a
simulation puts delays, losses and cuts in front of them.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence

import msgspec

from datamodel.errors import Conflict, Transient
from datamodel.feed.message import decode, encode, event_id
from datamodel.feed.ports import Received, Stream
from datamodel.names import is_within
from datamodel.ports import Change, FeedItem, Restarted, Synced

Place = tuple[int, int]
"""How far a follower has come: the epoch and the sequence of what it was told last."""


class MemoryMessages:
    """A server and everybody's connection to it. Subscribers are called while a message is published."""

    connected = True

    def __init__(self) -> None:
        self._subscriptions: list[tuple[list[str], Received]] = []
        self._listeners: dict[str, list[Received]] = {}

    async def publish(self, subject: str, body: bytes) -> None:
        for received in self.listeners(subject):
            received(subject, body)

    async def subscribe(self, subject: str, received: Received) -> None:
        self._subscriptions.append((subject.split("."), received))
        self._listeners.clear()

    def unsubscribe(self, received: Received) -> None:
        """Ends every subscription of this receiver."""
        self._subscriptions = [(pattern, known) for pattern, known in self._subscriptions if known is not received]
        self._listeners.clear()

    def on_reconnect(self, call: Callable[[], None]) -> None:
        """The connection is never lost."""

    def listeners(self, subject: str) -> list[Received]:
        """Whoever gets a message of this subject now."""
        found = self._listeners.get(subject)
        if found is None:
            tokens = subject.split(".")
            found = [received for pattern, received in self._subscriptions if _matches(pattern, tokens)]
            self._listeners[subject] = found
        return found


def _matches(pattern: Sequence[str], tokens: Sequence[str]) -> bool:
    return len(pattern) == len(tokens) and all(p in ("*", t) for p, t in zip(pattern, tokens, strict=True))


class _Kept(msgspec.Struct):
    """One stream: the last message of each path (fillers under the empty one), in order of sequence."""

    present: int
    last: int
    messages: dict[str, tuple[int, bytes]] = {}

    def put(self, path: str, body: bytes) -> None:
        self.last += 1
        self.messages.pop(path, None)
        self.messages[path] = (self.last, body)


class Follower:
    """One subscription to what is at and below some paths. `deliver` is called as soon as there is something to tell, when
    `place` has come to it."""

    def __init__(self, prefixes: Sequence[str], deliver: Callable[[FeedItem], None], place: Place = (0, 0)) -> None:
        self.place = place
        self._prefixes = prefixes
        self._deliver = deliver

    def show(self, epoch: int, kept: _Kept) -> None:
        """Tells what is new to the follower in a stream: all of it, where it has followed another one."""
        seen_epoch, sequence = self.place
        resumes = seen_epoch == epoch and sequence <= kept.last
        if not resumes:
            sequence = 0
            self._deliver(Restarted())
        for path, (at, body) in list(kept.messages.items()):
            if at > sequence:
                self.tell(epoch, at, path, body)
        self.place = (epoch, kept.last)
        if not resumes:
            self._deliver(Synced())

    def tell(self, epoch: int, sequence: int, path: str, body: bytes) -> None:
        self.place = (epoch, sequence)
        if path and any(is_within(path, prefix) for prefix in self._prefixes):
            self._deliver(decode(body))


class MemoryStreams:
    """JetStream: the streams, and who follows them."""

    def __init__(self) -> None:
        self._streams: dict[int, _Kept] = {}
        self._followers: list[Follower] = []

    def wipe(self) -> None:
        """All streams are lost."""
        self._streams.clear()

    def images(self, epoch: int) -> Iterator[tuple[str, int, bytes]]:
        """Path, sequence and body of every message that a stream keeps, in order of sequence."""
        for path, (sequence, body) in self._streams[epoch].messages.items():
            yield path, sequence, body

    def attach(self, follower: Follower) -> None:
        """Tells a follower the present, or what it has missed since its place, and then what happens."""
        self._followers.append(follower)
        epoch = self._newest_complete()
        if epoch:
            follower.show(epoch, self._streams[epoch])

    def detach(self, follower: Follower) -> None:
        self._followers = [known for known in self._followers if known is not follower]

    def on_reconnect(self, call: Callable[[], None]) -> None:
        """The connection is never lost."""

    async def newest(self) -> Stream | None:
        return self.end

    @property
    def end(self) -> Stream | None:
        """What `newest` tells."""
        if not self._streams:
            return None
        epoch = max(self._streams)
        return Stream(epoch, self._streams[epoch].last, self._streams[epoch].present)

    async def create(self, epoch: int, first: int, present: int) -> Stream:
        if epoch in self._streams:
            raise Transient(f"the stream of epoch {epoch} could not be made: there is one")
        self._streams[epoch] = _Kept(present, first - 1)
        self._complete(epoch)
        return Stream(epoch, first - 1, present)

    async def delete_older(self, epoch: int) -> None:
        for older in [known for known in self._streams if known < epoch]:
            del self._streams[older]

    async def last_event(self, stream: Stream) -> str | None:
        kept = self._streams.get(stream.epoch)
        if kept is None or not kept.messages:
            return None
        sequence, body = next(reversed(kept.messages.values()))
        return event_id(body) if sequence == stream.last else None

    async def publish(self, epoch: int, after: int, changes: Sequence[Change]) -> None:
        for position, change in enumerate(changes, after + 1):
            self.put(epoch, position, change)

    def put(self, epoch: int, position: int, change: Change) -> None:
        """Takes one message at a position; raises what `publish` does."""
        kept = self._streams.get(epoch)
        if kept is None:
            raise Transient(f"publishing to epoch {epoch} was cut short: there is no such stream")
        if kept.last != position - 1:
            raise Conflict(f"another relay is at the end of the stream: at {kept.last}, not at {position - 1}")
        body = encode(change)
        kept.put(change.path, body)
        for follower in tuple(self._followers):
            if follower.place[0] == epoch:
                follower.tell(epoch, kept.last, change.path, body)
        if kept.last == kept.present:
            self._complete(epoch)

    def _complete(self, epoch: int) -> None:
        """Where a stream has become the newest complete one, all follow it."""
        if epoch == self._newest_complete():
            for follower in tuple(self._followers):
                if follower.place[0] != epoch:
                    follower.show(epoch, self._streams[epoch])

    def _newest_complete(self) -> int:
        """The epoch that is followed; 0 where the newest stream is being filled, or there is none."""
        epoch = max(self._streams, default=0)
        return epoch if epoch and self._streams[epoch].last >= self._streams[epoch].present else 0


class MemoryFeed:
    """The port `Feed` on these streams."""

    def __init__(self, streams: MemoryStreams) -> None:
        self._streams = streams

    async def follow(self, prefixes: Sequence[str], deliver: Callable[[FeedItem], None]) -> None:
        follower = Follower(prefixes, deliver)
        self._streams.attach(follower)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._streams.detach(follower)
