"""A way through which an agent reaches NATS: it counts what goes over it, and can be cut."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

from deploy.local.ports import HOST, free_port

_PART_BYTES = 65_536


class Meter:
    """Made by `metered`. `sent` and `received` are bytes, as the agent sees them: those of the streams over TCP, without the
    headers of packets. While it `is_cut`, nobody gets through, and nobody is told."""

    def __init__(self, url: str, port: int) -> None:
        self._target = urlsplit(url)
        self.url = urlunsplit(self._target._replace(netloc=f"{self._target.hostname}:{port}"))
        """Where NATS is reached through it."""
        self.sent = self.received = 0
        self._connections: set[asyncio.StreamWriter] = set()
        self.is_cut = False

    @property
    def connections(self) -> int:
        """How many there are now."""
        return len(self._connections) // 2

    def cut(self) -> None:
        """Ends every connection, and makes none until `mend`."""
        self.is_cut = True
        for writer in self._connections:
            writer.close()

    def mend(self) -> None:
        """The link is back."""
        self.is_cut = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        with contextlib.closing(writer):
            if self.is_cut:
                return
            there, back = await asyncio.open_connection(self._target.hostname, self._target.port)
            with contextlib.closing(back):
                self._connections |= {writer, back}
                ways = [asyncio.create_task(self._carry(reader, back)), asyncio.create_task(self._bring(there, writer))]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)
                    self._connections -= {writer, back}

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while part := await reader.read(_PART_BYTES):
            self.sent += len(part)
            writer.write(part)
            await writer.drain()

    async def _bring(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while part := await reader.read(_PART_BYTES):
            self.received += len(part)
            writer.write(part)
            await writer.drain()


@asynccontextmanager
async def metered(url: str) -> AsyncIterator[Meter]:
    """A way to a server, for as long as the block runs."""
    port = free_port()
    meter = Meter(url, port)
    server = await asyncio.start_server(meter.serve, HOST, port)
    try:
        yield meter
    finally:
        meter.cut()
        server.close()
        await server.wait_closed()
