"""How soon an urgent job is placed is measured with the real placer, which is full of what waits."""

from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from datamodel.verify import verify
from sim.bench.urgent import Scale, figures
from tests.conftest import StartNats
from tests.feed import connected


async def test_an_urgent_job_is_measured_among_chunks_that_have_no_room(
    database_url: str, nats_server: StartNats
) -> None:
    server = await nats_server()
    async with PostgresStore(database_url, MODEL) as store, connected(server.access()) as bus:
        found = await figures(store, bus, database_url, Scale(edges=20, jobs=60, chunks=50, urgent=10))
        assert (await verify(store)).clean
    system = found["urgentSystem"]
    assert system["edges"] == 20
    assert 60 * 50 - 20 * 40 <= system["chunksPending"] < 60 * 50, "an edge has room for 40 of the smallest at most"
    for figure in (found["urgentPlacedMs"], found["urgentWholeMs"]):
        assert figure["count"] == 10
        assert 0 < figure["p50"] <= figure["p99"] <= figure["max"]
    assert found["urgentPlacedMs"]["p50"] < found["urgentWholeMs"]["p50"]
