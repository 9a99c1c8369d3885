"""A keep-alive HTTP/1.1 client that costs little: on the machine that is measured, the load must not be the load."""

import asyncio
from dataclasses import dataclass
from typing import Any, cast

import httptools
import msgspec

from datamodel.errors import Transient


@dataclass(frozen=True, slots=True)
class Answer:
    """A response."""

    status: int
    body: bytes


class _Connection(asyncio.Protocol):
    """One request at a time on one connection."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._chunks: list[bytes] = []
        self._answer: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its bases

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        body = b"".join(self._chunks)
        answer, self._answer, self._chunks = self._answer, None, []
        if answer is not None and not answer.done():
            answer.set_result(Answer(self._parser.get_status_code(), body))
        self._parser = httptools.HttpResponseParser(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Transient(f"the gateway closed the connection: {error}"))

    async def ask(self, request: bytes) -> Answer:
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Client:
    """A fixed number of connections to one gateway, each taken by one request at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._idle: asyncio.Queue[_Connection] = asyncio.Queue()

    async def open(self, connections: int) -> None:
        for _ in range(connections):
            self._idle.put_nowait(await self._connected())

    def close(self) -> None:
        while not self._idle.empty():
            self._idle.get_nowait().close()

    async def get(self, path: str) -> Any:
        """The decoded answer. Raises `Transient` where it is no 2xx."""
        return _decoded(await self.send(self.request("GET", path)))

    async def delete(self, path: str) -> Any:
        """The decoded answer. Raises `Transient` where it is no 2xx."""
        return _decoded(await self.send(self.request("DELETE", path)))

    async def post(self, path: str, document: object) -> Any:
        """The decoded answer. Raises `Transient` where it is no 2xx."""
        return _decoded(await self.send(self.request("POST", path, document)))

    def request(self, method: str, path: str, document: object = None) -> bytes:
        """A request as it is sent, so that many may be ready before the first of them is."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n"
        if document is None:
            return f"{head}\r\n".encode()
        body = msgspec.json.encode(document)
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    async def send(self, request: bytes) -> bytes:
        """The answer's body as it came. Raises `Transient` where it is no 2xx."""
        connection = await self._idle.get()
        try:
            if connection.closed:  # the gateway closes what was idle for a while
                connection = await self._connected()
            answer = await connection.ask(request)
        finally:
            self._idle.put_nowait(connection)
        if not 200 <= answer.status < 300:
            raise Transient(f"the gateway answered {answer.status}: {answer.body.decode(errors='replace')}")
        return answer.body

    async def _connected(self) -> _Connection:
        _, connection = await asyncio.get_running_loop().create_connection(_Connection, self._host, self._port)
        return connection


def _decoded(body: bytes) -> Any:
    return msgspec.json.decode(body) if body else None
