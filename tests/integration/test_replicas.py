"""Several replicas of the reconcilers: each tells the others what it has written."""

from datamodel.feed.bus import Bus
from datamodel.feed.message import POKE
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.edges import inventory_path
from datamodel.scheduling.model import MODEL
from tests.graph import new_edge, new_job
from tests.hub import attempts_when, heard, node_when, running_hub
from tests.services import PrivateNats
from tests.waiting import until

NEVER_S = 3600.0


async def test_a_commit_is_told_to_the_others(bus: Bus, server: PrivateNats, database_url: str) -> None:
    senders: set[bytes] = set()
    await bus.subscribe(POKE, lambda _, sender: senders.add(sender))
    async with (
        PostgresStore(database_url, MODEL) as store,
        running_hub(database_url, server.access(), poll_s=NEVER_S),
        running_hub(database_url, server.access(), poll_s=NEVER_S),
    ):
        await new_edge(store)
        async with heard(bus, "e"):
            await node_when(store, inventory_path("s", "e"), lambda edge: edge.phase == "online")
            job = await new_job(store, chunks=2)
            await bus.publish(POKE, b"")  # as the gateway does
            await attempts_when(store, job, lambda found: len(found) == 2)
            await until(lambda: len(senders - {b""}) >= 1)
