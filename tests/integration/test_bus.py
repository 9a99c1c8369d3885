"""A program's connection, and a server that ends it."""

import asyncio
import contextlib
import socket
import struct

import pytest

from datamodel.errors import Forbidden, Invalid, Transient
from datamodel.feed.access import Access
from datamodel.feed.bus import Bus, connect
from datamodel.identity.credentials import Credential
from datamodel.identity.nkeys import Key

_INFO = b'INFO {"server_id":"s","version":"2.15.0","proto":1,"max_payload":1048576,"headers":true,"nonce":"n"}\r\n'
_AT_ONCE = struct.pack("ii", 1, 0)


async def shuts_the_door(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Lets a client in, and at its first message says that its credential has expired, and resets the line."""
    writer.write(_INFO)
    while line := await reader.readline():
        if line == b"PING\r\n":
            writer.write(b"PONG\r\n")
        elif line.startswith(b"PUB"):
            writer.write(b"-ERR 'User Authentication Expired'\r\n")
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            writer.transport.abort()
            return


async def talk(bus: Bus) -> None:
    """Has something unsent at every moment."""
    while True:
        with contextlib.suppress(Transient):
            await bus.publish("a", b"x")
        await asyncio.sleep(0)


async def test_who_is_shut_out_amid_its_words_knows_that_it_is() -> None:
    server = await asyncio.start_server(shuts_the_door, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        bus = await connect(Access(f"nats://{host}:{port}", Credential(Key.new("user"), "jwt")), "talker")
        with pytest.raises(Forbidden, match="expired"):
            async with asyncio.timeout(10):
                await bus.while_admitted(talk(bus))
        assert not bus.connected
        await bus.close()


async def test_whoever_gives_up_while_it_connects_leaves_no_line_open() -> None:
    """Else it is left to the collector of garbage, whenever that comes."""
    called, left = asyncio.Event(), asyncio.Event()

    async def says_nothing_more(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_INFO)
        while await reader.read(1_000):
            called.set()
        left.set()
        writer.close()

    server = await asyncio.start_server(says_nothing_more, "127.0.0.1", 0)
    async with server, asyncio.timeout(10):
        host, port = server.sockets[0].getsockname()
        access = Access(f"nats://{host}:{port}", Credential(Key.new("user"), "jwt"))
        connecting = asyncio.create_task(connect(access, "hasty"))
        await called.wait()
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        await left.wait()


@pytest.mark.parametrize(
    "url", ["foo", "", "http://127.0.0.1:8080", "nats://", "nats://[", "nats://h:99999", "nats://h:1,x"]
)
async def test_what_is_no_server_is_refused_at_once(url: str) -> None:
    with pytest.raises(Invalid, match="is no server of NATS"):
        await connect(Access(url, Credential(Key.new("user"), "jwt")), "lost")


@pytest.mark.parametrize("url", ["nats://me:secret@h:1", "http://me:secret@h", "nats://h:1,me:secret@h"])
async def test_a_password_in_an_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(Invalid, match="has no user and no password") as refused:
        await connect(Access(url, Credential(Key.new("user"), "jwt")), "told")
    assert "secret" not in refused.value.message
