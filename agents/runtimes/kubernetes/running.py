"""Running a program in a container of a pod, by the protocol of the API server's websockets: what is said on which channel.

https://kubernetes.io/docs/reference/using-api/api-concepts/ and k8s.io/apimachinery/pkg/util/remotecommand name the channels;
the fifth version of the protocol (Kubernetes 1.30) is the first in which a client can end what it sends.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import aiohttp

from datamodel.errors import Invalid, NotFound, Transient

PROTOCOL = "v5.channel.k8s.io"
SILENCE_S = 60.0
"""How long neither side may be waited for."""
_STDIN, _STDOUT, _STDERR, _STATUS, _CLOSE = 0, 1, 2, 3, 255
_SAID_BYTES = 4096


async def run(socket: aiohttp.ClientWebSocketResponse, given: AsyncIterator[bytes] | None, limit_bytes: int) -> bytes:
    """What the program writes to stdout, once it has ended well. Raises `Transient` where it has not, where it writes more
    than so much, and where nothing comes of it for long."""
    try:
        if given is not None:
            async for data in given:
                async with asyncio.timeout(SILENCE_S):
                    await socket.send_bytes(bytes((_STDIN,)) + data)
            await socket.send_bytes(bytes((_CLOSE, _STDIN)))
        return await _answer(socket, limit_bytes)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise Transient(f"a program in a pod: {error!r}") from error


async def _answer(socket: aiohttp.ClientWebSocketResponse, limit_bytes: int) -> bytes:
    out, said = bytearray(), bytearray()
    while True:
        message = await socket.receive(timeout=SILENCE_S)
        if message.type is not aiohttp.WSMsgType.BINARY:
            raise Transient(f"a program in a pod: the connection ended ({message.type.name})")
        channel, data = message.data[0], message.data[1:]
        if channel == _STDOUT:
            out += data
        elif channel == _STDERR:
            said += data[: _SAID_BYTES - len(said)]
        elif channel == _STATUS:
            await socket.receive(timeout=SILENCE_S)  # the server's goodbye
            _check(json.loads(data), said.decode(errors="replace"))
            return bytes(out)
        if len(out) > limit_bytes:
            raise Transient(f"a program in a pod wrote more than {limit_bytes} bytes")


def _check(status: Any, said: str) -> None:
    if not isinstance(status, dict) or status.get("status") != "Success":
        told = status.get("message", "") if isinstance(status, dict) else ""
        raise Transient(f"a program in a pod: {told} {said}".rstrip())


def refused(error: aiohttp.WSServerHandshakeError) -> Exception:
    """Why there is no such connection. Where the container has not begun, or has ended, that is for now."""
    if error.status == HTTPStatus.NOT_FOUND:
        return NotFound("no such pod")
    if error.status == HTTPStatus.FORBIDDEN:
        return Invalid("the agent's account may not run programs in pods (pods/exec)")
    return Transient(f"the API server runs no program in a pod: {error.status} {error.message}")
