"""10,000 simulated edges in a few processes: what they and the hub cost, idle and at work, and whether anything waits while
they register, while the hub starts again, and while everything is looked at anew.

`fleet_links.py` has the traffic of idle edges and the catch-up after a cut, `fleet_latency.py` how soon the API shows a report.
"""

import asyncio
import os
import time
from collections.abc import Mapping
from signal import SIGKILL
from typing import Any

from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.edges import ONLINE
from datamodel.scheduling.model import MODEL
from deploy.local.ports import HOST
from sim.bench import fleet_latency, fleet_links
from sim.bench.answers import Asker, asking
from sim.bench.client import Client
from sim.bench.memory import held, used_s
from sim.bench.report import latencies
from sim.bench.scenarios import document, quiet
from sim.bench.stack import Stack, stack
from sim.bench.waiting import until

EDGES, GROUPS = 10_000, 5
BAR_BYTES = 2 * 2**30
RESYNC_S = 75.0
"""In so long every reconciler that looks at everything each minute has done so once."""
SETTLED_S = 3.0


async def fleet() -> dict[str, Any]:
    """The figures that the README quotes."""
    return {
        **await held_by(EDGES, GROUPS, idle_s=RESYNC_S),
        "idleTraffic": await fleet_links.traffic(),
        "catchUp": await fleet_links.caught_up(),
        "statusLatencyMs": await fleet_latency.latency(),
    }


async def held_by(edges: int, groups: int, *, idle_s: float) -> dict[str, Any]:
    """Of so many edges in so many processes, each a site of its own: memory by program, how busy they are while nothing
    happens, and how long an agent waits for an answer of the hub meanwhile."""
    async with (
        stack(edges=0) as system,
        PostgresStore(system.database_url, MODEL) as store,
        asking(system) as asker,
    ):
        await asyncio.sleep(SETTLED_S)
        empty = _sum(held(system.supervisor))
        asker.taken()
        registered_s = await _registered(system, store, edges, groups)
        registering = latencies(asker.taken())
        idle = await _idle(system, asker, idle_s)
        restarted = await _restarted(system, store, asker, edges)
        busy = await _busy(system, store, 2 * edges)
        quiet_mib, most_mib = _sum(idle["heldMiB"]), max(_sum(idle["heldMiB"]), _sum(busy["heldMiB"]))
        return {
            "fleet": {
                "edges": edges,
                "processes": groups,
                "registeredS": registered_s,
                "emptyMiB": _mib(empty),
                "idleMiB": round(quiet_mib, 1),
                "busyMiB": round(most_mib, 1),
                "idleKibPerEdge": round((quiet_mib - _mib(empty)) * 1024 / edges, 1),
                "barMiB": _mib(BAR_BYTES),
                "held": most_mib < _mib(BAR_BYTES),
            },
            "fleetIdle": idle,
            "fleetBusy": busy,
            "answerWhileRegisteringMs": registering,
            "hubRestarted": restarted,
        }


async def _registered(system: Stack, store: PostgresStore, edges: int, groups: int) -> float:
    """Seconds from the start of the agents until all edges are online."""
    began = time.perf_counter()
    for number in range(groups):
        await system.join(f"group-{number}", edges // groups, f"site-{number}")
    await until(lambda: _online(store, edges), "all edges to be online")
    return round(time.perf_counter() - began, 1)


async def _idle(system: Stack, asker: Asker, seconds: float) -> dict[str, Any]:
    await asyncio.sleep(SETTLED_S)
    before, began = used_s(system.supervisor), time.perf_counter()
    asker.taken()
    await asyncio.sleep(seconds)
    after, took_s = used_s(system.supervisor), time.perf_counter() - began
    cores = {name: round((after[name] - before[name]) / took_s, 4) for name in after}
    return {
        "heldMiB": _by_program(held(system.supervisor)),
        "coresUsed": {name: round(used, 3) for name, used in _merged(cores).items()},
        "answerMs": latencies(asker.taken()),
    }


async def _restarted(system: Stack, store: PostgresStore, asker: Asker, edges: int) -> dict[str, Any]:
    """The reconcilers are killed; until the first answer of the next ones, and what the answers after it took."""
    pid, head = system.supervisor.pid("reconcilers"), (await store.head()).position
    assert pid is not None
    asker.taken()
    began = time.perf_counter()
    os.kill(pid, SIGKILL)
    await asyncio.sleep(0.1)
    asker.taken()
    await until(lambda: _answered(asker), "the hub to answer again")
    again_s = time.perf_counter() - began
    asker.taken()
    await asyncio.sleep(15.0)
    judged = [change for change in await store.events(head, 10_000) if "/edges/" in change.path]
    assert await _online(store, edges), "nobody is given up by a hub that starts again"
    return {"answersAfterS": round(again_s, 2), "answerMs": latencies(asker.taken()), "edgesTouched": len(judged)}


async def _busy(system: Stack, store: PostgresStore, chunks: int) -> dict[str, Any]:
    """One job with two chunks for each edge, which all run something for a while."""
    client = Client(HOST, system.port)
    await client.open(1)
    try:
        began = time.perf_counter()
        await client.post("/v1/jobs", document("everywhere", chunks=chunks, work_ws=chunks * 2.0))
        await quiet(store)
    finally:
        client.close()
    return {
        "chunks": chunks,
        "seconds": round(time.perf_counter() - began, 1),
        "heldMiB": _by_program(held(system.supervisor)),
    }


async def _online(store: PostgresStore, edges: int) -> bool:
    return (await store.count_by_phase("Edge")).get(ONLINE, 0) >= edges


async def _answered(asker: Asker) -> bool:
    return bool(asker.answers_s)


def _by_program(held_bytes: Mapping[str, int]) -> dict[str, float]:
    return {name: round(value / 2**20, 1) for name, value in _merged(held_bytes).items()}


def _merged(values: Mapping[str, float]) -> dict[str, float]:
    """The agents' together."""
    merged: dict[str, float] = {}
    for name, value in values.items():
        program = "agents" if name.startswith("group-") else name
        merged[program] = merged.get(program, 0) + value
    return merged


def _sum(values: Mapping[str, float]) -> float:
    return sum(values.values())


def _mib(value: float) -> float:
    return round(value / 2**20, 1)
