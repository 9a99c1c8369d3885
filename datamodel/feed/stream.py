"""The relay's side of the feed: one JetStream stream for an epoch, whose sequence equals the log's position.

A stream keeps the last message of each subject, and a subject is a node's path. `Nats-Expected-Last-Sequence` on every
message makes a second publisher harmless: the server refuses whoever is not at the end.
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec
import nats.js.errors
from nats.aio.msg import Msg
from nats.js.api import Header, StorageType, StreamConfig

from datamodel.errors import Conflict, Transient
from datamodel.feed.bus import NATS_FAILURES, Bus
from datamodel.feed.message import UNREADABLE, encode, event_id
from datamodel.feed.ports import Stream
from datamodel.names import subject_of
from datamodel.ports import Change

STREAM_PREFIX = "GRAPH-"
PRESENT = "present"
"""Stream metadata: the position through which the stream must be filled before followers may use it."""

TOMBSTONE_TTL_S = 24 * 3600
WINDOW = 256
ASK_EVERY = 64
"""One message in so many asks for an acknowledgement: the server takes none whose predecessor it did not take, so the
acknowledgement of one is that of all before it."""
ACK_TIMEOUT_S = 5.0
_WRONG_LAST_SEQUENCE = 10071
_EXPECTED = Header.EXPECTED_LAST_SEQUENCE.value


def stream_name(epoch: int) -> str:
    return f"{STREAM_PREFIX}{epoch}"


def graph_subject(epoch: int | str, path: str) -> str:
    return f"graph.{epoch}.{subject_of(path)}"


async def newest_stream(bus: Bus) -> Stream | None:
    """The stream of the highest epoch, complete or not. Raises `Transient`."""
    manager = bus.manager
    try:
        answer = await bus.client.request("$JS.API.STREAM.NAMES", b'{"subject":"graph.>"}', timeout=2)
        found = msgspec.json.decode(answer.data)
        if "error" in found:
            raise Transient(f"JetStream cannot tell its streams: {found['error']}")
        names: list[str] = found.get("streams") or []
        epochs = [int(name[len(STREAM_PREFIX) :]) for name in names if name.startswith(STREAM_PREFIX)]
        if not epochs:
            return None
        info = await manager.stream_info(stream_name(max(epochs)))
    except NATS_FAILURES as error:
        raise Transient(f"JetStream did not answer: {error}") from error
    present = int((info.config.metadata or {}).get(PRESENT, 0))
    return Stream(epoch=max(epochs), last=info.state.last_seq, present=present)


class JetStreams:
    """The port `Streams` on JetStream. It publishes with a window of acknowledgements of its own."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._inbox = bus.client.new_inbox()
        self._batch = 0
        self._acknowledged = 0
        self._refused: str | None = None
        self._progress = asyncio.Event()
        self._subscribed = False
        bus.on_reconnect(self._on_reconnect)

    def on_reconnect(self, call: Callable[[], None]) -> None:
        self._bus.on_reconnect(call)

    async def newest(self) -> Stream | None:
        return await newest_stream(self._bus)

    async def create(self, epoch: int, first: int, present: int) -> Stream:
        config = StreamConfig(
            name=stream_name(epoch),
            subjects=[f"graph.{epoch}.>", f"fill.{epoch}"],
            max_msgs_per_subject=1,
            storage=StorageType.FILE,
            allow_direct=True,
            allow_msg_ttl=True,
            duplicate_window=0.1,
            first_seq=first,
            metadata={PRESENT: str(present)},
        )
        try:
            await self._bus.manager.add_stream(config)
        except NATS_FAILURES as error:
            raise Transient(f"the stream of epoch {epoch} could not be made: {error}") from error
        return Stream(epoch=epoch, last=first - 1, present=present)

    async def delete_older(self, epoch: int) -> None:
        manager = self._bus.manager
        try:
            for info in await manager.streams_info():
                name = info.config.name or ""
                if name.startswith(STREAM_PREFIX) and int(name[len(STREAM_PREFIX) :]) < epoch:
                    await manager.delete_stream(name)
        except NATS_FAILURES as error:
            raise Transient(f"old streams could not be removed: {error}") from error

    async def last_event(self, stream: Stream) -> str | None:
        if not stream.last:
            return None
        try:
            message = await self._bus.manager.get_msg(stream_name(stream.epoch), seq=stream.last)
        except nats.js.errors.NotFoundError:
            return None
        except NATS_FAILURES as error:
            raise Transient(f"JetStream did not answer: {error}") from error
        try:
            return event_id(message.data or b"")
        except UNREADABLE:
            return None

    async def publish(self, epoch: int, after: int, changes: Sequence[Change]) -> None:
        await self._begin()
        client = self._bus.client
        try:
            for sent, change in enumerate(changes):
                if sent - self._acknowledged >= WINDOW:
                    await self._acknowledged_through(sent - WINDOW // 2)
                headers = {_EXPECTED: str(after + sent)}
                if change.node is None and change.path:
                    headers["Nats-TTL"] = f"{TOMBSTONE_TTL_S}s"
                subject = graph_subject(epoch, change.path) if change.path else f"fill.{epoch}"
                asks = (sent + 1) % ASK_EVERY == 0 or sent + 1 == len(changes)
                reply = f"{self._inbox}.{self._batch}.{sent + 1}" if asks else ""
                await client.publish(subject, encode(change), reply=reply, headers=headers)
            await self._acknowledged_through(len(changes))
        except NATS_FAILURES as error:
            raise Transient(f"publishing to epoch {epoch} was cut short: {error}") from error

    async def _begin(self) -> None:
        if not self._subscribed:
            await self._bus.client.subscribe(f"{self._inbox}.*.*", cb=self._on_acknowledgement)
            self._subscribed = True
        self._batch += 1
        self._acknowledged = 0
        self._refused = None

    async def _on_acknowledgement(self, message: Msg) -> None:
        _, batch, sent = message.subject.rsplit(".", 2)
        if int(batch) != self._batch:
            return  # of a batch that was given up
        if b'"error"' in message.data or not message.data:
            self._refused = message.data.decode(errors="replace") or "no stream takes this subject"
        self._acknowledged = max(self._acknowledged, int(sent))
        self._progress.set()

    def _on_reconnect(self) -> None:
        """Acknowledgements may have been lost with the connection: who waits for them need not wait longer."""
        self._refused = "the connection was lost meanwhile"
        self._progress.set()

    async def _acknowledged_through(self, count: int) -> None:
        async with asyncio.timeout(ACK_TIMEOUT_S):
            while self._acknowledged < count and self._refused is None:
                self._progress.clear()
                await self._progress.wait()
        if self._refused is not None:
            if str(_WRONG_LAST_SEQUENCE) in self._refused:
                raise Conflict(f"another relay is at the end of the stream: {self._refused}")
            raise Transient(f"JetStream refused a message: {self._refused}")
