"""Which chunks placement is given to place again, and when: over the store in memory, with a clock of the test's."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from datamodel.memory import MemoryStore
from datamodel.node import Node
from datamodel.scheduling.retrying import pause_s
from datamodel.seeds import seed
from reconcilers.failures import PAGE, Retries, failed_for_good
from reconcilers.planning.backlog import Chunk
from tests.graph import memory_store, new_edge, new_job, place, report
from tests.waiting import until

PAUSE_S = 0.2


class Clock:
    """The machine's, and what a test makes of it."""

    def __init__(self) -> None:
        self.off_s = 0.0

    def __call__(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.off_s)


@pytest_asyncio.fixture
async def store() -> AsyncIterator[MemoryStore]:
    store = memory_store()
    await seed(store)
    await new_edge(store, cpu=64.0)
    yield store


async def fail(
    store: MemoryStore, job: Node, index: int = 0, epoch: int = 1, off_s: float = 0.0, code: int = 1
) -> None:
    path = await place(store, job, index, epoch)
    ended = (datetime.now(UTC) + timedelta(seconds=off_s)).isoformat()
    await report(store, path, phase="failed", reason="NonZeroExit", exitCodes=[code], finishedAt=ended)


async def test_a_chunk_that_failed_rests_and_comes_back_when_it_is_due(store: MemoryStore) -> None:
    job = await new_job(store, chunks=2, retryPolicy={"backoffS": PAUSE_S})
    retries = Retries(store, Clock())
    await fail(store, job)
    assert await retries.of(job) == ()
    rest_s = retries.rest_s()
    assert rest_s is not None
    assert PAUSE_S / 2 < rest_s <= PAUSE_S
    assert retries.due() == []
    await until(lambda: retries.due() == [job.path])
    assert await retries.of(job) == (Chunk(0, 2),)
    assert retries.rest_s() is None, "nobody looks again for nothing"


async def test_what_was_interrupted_or_may_go_on_does_not_wait_for_those_that_rest(store: MemoryStore) -> None:
    job = await new_job(store, chunks=2, retryPolicy={"backoffS": 60})
    retries = Retries(store, Clock())
    await fail(store, job)
    await report(store, await place(store, job, 1), phase="interrupted")
    assert await retries.of(job) == (Chunk(1, 2),)
    assert retries.rest_s() is not None


async def test_a_restart_goes_on_from_the_end_of_the_attempt(store: MemoryStore) -> None:
    job = await new_job(store, retryPolicy={"backoffS": 60})
    await fail(store, job)
    retries, later = Retries(store, Clock()), Clock()
    assert await retries.of(job) == ()
    later.off_s = 50.0
    another = Retries(store, later)
    assert await another.of(job) == ()
    rest_s = another.rest_s()
    assert rest_s is not None
    assert rest_s == pytest.approx(pause_s({"backoffS": 60}, job.uid, 0, 1) - 50, abs=2)
    later.off_s = 61.0
    assert await Retries(store, later).of(job) == (Chunk(0, 2),)


@pytest.mark.parametrize("off_s", [-3600.0, 3600.0])
async def test_an_edges_wrong_clock_makes_nobody_wait_for_longer_nor_again(store: MemoryStore, off_s: float) -> None:
    job = await new_job(store, retryPolicy={"backoffS": PAUSE_S})
    await fail(store, job, off_s=off_s)
    retries = Retries(store, Clock())
    assert await retries.of(job) == ()
    assert (retries.rest_s() or 9) <= PAUSE_S
    await until(lambda: retries.due() == [job.path])
    assert await retries.of(job) == (Chunk(0, 2),)
    assert await retries.of(job) == (Chunk(0, 2),), "as often as it is asked"


async def test_a_clock_that_is_set_back_makes_nobody_wait(store: MemoryStore) -> None:
    job, clock = await new_job(store, retryPolicy={"backoffS": PAUSE_S}), Clock()
    retries = Retries(store, clock)
    await fail(store, job)
    assert await retries.of(job) == ()
    clock.off_s = -3600.0
    await until(lambda: retries.due() == [job.path])
    assert await retries.of(job) == (Chunk(0, 2),)


async def test_what_is_forgotten_wakes_nobody(store: MemoryStore) -> None:
    job = await new_job(store, retryPolicy={"backoffS": PAUSE_S})
    retries = Retries(store, Clock())
    await fail(store, job)
    await retries.of(job)
    retries.forget(job.path)
    assert retries.rest_s() is None


async def test_many_that_rest_hide_none_that_does_not(store: MemoryStore) -> None:
    job = await new_job(store, chunks=PAGE + 2, retryPolicy={"backoffS": 60})
    for index in range(PAGE + 1):
        await fail(store, job, index)
    await report(store, await place(store, job, PAGE + 1), phase="interrupted")
    assert await Retries(store, Clock()).of(job) == (Chunk(PAGE + 1, 2),)


async def test_an_exit_code_may_be_the_end_of_it(store: MemoryStore) -> None:
    rules = [{"codes": [3], "action": "fail"}]
    job = await new_job(store, chunks=2, retries=5, retryPolicy={"exitCodes": rules}, completion={"maxFailedChunks": 1})
    await fail(store, job, 0, code=3)
    await fail(store, job, 1, code=4)
    assert await Retries(store, Clock()).of(job) == (Chunk(1, 2),)
    totals = (await store.totals([job.uid]))[job.uid]
    assert totals.phases == {"failed": 1, "retry": 1}
    assert not await failed_for_good(store, job, totals)
    await fail(store, job, 1, 2, code=3)
    assert await failed_for_good(store, job, (await store.totals([job.uid]))[job.uid])


async def test_nothing_is_tried_again_beyond_the_budget(store: MemoryStore) -> None:
    job = await new_job(store, chunks=3, retries=5, retryPolicy={"budget": 2})
    for index in range(2):
        await fail(store, job, index)
    assert not await failed_for_good(store, job, (await store.totals([job.uid]))[job.uid])
    await fail(store, job, 0, 2)
    assert await failed_for_good(store, job, (await store.totals([job.uid]))[job.uid])
