"""Who compacts keeps others out for as long as it takes, and for a moment only after it was cut off."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from datamodel.errors import Conflict
from datamodel.keeping.compact import LEASE, LEASE_TTL_S, compact
from datamodel.memory import MemoryStore
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from tests.graph import counted_ids, done, job
from tests.segments import SIZE, in_small_segments
from tests.universe import outcome
from tests.waiting import eventually

STEP_S = 60.0


class Slow(MemoryStore):
    """A store of which each step of a base takes a minute, and none ends once it is stuck."""

    stuck = False

    async def fold_base(self, through: int, limit: int) -> int:
        await asyncio.sleep(STEP_S)
        if self.stuck:
            await asyncio.get_running_loop().create_future()
        return await super().fold_base(through, limit)


async def slow_store() -> Slow:
    loop, epoch = asyncio.get_running_loop(), datetime(2030, 1, 1, tzinfo=UTC)
    store = Slow(MODEL, lambda: epoch + timedelta(seconds=loop.time()), counted_ids())
    await seed(store)
    await in_small_segments(store)
    await done(store, *(job(f"j{number}") for number in range(3 * SIZE)))
    return store


async def is_free(store: Slow) -> bool:
    return not await store.renew([LEASE], "nobody", 1.0)


def test_a_step_that_takes_long_keeps_the_lease() -> None:
    async def main() -> tuple[int, int]:
        store = await slow_store()
        head = (await store.head()).position
        first = asyncio.create_task(compact(store, head, "first"))
        refused = 0
        while not first.done():
            await asyncio.sleep(7.0)
            if not first.done():
                with pytest.raises(Conflict, match="somebody else compacts the log"):
                    await compact(store, head, "second")
                refused += 1
        assert await store.renew([LEASE], "nobody", 1.0) == {}
        return await first, refused

    oldest, refused = outcome(main)
    assert oldest > 2 * SIZE
    assert refused > 2 * STEP_S / 7.0


def test_whoever_was_cut_off_is_not_waited_for() -> None:
    async def main() -> float:
        store = await slow_store()
        store.stuck = True
        first = asyncio.create_task(compact(store, SIZE * 2, "first"))
        await asyncio.sleep(STEP_S + 10.0)
        former = store._leases[LEASE]
        first.cancel()
        await asyncio.wait([first])
        store.stuck, store._leases[LEASE] = False, former  # as a killed one leaves it, that cannot let go of it
        cut_off_s = asyncio.get_running_loop().time()
        await eventually(lambda: is_free(store), timeout_s=STEP_S)
        waited_s = asyncio.get_running_loop().time() - cut_off_s
        assert await compact(store, SIZE * 2, "second") > SIZE
        return waited_s

    assert outcome(main) <= LEASE_TTL_S + 0.1
