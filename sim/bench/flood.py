"""Heartbeats and reports of one agent while a chunk of it floods its log, beside the same without a flood.

The agent hosts 201 edges. On as many of the 200 others as the runtime bears on a small machine, a chunk runs: all of them as
processes, 24 as containers. They begin together and end one after the other, all the while. A beat speaks for all edges of an
agent. It is late by as much as it comes more than a beat's interval after the one before, at a subscriber of the hub's server;
the report of a chunk's end by as much as it comes there after the last thing that the chunk did: to write down what
`/proc/uptime` says.
"""

import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from agents.runtimes.docker.attempt import attempts_of
from datamodel.errors import Transient
from datamodel.feed.access import Access
from datamodel.feed.bus import Bus, connect
from datamodel.identity.envelope import body_of
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling import windows, wire
from datamodel.scheduling.model import MODEL
from deploy.local.nats import SITE
from deploy.local.ports import HOST
from gateway.jobs import job_path
from sim.bench.client import Client
from sim.bench.engine import IMAGE, engine
from sim.bench.stack import stack
from sim.bench.waiting import done, until

EDGE = f"bench-{os.getpid()}"
OTHERS = 200
RUNNING = {"process": OTHERS, "docker": 24}
"""Chunks on other edges."""
FLOOD_BYTES = 100_000_000
QUIET, AFTER = 15, 12
"""Beats before the flood, and once it has ended, while the last of its log is on its way."""
BAR_MS = 1_000.0

_OTHER = """sleep $((5 + 100 * CHUNK_INDEX / CHUNK_COUNT))
read up idle < /proc/uptime
echo "{\\"upS\\": $up}" > $SHARED_DIR/result.json"""
_FLOOD = f"head -c {FLOOD_BYTES} /dev/zero | tr '\\0' y | fold -w 99"


@dataclass
class Beats:
    """How late each came, in seconds, and for how many edges it spoke. The first comes with no other before it."""

    late_s: list[float] = field(default_factory=list)
    edges: int = 0
    _heard_s: float | None = None

    def hear(self, _: str, body: bytes) -> None:
        now_s = time.perf_counter()
        if self._heard_s is not None:
            self.late_s.append(max(0.0, now_s - self._heard_s - wire.BEAT_S))
        self._heard_s = now_s
        self.edges = wire.decode_beat(body_of(body)).hosted


@dataclass
class Ends:
    """How late the report of each end was that the chunks beside have told, in seconds."""

    late_s: list[float] = field(default_factory=list)
    _heard: set[str] = field(default_factory=set)

    def hear(self, _: str, body: bytes) -> None:
        now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        for report in map(wire.decode_report, windows.decode_window(body_of(body)).reports):
            if (
                isinstance(report, wire.AttemptReport)
                and report.outputs is not None
                and report.attempt not in self._heard
            ):
                self._heard.add(report.attempt)
                self.late_s.append(max(0.0, now_s - float(report.outputs["upS"])))


async def floods() -> dict[str, Any]:
    """Of a process, and of a container where there is an engine."""
    figures = {"floodOfProcess": await flooded("process", lambda: True)}
    try:
        with engine() as api:
            edges = {f"{EDGE}-{number}" for number in range(OTHERS + 1)}
            figures["floodOfContainer"] = await flooded("docker", lambda: not attempts_of(api, SITE, edges))
    except Transient as error:
        figures["floodOfContainer"] = {"not measured": error.message}
    return figures


async def flooded(runtime: Literal["process", "docker"], cleared: Callable[[], bool]) -> dict[str, Any]:
    """`cleared`: nothing is left of what ran. `chunksBeside`: how many ran at first and at last. Raises `Transient` where a job
    does not come to its end."""
    settings = {"EDGE_RUNTIME": runtime, "EDGE_NAME": EDGE, "EDGE_CPU": "1"}
    async with (
        stack(edges=OTHERS + 1, **settings) as system,
        PostgresStore(system.database_url, MODEL) as store,
        _client(system.port) as client,
        _bus(system.nats) as bus,
    ):
        await client.post("/v1/jobs", _document("others", RUNNING[runtime], _OTHER))
        await until(lambda: _begun(client, "others", RUNNING[runtime]), "the other chunks to run")
        beats, ends = Beats(), Ends()
        await bus.subscribe(wire.beat_subject(SITE, "*"), beats.hear)
        await bus.subscribe(wire.report_subject(SITE, ">"), ends.hear)
        await until(done(lambda: len(beats.late_s) >= QUIET), "beats without a flood")
        quiet, beats.late_s, ends.late_s = (beats.late_s, ends.late_s), [], []
        began = time.perf_counter()
        await client.post("/v1/jobs", _document("flood", 1, _FLOOD))
        await until(lambda: _begun(client, "flood", 1, "succeeded"), "the flood to end")
        took_s, heard = time.perf_counter() - began, len(beats.late_s)
        await until(done(lambda: len(beats.late_s) >= heard + AFTER), "beats after the flood")
        late_s, reports_s = list(beats.late_s), list(ends.late_s)  # and not what comes while so many are ended
        running = (await client.get("/v1/jobs/default/others"))["status"]["chunks"].get("running", 0)
        await client.delete("/v1/jobs/default/others")
        await until(lambda: _gone(store, job_path("default", "others")), "the other chunks to be ended")
        await until(done(cleared), "nothing to be left")
    return {
        "edges": beats.edges,
        "chunksBeside": [RUNNING[runtime], running],
        "floodBytes": FLOOD_BYTES,
        "floodS": round(took_s, 1),
        "beats": len(late_s),
        "worstLateMs": round(max(late_s) * 1000, 1),
        "worstLateWithoutFloodMs": round(max(quiet[0]) * 1000, 1),
        "endsReported": len(reports_s),
        "reportLateMs": _spread(reports_s),
        "reportLateWithoutFloodMs": _spread(quiet[1]),
        "barMs": BAR_MS,
        "held": max(late_s) * 1000 < BAR_MS and max(reports_s, default=0.0) * 1000 < BAR_MS,
    }


def _spread(late_s: list[float]) -> dict[str, float] | None:
    """The median and the worst in milliseconds; None where there are none."""
    late_ms = sorted(one * 1000 for one in late_s)
    if not late_ms:
        return None
    return {"p50": round(late_ms[len(late_ms) // 2], 1), "worst": round(late_ms[-1], 1)}


@contextlib.asynccontextmanager
async def _client(port: int) -> AsyncIterator[Client]:
    client = Client(HOST, port)
    await client.open(1)
    with contextlib.closing(client):
        yield client


@contextlib.asynccontextmanager
async def _bus(access: Access) -> AsyncIterator[Bus]:
    bus = await connect(access, "bench")
    try:
        yield bus
    finally:
        await bus.close()


async def _begun(client: Client, name: str, chunks: int, *phases: str) -> bool:
    """Whether so many chunks of a job are in one of these phases: without any, running or at their end."""
    found = (await client.get(f"/v1/jobs/default/{name}"))["status"]["chunks"]
    return bool(sum(found.get(phase, 0) for phase in phases or ("running", "succeeded")) >= chunks)


async def _gone(store: PostgresStore, path: str) -> bool:
    return not await store.nodes([path])


def _document(name: str, chunks: int, script: str) -> dict[str, Any]:
    return {
        "name": name,
        "chunks": chunks,
        "requests": {"cpu": 1.0, "memoryBytes": 64 * 2**20, "powerW": 1},
        "steps": [{"name": "work", "image": IMAGE, "script": script}],
    }
