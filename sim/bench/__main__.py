"""`make bench` and `python -m sim.bench`: measures, prints a table, and one JSON object as the last line."""

import sys
from typing import Annotated, Any

import cyclopts
import msgspec
import uvloop

from datamodel.errors import TendrilError
from datamodel.feed.bus import connect
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from sim.bench import scenarios
from sim.bench.client import Client
from sim.bench.report import machine, show
from sim.bench.stack import HOST, stack

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
) -> int:
    """The defaults are the figures that the README quotes."""
    try:
        figures = uvloop.run(_measure(edges, chunks, jobs, singles, rate, seconds))
    except TendrilError as error:
        sys.stderr.write(f"bench: {error.message}\n")
        return 1
    show(figures)
    sys.stdout.write(msgspec.json.encode(figures).decode() + "\n")
    return 0


async def _measure(edges: int, chunks: int, jobs: int, singles: int, rate: int, seconds: int) -> dict[str, Any]:
    async with stack(edges=edges) as system, PostgresStore(system.database_url, MODEL) as store:
        bus = await connect(system.nats_url, "bench")
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
            return figures | {"machine": machine()}
        finally:
            client.close()
            await bus.close()


if __name__ == "__main__":
    sys.exit(app())
