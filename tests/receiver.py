"""A receiver of callbacks: a real HTTP server in the test's process, which answers as the test says."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

NEVER, HUGE, SLOW, DROP = "never", "huge", "slow", "drop"
"""What it may do instead of answering with a status: nothing, an answer without an end, one that comes letter by letter, or
hanging up."""
REDIRECT = b"location: /elsewhere\r\n"


@dataclass
class Taken:
    """A call, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    def is_signed_with(self, key: bytes) -> bool:
        """By Standard Webhooks: HMAC-SHA256 of `id.timestamp.body`, in base64 behind `v1,`."""
        head = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}."
        mine = base64.b64encode(hmac.digest(key, head.encode() + self.body, hashlib.sha256)).decode()
        return self.headers.get("webhook-signature") == f"v1,{mine}"


@dataclass
class Receiver:
    """`answer(number)` is the status of the n-th call from 0, or what it does instead."""

    answer: Callable[[int], int | str] = lambda _: 204
    port: int = 0
    scheme: str = "http"
    taken: list[Taken] = field(default_factory=list)
    connections: int = 0
    at_once: int = 0
    most_at_once: int = 0
    written: int = 0
    """Bytes of answers that went out."""

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await self._answer(reader, writer)
        finally:
            self.at_once -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        number = len(self.taken)
        self.taken.append(Taken(head[0].split(" ")[1], headers, body))
        match self.answer(number):
            case int(status):
                more = REDIRECT if 300 <= status < 400 else b""
                await self._write(writer, b"HTTP/1.1 %d -\r\n%scontent-length: 0\r\n\r\n" % (status, more))
            case "huge":
                await self._write(writer, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                while True:
                    await self._write(writer, b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            case "slow":
                for letter in b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1_000:
                    await self._write(writer, bytes([letter]))
                    await asyncio.sleep(0.02)
            case "never":
                await reader.read()

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data)
        await writer.drain()
        self.written += len(data)


@asynccontextmanager
async def receiving(
    answer: Callable[[int], int | str] = lambda _: 204, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """One that listens on a port of this machine."""
    receiver = Receiver(answer, scheme="https" if tls is not None else "http")
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
