"""NATS' protocols as they are on the line: what a server says to one who asks for what a client library, or another server,
might never ask."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from datamodel.feed.access import Access
from datamodel.identity.credentials import Credential


async def conversation(url: str, connect: Mapping[str, object], *commands: str, access: Access | None = None) -> str:
    """What the server says to these lines of its protocol, in order, until it answers a PING or hangs up."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    greeting = json.loads((await reader.readline()).decode().partition(" ")[2])
    if access is not None:
        credential = access.credential()
        connect = {**connect, "jwt": credential.jwt, "sig": credential.answer(greeting["nonce"]).decode()}
    writer.write("".join(f"{line}\r\n" for line in (f"CONNECT {json.dumps(connect)}", *commands)).encode())
    answers = ""
    while (line := (await reader.readline()).decode()) and line != "PONG\r\n":
        answers += line
    writer.close()
    with suppress(ConnectionError):  # where the server has hung up
        await writer.wait_closed()
    return answers


async def is_allowed(access: Access, action: str, subject: str) -> bool:
    """Whether one may publish (PUB) to a subject, or subscribe (SUB) to it."""
    command = f"PUB {subject} 0\r\n" if action == "PUB" else f"SUB {subject} 1"
    answers = (await conversation(access.url, {}, command, "PING", access=access)).lower()
    assert "authorization" not in answers, answers
    return "permissions violation" not in answers


async def leaf_conversation(url: str, credential: Credential, *commands: str, hold_s: float = 0.0) -> str:
    """What a hub says to one who claims to be a leaf node, until it answers a PING or hangs up. The PING is said after a
    while."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    greeting = json.loads((await reader.readline()).decode().partition(" ")[2])
    signature = credential.answer(greeting["nonce"]).decode()
    connect = {"jwt": credential.jwt, "sig": signature, "name": "raw", "version": "2.15.1"}
    writer.write("".join(f"{line}\r\n" for line in (f"CONNECT {json.dumps(connect)}", *commands)).encode())
    await asyncio.sleep(hold_s)
    writer.write(b"PING\r\n")
    answers = ""
    async with asyncio.timeout(10):
        with suppress(ConnectionError):  # where the server has hung up
            while (line := (await reader.readline()).decode()) and line != "PONG\r\n":
                answers += line
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return answers
