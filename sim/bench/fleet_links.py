"""What idle edges send and get, and how soon the reports of a cut are committed once the link is back.

Both are measured on a way of the agent's own to NATS (`meter.py`). `NODE_BYTES` is what a Kubernetes node costs at the least:
its kubelet renews a Lease every 10 s (a PUT that is answered with the object), and every 5 minutes, where nothing changes, gets
its Node and patches its status, which is answered with the Node. The Lease is counted as protobuf without managed fields, the
Node as 5 kB, as of a node without images and volumes; the proposal that brought Leases in has 20 kB as the average of
production clusters (kubernetes/enhancements, KEP-589). HTTP's headers, TLS and a kubelet's watches are left out.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from datamodel.feed.bus import connect
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling import wire
from datamodel.scheduling.edges import ONLINE
from datamodel.scheduling.model import MODEL
from deploy.local.ports import HOST
from sim.bench.client import Client
from sim.bench.meter import Meter, metered
from sim.bench.scenarios import document
from sim.bench.stack import Stack, stack
from sim.bench.waiting import done, until

GROUP = 1_000
CHUNKS = 6_000
"""Each tells of its progress once and of its end while nobody listens: 10,000 reports."""
FAR, CUT = "far", "cut"
CATCH_UP_BAR_S = 10.0
SETTLED_S = 8.0

_NAME = "ip-10-0-12-34.eu-west-1.compute.internal"
_UID, _VERSION, _TIME = "0c3c4c1e-7d5f-4c1a-9a43-5f0e2d9f6b11", "123456789", "0123456789ab"
_LEASE = ("coordination.k8s.io/v1", "Lease", _NAME, "kube-node-lease", _UID, _VERSION, _TIME)
_OWNER = ("v1", "Node", _NAME, _UID)
_SPEC = (_NAME, "40", _TIME)
LEASE_BYTES = sum(len(value) + 2 for value in (*_LEASE, *_OWNER, *_SPEC))
"""As protobuf: each value, and two bytes for its tag and its length."""
LEASES_PER_MINUTE, NODES_PER_MINUTE = 6, 0.2
NODE_OBJECT_BYTES, AVERAGE_NODE_OBJECT_BYTES = 5_000, 20_000


def node_bytes(object_bytes: int) -> int:
    """Of a Kubernetes node with an object of that size, a minute."""
    return round(LEASES_PER_MINUTE * 2 * LEASE_BYTES + NODES_PER_MINUTE * 2 * object_bytes)


async def traffic(*, group: int = GROUP, seconds: float = 60.0) -> dict[str, Any]:
    """Bytes in both directions per edge and minute: of an agent with one edge, and of one with many."""
    async with (
        stack(edges=0) as system,
        PostgresStore(system.database_url, MODEL) as store,
        metered(system.nats.url) as alone,
        metered(system.nats.url) as together,
    ):
        await system.join("alone", 1, "attic", TENDRIL_NATS_URL=alone.url)
        await system.join("together", group, "cellar", TENDRIL_NATS_URL=together.url)
        await until(lambda: _are_online(store, group + 1), "all edges to be online")
        await asyncio.sleep(SETTLED_S)
        began, before = time.perf_counter(), (_sum(alone), _sum(together))
        await asyncio.sleep(seconds)
        minutes = (time.perf_counter() - began) / 60
        one = round((_sum(alone) - before[0]) / minutes)
        many = round((_sum(together) - before[1]) / minutes)
    return {
        "bytesPerMinuteAlone": one,
        "bytesPerMinuteTogether": many,
        "edgesTogether": group,
        "bytesPerEdgeMinuteTogether": round(many / group, 1),
        "kubernetesNodeAtLeast": node_bytes(NODE_OBJECT_BYTES),
        "kubernetesNodeOnAverage": node_bytes(AVERAGE_NODE_OBJECT_BYTES),
        "held": one < node_bytes(NODE_OBJECT_BYTES),
    }


async def caught_up(*, chunks: int = CHUNKS, edges: int = 100, work_s: float = 20.0) -> dict[str, Any]:
    """An agent is cut off while so many chunks run, which all end meanwhile: seconds from the link's return until the hub has
    committed all that was told meanwhile, and counted every chunk.

    The cut is as long as the chunks take. What waits at its end is the end of each, and what each has told before, so where no
    more than the last of that is kept, an hour's cut leaves as many.
    """
    async with (
        stack(edges=0) as system,
        PostgresStore(system.database_url, MODEL) as store,
        metered(system.nats.url) as meter,
        _committed(system) as committed,
    ):
        trace = system.home / "power.csv"
        each = -(-chunks // edges)
        trace.write_text(f"seconds,watts\n0,{each}\n3600,{each}\n", encoding="utf-8")
        await system.join(
            CUT,
            edges,
            FAR,
            TENDRIL_NATS_URL=meter.url,
            EDGE_SIMULATED_TRACE=str(trace),
            EDGE_CPU=str(each),
            EDGE_POWER_W=str(each),
        )
        await until(lambda: _are_online(store, edges), "all edges to be online")
        await _submitted(system, chunks, work_s)
        await until(lambda: _are(store, "running", chunks), "all chunks to run")
        meter.cut()
        await asyncio.sleep(work_s + 2.0)
        ended = (await store.sum_totals()).phases.get("succeeded", 0)
        through, sent, began = committed.through, meter.sent, time.perf_counter()
        meter.mend()
        await until(lambda: _are(store, "succeeded", chunks), "all reports to be committed")
        took_s = time.perf_counter() - began
        await until(done(lambda: committed.through - through >= chunks - ended), "the agent to be told so")
        reports = committed.through - through
    return {
        "reports": reports,
        "chunks": chunks,
        "seconds": round(took_s, 2),
        "bytesSent": meter.sent - sent,
        "barS": CATCH_UP_BAR_S,
        "held": took_s < CATCH_UP_BAR_S and not ended,
    }


class _Committed:
    """How far the hub has told the agent that is cut off to be."""

    through = 0

    def hear(self, _: str, body: bytes) -> None:
        self.through = max(self.through, wire.decode_committed(body).through)


@asynccontextmanager
async def _committed(system: Stack) -> AsyncIterator[_Committed]:
    bus = await connect(system.nats, "bench")
    try:
        committed = _Committed()
        await bus.subscribe(wire.committed_subject(FAR, CUT), committed.hear)
        yield committed
    finally:
        await bus.close()


async def _submitted(system: Stack, chunks: int, work_s: float) -> None:
    client = Client(HOST, system.port)
    await client.open(1)
    try:
        await client.post("/v1/jobs", document("far", chunks=chunks, work_ws=chunks * work_s))
    finally:
        client.close()


async def _are_online(store: PostgresStore, edges: int) -> bool:
    return (await store.count_by_phase("Edge")).get(ONLINE, 0) >= edges


async def _are(store: PostgresStore, phase: str, count: int) -> bool:
    return (await store.sum_totals()).phases.get(phase, 0) >= count


def _sum(meter: Meter) -> int:
    return meter.sent + meter.received
