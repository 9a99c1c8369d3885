"""Transcripts on JetStream: one stream for all, a subject for each.

What is published reaches plain subscribers of the subject too, and so wakes who watches.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import nats.js.errors
from nats.aio.msg import Msg
from nats.js.api import DiscardPolicy, Header, StorageType, StreamConfig

from datamodel.errors import Conflict, Transient
from datamodel.feed.bus import NATS_FAILURES, REQUEST_TIMEOUT_S, Bus
from datamodel.feed.kept import KeptStream, keep
from datamodel.transcripts.ports import ENTRIES_LIMIT, ENTRY_LIMIT_BYTES, READ_ENTRIES, Entry

STREAM = "LOGS"
SUBJECTS = "logs"
"""The first token of every subject."""
READ_BYTES = 4 * 1024 * 1024
"""About the most that one `read` returns."""

_DIRECT_GET = f"$JS.API.DIRECT.GET.{STREAM}"
_STATUS = Header.STATUS.value
_END, _NONE = "204", "404"


def subject_of(key: str) -> str:
    return f"{SUBJECTS}.{key}"


async def keep_stream(bus: Bus, *, kept_s: float, limit_bytes: int) -> bool:
    """Makes the stream where there is none, and gives it these bounds; whether it was made. Raises `Transient`."""
    config = StreamConfig(
        name=STREAM,
        subjects=[f"{SUBJECTS}.*.*.*"],
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_age=kept_s,
        max_bytes=limit_bytes,
        max_msgs_per_subject=ENTRIES_LIMIT,
        max_msg_size=ENTRY_LIMIT_BYTES,
        allow_direct=True,
        duplicate_window=0.1,
    )
    return await keep(bus, config)


class JetTranscripts:
    """The port `Transcripts`. Who has no stream yet, and who is cut off, gets `Transient`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._stream = KeptStream(bus, STREAM)

    async def append(self, key: str, after: int, body: bytes) -> int:
        sequence = await self._stream.append(subject_of(key), after, body)
        if sequence is None:
            raise Conflict(f"{key} does not end at {after}")
        return sequence

    async def last(self, key: str) -> Entry | None:
        found = await self._stream.last(subject_of(key))
        return Entry(*found) if found is not None else None

    async def read(self, key: str, after: int) -> list[Entry]:
        client, inbox = self._bus.client, self._bus.client.new_inbox()
        arrived: asyncio.Queue[Msg] = asyncio.Queue()
        wanted = {
            "seq": after + 1,
            "next_by_subj": subject_of(key),
            "batch": READ_ENTRIES,
            "max_bytes": READ_BYTES,
        }
        with self._stream.answering():
            subscription = await client.subscribe(inbox, cb=arrived.put)
            try:
                await client.publish(_DIRECT_GET, msgspec.json.encode(wanted), reply=inbox)
                return await _batch(arrived)
            finally:
                await subscription.unsubscribe()

    @asynccontextmanager
    async def watch(self, key: str) -> AsyncIterator[asyncio.Event]:
        grown = asyncio.Event()

        async def on_message(_: Msg) -> None:
            grown.set()

        try:
            subscription = await self._bus.client.subscribe(subject_of(key), cb=on_message)
        except NATS_FAILURES as error:
            raise Transient(f"NATS did not take a subscription: {error}") from error
        self._bus.on_reconnect(grown.set)
        try:
            yield grown
        finally:
            self._bus.off_reconnect(grown.set)
            if self._bus.connected:
                await subscription.unsubscribe()

    async def kept_s(self) -> float:
        return await self._stream.kept_s()


async def _batch(arrived: "asyncio.Queue[Msg]") -> list[Entry]:
    """The answers to one batched request (NATS' ADR-31): messages, then one with a status. Raises what nats-py raises."""
    entries: list[Entry] = []
    while True:
        async with asyncio.timeout(REQUEST_TIMEOUT_S):
            message = await arrived.get()
        headers = message.headers or {}
        status = headers.get(_STATUS)
        if status is None:
            entries.append(Entry(int(headers["Nats-Sequence"]), message.data))
        elif status in (_END, _NONE):
            return entries
        else:
            raise nats.js.errors.APIError(code=int(status), description=headers.get(Header.DESCRIPTION.value, ""))
