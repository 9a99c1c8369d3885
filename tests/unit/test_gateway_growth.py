"""When watchers hear that the log has grown: at once where word comes, soon where none does, and no oftener than they read."""

import asyncio
from contextlib import ExitStack
from datetime import UTC, datetime

from datamodel.memory import MemoryStore
from datamodel.ports import Head
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from gateway.growth import LOOK_S, SOON_S, WAKE_S, Growth
from tests.graph import counted_ids, done, job
from tests.universe import on_virtual_time

JOBS = "/config/job-groups/default/jobs"


async def woken_after(event: asyncio.Event) -> float:
    """Seconds until it is set."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(30):
        await event.wait()
    event.clear()
    return loop.time() - began


@on_virtual_time
async def test_word_wakes_at_once_and_without_it_the_next_look_does() -> None:
    store = _store()
    await seed(store)
    growth = Growth(store)
    with growth.watch("Job", JOBS) as grown, growth.watch("Job", "/config/job-groups/other/jobs") as other:
        await woken_after(grown)
        await asyncio.sleep(1.0)
        grown.clear()
        other.clear()
        await done(store, job("told"))
        growth.poked()
        assert await woken_after(grown) <= SOON_S + 2 * WAKE_S + 0.001
        await asyncio.sleep(1.0)
        grown.clear()
        await done(store, job("untold"))
        assert await woken_after(grown) <= LOOK_S + 0.001
        assert not other.is_set()


@on_virtual_time
async def test_constant_word_leaves_watchers_time_to_read() -> None:
    for watchers, least_s in ((1, SOON_S), (400, SOON_S + 400 * WAKE_S), (10_000, LOOK_S)):
        store = _store()
        await seed(store)
        growth, looks = Growth(store), store.looks
        with ExitStack() as watching:
            for _ in range(watchers):
                watching.enter_context(growth.watch("Job", JOBS))
            for _ in range(1_000):
                growth.poked()
                await asyncio.sleep(0.001)
        assert 1 <= store.looks - looks <= 1.1 / least_s + 2


class _Counting(MemoryStore):
    """It counts who asks where the log ends."""

    looks = 0

    async def head(self) -> Head:
        self.looks += 1
        return await super().head()


def _store() -> _Counting:
    return _Counting(MODEL, lambda: datetime.now(UTC), counted_ids())
