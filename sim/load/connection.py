"""A keep-alive HTTP/1.1 connection whose answers may be streams; it costs little, since the load must not be the load."""

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

from datamodel.errors import Transient

IDLE_S = 3.0
"""A connection that rested longer is not used again: the server is about to close it."""


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[int] | None = None
        self._deliver: Callable[[bytes], None] | None = None
        self._rests_since_s = 0.0
        self._now_s = asyncio.get_running_loop().time
        self._closed = False

    @property
    def usable(self) -> bool:
        return not self._closed and self._answer is None and self._now_s() - self._rests_since_s < IDLE_S

    async def ask(self, request: bytes, deliver: Callable[[bytes], None]) -> int:
        """The status of the answer, once all of its body was given to `deliver`, part by part. Raises `Transient` where the
        connection breaks before. One that is left before its answer is closed: the rest of it is nobody's."""
        assert self._transport is not None
        assert self._answer is None
        self._answer, self._deliver = asyncio.get_running_loop().create_future(), deliver
        if self._closed:
            raise Transient("the connection was closed before the request")
        try:
            self._transport.write(request)
            return await self._answer
        except BaseException:
            self.close()
            raise
        finally:
            self._answer = self._deliver = None
            self._rests_since_s = self._now_s()

    def close(self) -> None:
        self._closed = True
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its bases
        self._rests_since_s = self._now_s()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._break(f"what came is no HTTP: {error}")
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._closed = True
        self._break(f"the connection was closed: {error or 'by the server'}")

    def on_body(self, body: bytes) -> None:
        if self._deliver is not None:
            self._deliver(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        self._closed = self._closed or not self._parser.should_keep_alive()
        self._parser = httptools.HttpResponseParser(self)
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(status)

    def _break(self, reason: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Transient(reason))
