"""How soon a watcher of the API sees what an edge reports, at a steady rate.

An agent without a runtime runs here: a real outbox on a real disk, a real link, a group of edges on which the hub places
chunks. It reports their progress, each chunk's in turn, at a rate that waits for nobody. One watch over HTTP sees all attempts;
a report counts when that shows its percent, or a later one. So the figure has the outbox's write, the way to the hub, the
commit in the database, the feed and the gateway in it, and the watcher's decoding too.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec

from agents.desk import Desk
from agents.link import Link
from agents.outbox import Outbox
from agents.sqlite_journal import SqliteJournal
from datamodel.feed.bus import connect
from datamodel.feed.follow import NatsFeed
from datamodel.feed.signing import Signing
from datamodel.names import last_name
from datamodel.ports import FeedItem, Message
from datamodel.scheduling import wire
from datamodel.scheduling.edges import place_of
from deploy.local.ports import HOST
from sim.bench.client import Client
from sim.bench.report import latencies
from sim.bench.scenarios import document
from sim.bench.stack import Stack, stack
from sim.bench.waiting import done, until

SITE, AGENT, EDGES = "near", "teller", 100
RATE, SECONDS, CHUNKS = 2_000, 20, 2_000
WARM_S = 3.0
TICK_S = 0.005
P50_BAR_MS, P99_BAR_MS = 25.0, 100.0


class _Status(msgspec.Struct):
    percent: float = 0.0


class _Meta(msgspec.Struct):
    path: str


class _Shown(msgspec.Struct):
    metadata: _Meta
    status: _Status = msgspec.field(default_factory=_Status)


_decode = msgspec.json.Decoder(_Shown).decode


class Told:
    """What was reported of each attempt, and how long it took to be seen."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[tuple[float, float]]] = {}
        self.took_s: list[float] = []
        self.waiting = 0

    def report(self, attempt: str, percent: float) -> None:
        """It is reported now."""
        self._waiting.setdefault(attempt, deque()).append((percent, time.perf_counter()))
        self.waiting += 1

    def see(self, attempt: str, percent: float) -> None:
        """The API shows it with so much done."""
        waiting, now_s = self._waiting.get(attempt), time.perf_counter()
        while waiting and waiting[0][0] <= percent:
            self.took_s.append(now_s - waiting.popleft()[1])
            self.waiting -= 1


async def latency(*, rate: int = RATE, seconds: float = SECONDS, chunks: int = CHUNKS) -> dict[str, Any]:
    """Milliseconds from a report's handing over to the outbox until the watcher has read it, at so many reports a second."""
    async with stack(edges=0) as system, _agent(system) as (outbox, attempts):
        client = Client(HOST, system.port)
        await client.open(1)
        with contextlib.closing(client):
            await client.post("/v1/jobs", document("told", chunks=chunks))
        await until(done(lambda: len(attempts) >= chunks), "all chunks to be placed")
        told = Told()
        async with _watching(system, told):
            await _report(outbox, told, list(attempts), rate=rate, seconds=WARM_S)
            await until(done(lambda: not told.waiting), "the first reports to be seen")
            told.took_s.clear()
            began = time.perf_counter()
            await _report(outbox, told, list(attempts), rate=rate, seconds=seconds, percent=50.0)
            took_s = time.perf_counter() - began
            await until(done(lambda: not told.waiting), "all reports to be seen")
    figures = latencies(told.took_s)
    return {
        "ratePerS": round(len(told.took_s) / took_s),
        **figures,
        "barsMs": [P50_BAR_MS, P99_BAR_MS],
        "held": figures["p50"] < P50_BAR_MS and figures["p99"] < P99_BAR_MS,
    }


@asynccontextmanager
async def _agent(system: Stack) -> AsyncIterator[tuple[Outbox, set[str]]]:
    """The outbox of an agent that is linked to the hub, and the paths of the attempts that its edges are to run."""
    edges, attempts = wire.hosted_edges(AGENT, EDGES), set[str]()

    def deliver(item: FeedItem) -> None:
        if isinstance(item, Message) and not item.deleted:
            attempts.add(item.path)

    access = await system.enrolled(SITE, AGENT, EDGES)
    bus = await connect(access, "bench agent")
    messages = Signing(bus, access.credential().key)
    desk = Desk(messages, SITE, AGENT, edges)
    try:
        await desk.listen()
        async with Outbox(SqliteJournal(system.home / "teller" / "outbox.sqlite")) as outbox:
            link = Link(messages, NatsFeed(bus, desk), outbox, SITE, AGENT, edges)
            task = asyncio.create_task(link.run(deliver, lambda: None))
            await asyncio.gather(*(outbox.add(wire.encode(_introduction(edge))) for edge in edges))
            try:
                yield outbox, attempts
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
    finally:
        await bus.close()


def _introduction(edge: str) -> wire.EdgeReport:
    return wire.EdgeReport(
        edge=edge,
        at=datetime.now(UTC),
        cpu=16.0,
        memory_bytes=64 * 2**30,
        power_w=1_000.0,
        runtime="simulated",
        agent_version="bench",
    )


async def _report(
    outbox: Outbox, told: Told, attempts: Sequence[str], *, rate: int, seconds: float, percent: float = 0.0
) -> None:
    """Reports of one attempt after the other, and again with a little more."""
    began, tasks, sent = time.perf_counter(), set[asyncio.Task[int]](), 0
    while sent < rate * seconds:
        while sent < min(rate * seconds, (time.perf_counter() - began) * rate):
            path = attempts[sent % len(attempts)]
            done_percent = percent + 0.1 * (1 + sent // len(attempts))
            report = wire.AttemptReport(
                edge=place_of(path)[1],
                attempt=last_name(path),
                phase="running",
                at=datetime.now(UTC),
                percent=round(done_percent, 1),
                started_at=datetime.now(UTC),
            )
            told.report(path, report.percent)
            task = asyncio.create_task(outbox.add(wire.encode(report)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            sent += 1
        await asyncio.sleep(TICK_S)
    await asyncio.gather(*tasks)


@asynccontextmanager
async def _watching(system: Stack, told: Told) -> AsyncIterator[None]:
    """A watch of all attempts over HTTP, once it has been told what there is."""
    reader, writer = await asyncio.open_connection(HOST, system.port, limit=2**24)
    writer.write(f"GET /v1/kinds/Attempt/nodes?watch=true HTTP/1.1\r\nHost: {HOST}:{system.port}\r\n\r\n".encode())
    listed = asyncio.Event()

    async def read() -> None:
        while line := await reader.readline():
            if line.startswith(b"event: bookmark"):
                listed.set()
            elif line.startswith(b"data: {") and b'"Attempt"' in line:
                shown = _decode(line[6:])
                told.see(shown.metadata.path, shown.status.percent)

    task = asyncio.create_task(read())
    try:
        async with asyncio.timeout(60.0):
            await listed.wait()
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        writer.close()
