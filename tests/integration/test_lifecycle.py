"""What becomes of failures and of time, with all reconcilers: pauses, budgets, exit codes, chunks that may fail, deadlines."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest_asyncio

from datamodel.command import Command
from datamodel.feed.access import Access
from datamodel.node import Node
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.edges import inventory_path
from datamodel.scheduling.model import MODEL
from datamodel.scheduling.retrying import pause_s
from datamodel.verify import verify
from gateway.verbs import act
from tests.conftest import StartNats
from tests.feed import connected
from tests.gateway import open_gateway
from tests.graph import STEPS, done, new_edge, new_job, present, report
from tests.hub import attempts_of, attempts_when, heard, node_when, running_hub

EDGE = inventory_path("s", "e")
PAUSE_S = 1.5


class Stand:
    """One edge of four places, the reconcilers, and a way to ask."""

    def __init__(self, store: PostgresStore, access: Access) -> None:
        self.store, self._access = store, access

    async def fail(self, attempt: Node, code: int = 1) -> None:
        now = datetime.now(UTC).isoformat()
        how = {"reason": "NonZeroExit", "exitCodes": [code], "finishedAt": now}
        await report(self.store, attempt.path, phase="failed", **how)

    async def retry(self, job: Node) -> None:
        async with open_gateway(self.store, self._access) as gateway:
            await act(gateway.backend, job.path, "retry")

    async def placed(self, job: Node, count: int) -> list[Node]:
        return await attempts_when(self.store, job, lambda found: len(found) == count)

    async def ended(self, job: Node, phase: str) -> dict[str, Any]:
        """The condition of a job that has ended so."""
        found = await node_when(self.store, job.path, lambda node: node.phase in {"succeeded", "failed", "aborted"})
        assert found.phase == phase, found.status
        condition: dict[str, Any] = next(one for one in found.status["conditions"] if one["type"] == "Complete")
        assert condition["status"] == "True"
        return condition


@pytest_asyncio.fixture
async def stand(nats_server: StartNats, database_url: str) -> AsyncIterator[Stand]:
    server = await nats_server()
    async with PostgresStore(database_url, MODEL) as store:
        await new_edge(store)
        async with connected(server.access()) as bus, heard(bus, "e"), running_hub(database_url, server.access()):
            await node_when(store, EDGE, lambda node: node.phase == "online")
            yield Stand(store, server.access("gateway"))
        found = await verify(store)
        assert found.clean, str(found)


async def test_a_chunk_that_failed_is_tried_again_after_a_pause_and_not_before(stand: Stand) -> None:
    job = await new_job(stand.store, retryPolicy={"backoffS": PAUSE_S})
    (first,) = await stand.placed(job, 1)
    await stand.fail(first)
    failed = await present(stand.store, first.path)
    _, second = await stand.placed(job, 2)
    rested_s = (second.created_at - datetime.fromisoformat(failed.status["finishedAt"])).total_seconds()
    pause = pause_s(job.spec["retryPolicy"], job.uid, 0, 1)
    assert pause - 0.01 <= rested_s < pause + 1.0
    await report(stand.store, second.path, phase="succeeded")
    await stand.ended(job, "succeeded")


async def test_a_job_fails_with_its_budget_and_has_another_when_it_is_retried(stand: Stand) -> None:
    job = await new_job(stand.store, chunks=2, retries=9, retryPolicy={"budget": 1})
    one, two = await stand.placed(job, 2)
    await stand.fail(one)
    await stand.placed(job, 3)
    await stand.fail(two)
    found = await attempts_when(stand.store, job, lambda found: any(a.spec["intent"] == "stop" for a in found))
    (stopped,) = [attempt for attempt in found if attempt.spec["intent"] == "stop"]
    await report(stand.store, stopped.path, phase="stopped")
    condition = await stand.ended(job, "failed")
    assert condition["reason"] == "RetryBudgetSpent"
    assert len(await attempts_of(stand.store, job)) == 3, "the second failure was beyond the budget"
    await stand.retry(job)
    again = [attempt for attempt in await stand.placed(job, 5) if not attempt.phase or attempt.phase == "pending"]
    assert (await present(stand.store, job.path)).status["retried"]["failures"] == 2
    await stand.fail(again[0])
    *_, last = [attempt for attempt in await stand.placed(job, 6) if not attempt.phase]
    for attempt in await attempts_of(stand.store, job):
        if not attempt.phase:
            await report(stand.store, attempt.path, phase="succeeded")
    await stand.ended(job, "succeeded")
    assert last.spec["retries"] == 10


async def test_an_exit_code_ends_a_chunk_until_it_is_retried(stand: Stand) -> None:
    rules = [{"codes": [42], "action": "fail"}, {"codes": [3], "action": "ignore"}]
    job = await new_job(stand.store, retries=5, retryPolicy={"exitCodes": rules})
    (first,) = await stand.placed(job, 1)
    assert first.spec["exitCodes"] == rules
    await stand.fail(first, 42)
    await stand.ended(job, "failed")
    (entry,) = await stand.store.entries(job.uid)
    assert (entry.phase, entry.failures) == ("failed", 1)
    await stand.retry(job)
    _, second = await stand.placed(job, 2)
    await report(stand.store, second.path, phase="succeeded")
    await node_when(stand.store, job.path, lambda node: node.phase == "succeeded")


async def test_some_chunks_may_fail(stand: Stand) -> None:
    job = await new_job(stand.store, chunks=4, retries=0, completion={"maxFailedChunks": 1}, outputs={"n": "sum"})
    first, *others = await stand.placed(job, 4)
    await stand.fail(first)
    for attempt in others:
        await report(stand.store, attempt.path, phase="succeeded", outputs={"n": 1})
    condition = await stand.ended(job, "succeeded")
    assert condition["message"] == "1 of 4 chunks failed, as allowed"
    status = (await present(stand.store, job.path)).status
    assert (status["chunks"], status["outputs"]) == ({"failed": 1, "succeeded": 3}, {"n": 3})


async def test_one_more_than_may_fail_is_too_many(stand: Stand) -> None:
    job = await new_job(stand.store, chunks=8, retries=0, completion={"maxFailedChunks": 1})
    first, second, *others = await stand.placed(job, 4)
    await stand.fail(first)
    await stand.placed(job, 5)
    await stand.fail(second)
    found = await attempts_when(stand.store, job, lambda found: sum(a.spec["intent"] == "stop" for a in found) >= 3)
    for attempt in found:
        if attempt.spec["intent"] == "stop":
            await report(stand.store, attempt.path, phase="stopped")
    condition = await stand.ended(job, "failed")
    assert condition["reason"] == "TooManyChunksFailed"
    assert {attempt.path for attempt in others} <= {attempt.path for attempt in found}


async def test_enough_chunks_end_a_job_and_the_rest_is_stopped(stand: Stand) -> None:
    job = await new_job(stand.store, chunks=20, completion={"succeedAfter": 2})
    first, second, *_ = await stand.placed(job, 4)
    await report(stand.store, first.path, phase="succeeded")
    await stand.placed(job, 5)
    await report(stand.store, second.path, phase="succeeded")
    decided = await node_when(stand.store, job.path, lambda node: "ending" in node.status)
    assert decided.phase == "running"
    found = await attempts_when(
        stand.store, job, lambda found: all(a.phase or a.spec["intent"] == "stop" for a in found)
    )
    for attempt in found:
        if not attempt.phase:
            await report(stand.store, attempt.path, phase="stopped")
    condition = await stand.ended(job, "succeeded")
    assert condition["message"] == "2 of 20 chunks have succeeded, and 2 are enough"
    assert (await present(stand.store, job.path)).status["chunks"]["succeeded"] == 2
    assert len(await attempts_of(stand.store, job)) == len(found), "nothing more was placed"


async def test_a_job_that_takes_too_long_is_stopped_and_has_failed(stand: Stand) -> None:
    job = await new_job(stand.store, chunks=2, deadlines={"jobS": 2})
    first, second = await stand.placed(job, 2)
    await report(stand.store, first.path, phase="succeeded")
    await report(stand.store, second.path, phase="running")
    await attempts_when(stand.store, job, lambda found: [a.spec["intent"] for a in found] == ["run", "stop"])
    assert (await present(stand.store, job.path)).phase == "running"
    await report(stand.store, second.path, phase="stopped")
    condition = await stand.ended(job, "failed")
    assert (condition["reason"], condition["message"]) == ("DeadlineExceeded", "it had not ended after 2 s")
    await stand.retry(job)
    *_, again = await stand.placed(job, 3)
    await report(stand.store, again.path, phase="succeeded")
    finished = await node_when(stand.store, job.path, lambda node: node.phase == "succeeded")
    assert "ending" not in finished.status
    assert finished.status["retried"]["at"] > finished.created_at.isoformat(), "it had the whole time again"


async def test_a_job_that_nobody_takes_in_time_has_failed_with_the_reason(stand: Stand) -> None:
    big = {"cpu": 64.0, "memoryBytes": 1, "powerW": 1.0}
    job = await new_job(stand.store, requests=big, deadlines={"queueS": 1})
    condition = await stand.ended(job, "failed")
    assert condition["reason"] == "QueueDeadlineExceeded"
    assert condition["message"] == (
        "nothing of it was placed for 1 s: of 1 edges, 1 has too little cpu (s/e has 1 cores, and a chunk asks for 64 cores)"
    )


async def test_nobody_takes_it_where_it_may_go_is_a_reason_too(stand: Stand) -> None:
    await done(stand.store, Command("create", "/config/job-groups/away", {"sites": ["elsewhere"]}))
    path = "/config/job-groups/away/jobs/bound"
    await done(stand.store, Command("create", path, {"steps": STEPS, "deadlines": {"queueS": 1}}))
    bound = await present(stand.store, path)
    picky = await new_job(stand.store, placement={"required": "disk=ssd"}, deadlines={"queueS": 1})
    condition = await stand.ended(bound, "failed")
    assert condition["message"] == (
        "nothing of it was placed for 1 s: of 1 edges, 1 is of another site"
        " (s/e is of the site s, and the group's jobs run on elsewhere)"
    )
    condition = await stand.ended(picky, "failed")
    assert "of 1 edges, 1 is without the labels (s/e has not the labels" in condition["message"]


async def test_a_job_that_comes_later_has_its_whole_time_from_then_on(stand: Stand) -> None:
    first = await new_job(stand.store, "first")
    (attempt,) = await stand.placed(first, 1)
    later = await new_job(stand.store, "later", after=[{"job": "first"}], deadlines={"jobS": 2, "queueS": 2})
    made = (await present(stand.store, later.path)).created_at
    await node_when(stand.store, later.path, lambda _: (datetime.now(UTC) - made).total_seconds() > 3.0)
    await report(stand.store, attempt.path, phase="succeeded")
    (second,) = await stand.placed(later, 1)
    await report(stand.store, second.path, phase="succeeded")
    await stand.ended(later, "succeeded")


async def test_while_a_chunk_rests_another_of_its_job_has_its_place(stand: Stand) -> None:
    job = await new_job(stand.store, chunks=2, maxParallel=1, retryPolicy={"backoffS": PAUSE_S})
    (first,) = await stand.placed(job, 1)
    await stand.fail(first)
    *_, second = sorted(await stand.placed(job, 2), key=lambda attempt: attempt.created_version)
    assert second.spec["index"] == 1
    await report(stand.store, second.path, phase="succeeded")
    *_, third = sorted(await stand.placed(job, 3), key=lambda attempt: attempt.created_version)
    assert third.spec["index"] == 0
    await report(stand.store, third.path, phase="succeeded")
    await stand.ended(job, "succeeded")


async def test_a_chunk_of_a_gang_is_tried_again_alone(stand: Stand) -> None:
    job = await new_job(stand.store, chunks=3, allOrNothing=True, retryPolicy={"backoffS": 0.1, "budget": 1})
    attempts = await stand.placed(job, 3)
    await stand.fail(attempts[0])
    *_, again = sorted(await stand.placed(job, 4), key=lambda attempt: attempt.created_version)
    for attempt in (again, *attempts[1:]):
        await report(stand.store, attempt.path, phase="succeeded")
    await stand.ended(job, "succeeded")


async def test_the_time_in_which_a_job_is_suspended_does_not_count_as_waiting(stand: Stand) -> None:
    big = {"cpu": 64.0, "memoryBytes": 1, "powerW": 1.0}
    other = await new_job(stand.store, "other", requests=big, deadlines={"queueS": 2})
    job = await new_job(stand.store, requests=big, deadlines={"queueS": 2}, intent="suspend")
    await stand.ended(other, "failed")
    assert (await present(stand.store, job.path)).phase in {"", "pending"}
    await done(stand.store, Command("patchSpec", job.path, {"intent": "run"}))
    queued = (await node_when(stand.store, job.path, lambda node: "queued" in node.status)).status["queued"]
    assert queued["generation"] == 2
    assert (await stand.ended(job, "failed"))["reason"] == "QueueDeadlineExceeded"
    ended = (await present(stand.store, job.path)).status["finishedAt"]
    waited = datetime.fromisoformat(ended) - datetime.fromisoformat(queued["at"])
    assert 2.0 <= waited.total_seconds() < 5.0


async def test_the_deadline_of_the_queue_is_that_of_the_first_chunk(stand: Stand) -> None:
    job = await new_job(stand.store, chunks=8, deadlines={"queueS": 1})
    attempts = await stand.placed(job, 4)
    for attempt in attempts:
        await report(stand.store, attempt.path, phase="running")
    await node_when(stand.store, job.path, lambda node: node.phase == "running")
    other = await new_job(
        stand.store, "other", requests={"cpu": 64.0, "memoryBytes": 1, "powerW": 1.0}, deadlines={"queueS": 2}
    )
    await stand.ended(other, "failed")  # which is longer than the job's own
    assert (await present(stand.store, job.path)).phase == "running"
