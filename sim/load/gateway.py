"""The target behind a gateway's REST API.

What became of a job is learnt from its own server-sent events. Lists would be asked many times a second to tell running from
accepted, whose distance is some 20 ms, and the answers, of all jobs, would be load that no user makes; an event stream costs
the gateway one connection a job and one read a change, which is what a user who waits for a job costs, and its moments are
those at which that user knows.
"""

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from datamodel.errors import Invalid, Transient
from sim.load.connection import Connection

GROUP = "load"
ANSWER_S = 10.0
"""How long an answer may take before the request counts as unanswered."""
SILENCE_S = 25.0
"""How long an event stream may be silent: the gateway sends something every ten seconds."""


class _Status(msgspec.Struct):
    phase: str


class _Event(msgspec.Struct):
    status: _Status


_event = msgspec.json.Decoder(_Event).decode


class Gateway:
    """One gateway. Connections are opened as they are needed and kept for reuse: a request never waits for one."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None or parts.path not in ("", "/"):
            raise Invalid(f"{url!r} is no gateway's address: it must be http://HOST:PORT", field="url")
        self._host, self._port = parts.hostname, parts.port or 80
        self._resting: list[Connection] = []

    async def make_group(self) -> None:
        """Makes the jobs' group where it is missing. Raises `Transient` where the gateway does not."""
        document = {"spec": {"description": "Jobs of the load generator."}}
        status = await self._ask("PUT", f"/v1/config/job-groups/{GROUP}", document)
        if status >= 400:
            raise Transient(f"the gateway refused the group {GROUP}: {status}")

    async def submit(self, name: str, document: object, key: str) -> int:
        del name  # the document has it
        return await self._ask("POST", "/v1/jobs", document, f"Idempotency-Key: {key}\r\n")

    async def delete(self, name: str) -> int:
        return await self._ask("DELETE", f"/v1/jobs/{GROUP}/{name}")

    async def watch(self, name: str, seen: Callable[[str], None]) -> int:
        request = self._head("GET", f"/v1/jobs/{GROUP}/{name}/events") + b"\r\n"
        try:
            async with asyncio.timeout(SILENCE_S) as silence:
                moved = asyncio.get_running_loop().time

                def deliver(part: bytes) -> None:
                    silence.reschedule(moved() + SILENCE_S)
                    events.feed(part)

                events = _Events(seen)
                return await self._exchange(request, deliver)
        except TimeoutError as error:
            raise Transient(f"the events of {name} were silent for {SILENCE_S:.0f} s") from error

    def close(self) -> None:
        while self._resting:
            self._resting.pop().close()

    async def _ask(self, method: str, path: str, document: object = None, headers: str = "") -> int:
        body = b"" if document is None else msgspec.json.encode(document)
        head = self._head(method, path) + headers.encode()
        if document is not None:
            head += b"Content-Type: application/json\r\n"
        request = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._exchange(request, lambda _: None)
        except TimeoutError as error:
            raise Transient(f"{method} {path} was not answered within {ANSWER_S:.0f} s") from error

    def _head(self, method: str, path: str) -> bytes:
        return f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n".encode()

    async def _exchange(self, request: bytes, deliver: Callable[[bytes], None]) -> int:
        connection = await self._connected()
        status = await connection.ask(request, deliver)
        self._resting.append(connection)
        return status

    async def _connected(self) -> Connection:
        while self._resting:
            connection = self._resting.pop()
            if connection.usable:
                return connection
            connection.close()
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(Connection, self._host, self._port)
        except OSError as error:
            raise Transient(f"{self._host}:{self._port} does not answer: {error}") from error
        return connection


class _Events:
    """Reads server-sent events from the parts of a body."""

    def __init__(self, seen: Callable[[str], None]) -> None:
        self._seen = seen
        self._rest = b""

    def feed(self, part: bytes) -> None:
        *events, self._rest = (self._rest + part).split(b"\n\n")
        for event in events:
            lines = event.split(b"\n")
            if b"event: deleted" in lines:
                self._seen("deleted")
            for line in lines:
                if line.startswith(b"data: ") and b"event: status" in lines:
                    self._seen(_event(line[len(b"data: ") :]).status.phase)
