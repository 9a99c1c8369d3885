"""A relay notices, on virtual time, that what it publishes to is not the newest stream any more."""

import asyncio

from datamodel.feed.memory import MemoryStreams
from datamodel.seeds import seed
from reconcilers.relay import LOOK_S
from tests.feed import Publisher
from tests.graph import memory_store
from tests.universe import outcome


def test_it_leaves_a_stream_that_another_relay_has_overtaken_and_not_finished() -> None:
    async def main() -> tuple[list[float], int, int, int]:
        store, streams = memory_store(), MemoryStreams()
        await seed(store)
        publisher = Publisher(store, streams)
        await publisher.publish()
        loop, woken = asyncio.get_running_loop(), list[float]()
        began_s = loop.time()
        looking = asyncio.create_task(
            publisher.relay.keep_looking(lambda: woken.append(round(loop.time() - began_s, 3)))
        )
        await asyncio.sleep(2.5 * LOOK_S)
        before = len(woken)
        head = await store.head()
        await streams.create(7, 1, head.position)  # as one that believes to be the relay, and is killed then
        await asyncio.sleep(LOOK_S)
        await publisher.publish()
        found = await streams.newest()
        assert found is not None
        assert found.complete
        await asyncio.sleep(5 * LOOK_S)
        looking.cancel()
        return woken, before, found.epoch, found.last - head.position

    assert outcome(main) == ([3 * LOOK_S], 0, 8, 0)
