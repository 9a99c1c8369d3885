"""Streams of JetStream that keep something for a time, beside the feed.

`Nats-Expected-Last-Subject-Sequence` on every message makes a second writer, and a message that is sent again, harmless.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple

import nats.js.errors
from nats.js.api import Header, StreamConfig

from datamodel.errors import Transient
from datamodel.feed.bus import NATS_FAILURES, REQUEST_TIMEOUT_S, Bus

_WRONG_LAST_SEQUENCE = (10071, 10164)
_EXPECTED = Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value


class Kept(NamedTuple):
    """One message. Sequences are the stream's, and grow."""

    sequence: int
    body: bytes


class KeptStream:
    """One of them, by its name. Everything raises `Transient` where nothing answers or there is no such stream yet."""

    def __init__(self, bus: Bus, name: str) -> None:
        self.bus = bus
        self.name = name

    async def append(
        self, subject: str, after: int, body: bytes, *, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> int | None:
        """The sequence of a message that is kept now; None where the last one of its subject is not `after` (0: there is
        none)."""
        with self.answering():
            try:
                async with self._until_reconnected():
                    stream = self.bus.client.jetstream(timeout=timeout_s)
                    return (await stream.publish(subject, body, headers={_EXPECTED: str(after)})).seq
            except nats.js.errors.APIError as error:
                if error.err_code in _WRONG_LAST_SEQUENCE:
                    return None
                raise

    async def last(self, subject: str) -> Kept | None:
        """The newest message of a subject."""
        with self.answering():
            try:
                found = await self.bus.manager.get_last_msg(self.name, subject, direct=True)
            except nats.js.errors.NotFoundError:
                return None
            return Kept(found.seq or 0, found.data or b"")

    async def subjects(self, wanted: str) -> set[str]:
        """Those that have a message, of the wanted ones."""
        with self.answering():
            info = await self.bus.manager.stream_info(self.name, subjects_filter=wanted)
            return set(info.state.subjects or ())

    async def kept_s(self) -> float:
        """For how long messages are kept at most."""
        with self.answering():
            return (await self.bus.manager.stream_info(self.name)).config.max_age or float("inf")

    async def limit_bytes(self) -> float:
        """How much all messages take at most."""
        with self.answering():
            limit_bytes = (await self.bus.manager.stream_info(self.name)).config.max_bytes
            return limit_bytes if limit_bytes is not None and limit_bytes >= 0 else float("inf")

    @asynccontextmanager
    async def _until_reconnected(self) -> AsyncIterator[None]:
        """Raises `TimeoutError` when the connection is another one: an answer was lost with the former."""
        async with asyncio.timeout(None) as limit:

            def end() -> None:
                if not limit.expired():
                    limit.reschedule(asyncio.get_running_loop().time())

            self.bus.on_reconnect(end)
            try:
                yield
            finally:
                self.bus.off_reconnect(end)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Around anything that is asked of the server."""
        if not self.bus.connected:  # else it would wait in the client before everything else that is to be sent
            raise Transient("NATS is not reached")
        try:
            yield
        except NATS_FAILURES as error:
            raise Transient(f"JetStream did not answer: {error}") from error


async def keep(bus: Bus, config: StreamConfig) -> bool:
    """Makes the stream where there is none, and gives it these bounds; whether it was made. Raises `Transient`."""
    assert config.name is not None, "a stream is found by its name"
    try:
        try:
            present = (await bus.manager.stream_info(config.name)).config
        except nats.js.errors.NotFoundError:
            await bus.manager.add_stream(config)
            return True
        if (present.max_age, present.max_bytes) != (config.max_age, config.max_bytes):
            await bus.manager.update_stream(config)
    except NATS_FAILURES as error:
        raise Transient(f"the stream {config.name} could not be made: {error}") from error
    return False
