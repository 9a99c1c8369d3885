"""`make bench` and `python -m sim.bench`: measures, prints a table, and one JSON object as the last line."""

import sys
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal

import cyclopts
import msgspec
import uvloop

from datamodel.errors import TendrilError
from datamodel.feed.bus import connect
from datamodel.postgres.store import PostgresStore
from datamodel.program import calm_collector
from datamodel.scheduling.model import MODEL
from deploy.local.ports import HOST
from sim.bench import (
    containers,
    fleet,
    flood,
    floors,
    gateway,
    graph,
    planner,
    policies,
    scenarios,
    sizes,
    urgent,
    watchers,
)
from sim.bench.client import Client
from sim.bench.model import MODEL as BENCH
from sim.bench.report import machine, show
from sim.bench.stack import servers, stack

SHELVES = 1_000
Part = Literal[
    "system", "graph", "sizes", "gateway", "watchers", "planner", "policies", "urgent", "containers", "floods", "fleet"
]

app = cyclopts.App(name="bench", help="Measure what Tendril carries on this machine.")


@app.default
def bench(
    *,
    edges: Annotated[int, cyclopts.Parameter(help="Simulated edges.")] = 100,
    chunks: Annotated[int, cyclopts.Parameter(help="Chunks of the one job.")] = 20_000,
    jobs: Annotated[int, cyclopts.Parameter(help="Jobs of one chunk, submitted in batches.")] = 5_000,
    singles: Annotated[int, cyclopts.Parameter(help="Jobs of one chunk, submitted one by one.")] = 2_000,
    rate: Annotated[int, cyclopts.Parameter(help="Jobs a second for the latency.")] = 50,
    seconds: Annotated[int, cyclopts.Parameter(help="How long the latency is measured.")] = 20,
    only: Annotated[tuple[Part, ...], cyclopts.Parameter(help="Measure no more than this; may be given again.")] = (),
) -> int:
    """The defaults are the figures that the README quotes."""
    calm_collector()
    parts: dict[Part, Callable[[], Coroutine[Any, Any, dict[str, Any]]]] = {
        "system": lambda: _measure(edges, chunks, jobs, singles, rate, seconds),
        "graph": _measure_graph,
        "sizes": _measure_sizes,
        "gateway": gateway.gateway,
        "watchers": watchers.watched,
        "planner": planner.planned,
        "policies": policies.compared,
        "urgent": urgent.urgent,
        "containers": containers.containers,
        "floods": flood.floods,
        "fleet": fleet.fleet,
    }
    figures: dict[str, Any] = {}
    try:
        for part in only or parts:
            figures |= uvloop.run(parts[part]())
        figures["machine"] = machine() | {"pythonObjectsPerS": floors.interpreted()}
    except TendrilError as error:
        sys.stderr.write(f"bench: {error.message}\n")
        return 1
    show(figures)
    sys.stdout.write(msgspec.json.encode(figures).decode() + "\n")
    return 0


async def _measure(edges: int, chunks: int, jobs: int, singles: int, rate: int, seconds: int) -> dict[str, Any]:
    async with stack(edges=edges) as system, PostgresStore(system.database_url, MODEL) as store:
        bus = await connect(system.nats, "bench")
        client = Client(HOST, system.port)
        try:
            await client.open(scenarios.CONNECTIONS)
            figures: dict[str, Any] = {
                "oneJob": await scenarios.one_job(client, store, chunks),
                "manyJobs": await scenarios.many_jobs(client, store, jobs),
                "oneByOne": await scenarios.one_by_one(client, store, singles),
            }
            await scenarios.quiet(store)  # what is left of the load before is not to be measured as latency
            figures["submitToRunningMs"] = await scenarios.submit_to_running(
                client, bus, jobs_per_s=rate, seconds=seconds
            )
            return figures
        finally:
            client.close()
            await bus.close()


async def _measure_graph() -> dict[str, Any]:
    """Without any program: one process at the servers."""
    async with servers() as system, PostgresStore(system.database_url, BENCH) as store:
        bus = await connect(system.nats, "bench")
        try:
            items = await graph.furnish(store, SHELVES)
            return {
                "bareInsert": await floors.inserted(system.database_url, seconds=10),
                "append": await graph.appended(store, items, seconds=10),
                "appendAloneMs": await graph.appended_alone(store, items, count=1_000),
                "barePublish": await floors.published(bus, count=100_000),
                "relay": await graph.relayed(store, bus, items, count=100_000),
                "relayBehindMs": await graph.behind(store, bus, items, events_per_s=5_000, seconds=10),
            }
        finally:
            await bus.close()


async def _measure_sizes() -> dict[str, Any]:
    """The same reads and writes again and again while the graph grows."""
    async with servers() as system, PostgresStore(system.database_url, BENCH) as store:
        growing = sizes.Growing(store, await graph.furnish(store, SHELVES), SHELVES)
        await growing.begin()
        return {f"at{name}": await growing.at(size) for name, size in sizes.SIZES.items()}


if __name__ == "__main__":
    sys.exit(app())
