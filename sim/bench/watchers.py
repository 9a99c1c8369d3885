"""Many idle watchers of one collection on one gateway: how soon a change has reached all of them, and how soon their streams
end when the gateway stops.

Each is a connection of its own and costs little here: it looks for two words in what comes, and decodes nothing.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from signal import SIGTERM
from typing import Any, cast

from datamodel.errors import Transient
from datamodel.program import open_many_files
from deploy.local.ports import HOST
from sim.bench.client import Client
from sim.bench.report import latencies, spread
from sim.bench.scenarios import document
from sim.bench.stack import Stack, stack

WATCHERS = 2_000
CHANGES = 5
OPENING = 100
"""That connect at a time."""
TIMEOUT_S = 60.0
REACHED_S = 2.0
ENDED_S = 1.0
"""Aims: until the last watcher is told of a change, and until the last stream has ended."""

_GROUP = "watched"
_LISTED, _TOLD = b"event: bookmark\n", b"event: added\n"


class _Stream(asyncio.Protocol):
    """One watcher."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._transport: asyncio.Transport | None = None
        self._came = b""
        self._word, self._seen = _LISTED, asyncio.get_running_loop().create_future()
        self.ended: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its bases
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self._seen.done():
            self._came += data
            if self._word in self._came:
                self._seen.set_result(time.perf_counter())

    def connection_lost(self, error: Exception | None) -> None:
        self.ended.set_result(time.perf_counter())
        if not self._seen.done():
            self._seen.set_exception(Transient(f"a watch ended: {error} {self._came[:200]!r}"))

    async def listed(self) -> None:
        """Returns when it has been told what there is. Raises `Transient` where the stream ends before."""
        await self._seen

    def told(self) -> "asyncio.Future[float]":
        """When it is told of the next new node."""
        self._came, self._word, self._seen = b"", _TOLD, asyncio.get_running_loop().create_future()
        return self._seen

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Watchers:
    """They watch, and hear of nothing else. Raises `Transient` where that takes a minute, or a stream ends."""

    def __init__(self, streams: Sequence[_Stream]) -> None:
        self._streams = streams

    async def reached(self, change: Awaitable[object]) -> list[float]:
        """Seconds from the beginning of a change, which makes a node, until each is told of it."""
        told = [stream.told() for stream in self._streams]
        return await self._since(time.perf_counter(), change, told)

    async def ended(self, end: Awaitable[object]) -> list[float]:
        """Seconds from the beginning of what ends the streams until each has ended."""
        return await self._since(time.perf_counter(), end, [stream.ended for stream in self._streams])

    async def _since(
        self, began: float, cause: Awaitable[object], effects: Sequence["asyncio.Future[float]"]
    ) -> list[float]:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await cause
                return [at - began for at in await asyncio.gather(*effects)]
        except TimeoutError as error:
            missing = sum(not effect.done() for effect in effects)
            raise Transient(f"after {TIMEOUT_S:.0f} s {missing} watchers were left") from error


@contextlib.asynccontextmanager
async def watchers(port: int, path: str, count: int = WATCHERS) -> AsyncIterator[Watchers]:
    """So many watchers of a collection, once all of them have been told what there is."""
    open_many_files()
    loop, streams = asyncio.get_running_loop(), list[_Stream]()
    request = f"GET /v1{path}?watch=true HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode()
    try:
        while len(streams) < count:
            some = min(OPENING, count - len(streams))
            made = await asyncio.gather(
                *(loop.create_connection(lambda: _Stream(request), HOST, port) for _ in range(some))
            )
            streams += [stream for _, stream in made]
            await asyncio.gather(*(stream.listed() for _, stream in made))
        yield Watchers(streams)
    finally:
        for stream in streams:
            stream.close()


async def watched() -> dict[str, Any]:
    """The figures, on a system of its own."""
    async with stack(edges=1) as system:
        client = Client(HOST, system.port)
        await client.open(1)
        with contextlib.closing(client):
            return {"watchers": await figures(system, client)}


async def figures(system: Stack, client: Client, *, count: int = WATCHERS, changes: int = CHANGES) -> dict[str, Any]:
    """Of a change the slowest watcher counts, of several changes their median. At the end the gateway is told to stop."""
    await client.post("/v1/config/job-groups", {"metadata": {"name": _GROUP}})
    began = time.perf_counter()
    async with watchers(system.port, f"/config/job-groups/{_GROUP}/jobs", count) as all_of_them:
        opened_s, last_s = time.perf_counter() - began, list[float]()
        for number in range(changes):
            job = {**document(f"j{number}"), "group": _GROUP}
            reached = await all_of_them.reached(client.post("/v1/jobs", job))
            last_s.append(max(reached))
            await asyncio.sleep(1)  # what else becomes of the job is told meanwhile
        ended = await all_of_them.ended(_stopped(system.gateway_pid))
    return {
        "count": count,
        "openedInS": round(opened_s, 2),
        "lastToldMs": spread([seconds * 1000 for seconds in last_s]),
        "endedMs": latencies(ended),
        "held": max(last_s) < REACHED_S and max(ended) < ENDED_S,
    }


async def _stopped(pid: int) -> None:
    os.kill(pid, SIGTERM)
