"""What is placed too early, or not to be placed at all, is complained of; and how jobs may end is known."""

from datetime import timedelta
from typing import Any

import pytest

from datamodel.command import Command
from datamodel.memory import MemoryStore
from datamodel.node import Node
from datamodel.seeds import seed
from sim.world.endings import must_fail, wrong
from sim.world.process import EPOCH
from sim.world.rests import PLACING_S, Rests
from sim.world.script import Submit
from sim.world.terms import NEVER, Terms, spec_of
from tests.graph import SYSTEM, done, memory_store, new_edge, new_job, place, present, report


class Seen:
    """A store, and what is said of what is appended there."""

    def __init__(self, *, is_steady: bool = True) -> None:
        self.complaints: list[str] = []
        self.store: MemoryStore = memory_store()
        self.rests = Rests(self.complaints.append, is_steady=is_steady)
        self._position = 0

    async def begin(self) -> None:
        await seed(self.store)
        await new_edge(self.store)

    async def at(self, now_s: float) -> None:
        """What was appended since was at this time."""
        for event in await self.store.events(self._position, 1_000):
            self.rests.appended(event, self.store.state, now_s)
            self._position = event.position

    async def fail(self, job: Node, at_s: float, epoch: int = 1, code: int = 1) -> None:
        path = await place(self.store, job, 0, epoch)
        ended = (EPOCH + timedelta(seconds=at_s)).isoformat()
        how = {"reason": "NonZeroExit", "exitCodes": [code], "finishedAt": ended}
        await report(self.store, path, phase="failed", **how)
        await self.at(at_s)


BACKOFF = {"backoffS": 2.0, "backoffMaxS": 10.0}


@pytest.mark.parametrize(
    ("epochs", "placed_s", "is_steady", "early"),
    [
        (1, 101.0, True, True),
        (1, 102.0, True, False),
        (2, 102.0, True, True),
        (2, 104.0, True, False),
        (1, 100.1, False, False),
    ],
)
async def test_a_pause_is_kept(epochs: int, placed_s: float, *, is_steady: bool, early: bool) -> None:
    seen = Seen(is_steady=is_steady)
    await seen.begin()
    job = await new_job(seen.store, retries=5, retryPolicy=BACKOFF)
    for epoch in range(1, epochs + 1):
        await seen.fail(job, 100.0 - 50 * (epochs - epoch), epoch)
    await place(seen.store, job, 0, epochs + 1)
    await seen.at(placed_s)
    assert [" before the end of its pause" in one for one in seen.complaints] == [True] * early


@pytest.mark.parametrize(("code", "retries", "wrong"), [(1, 5, True), (1, 6, False), (2, 5, False)])
async def test_what_an_exit_code_has_ended_stays_so_until_the_retries_are_raised(
    code: int, retries: int, *, wrong: bool
) -> None:
    seen = Seen()
    await seen.begin()
    job = await new_job(seen.store, retries=5, retryPolicy={"exitCodes": [{"codes": [1], "action": "fail"}]})
    await seen.fail(job, 100.0, code=code)
    await place(seen.store, job, 0, 2, retries=retries)
    await seen.at(101.0)
    assert [one.endswith("at a chunk that an exit code has ended") for one in seen.complaints] == [True] * wrong


async def test_what_failed_once_it_was_given_up_may_be_placed_already() -> None:
    seen = Seen()
    await seen.begin()
    rules = {"exitCodes": [{"codes": [1], "action": "fail"}], **BACKOFF}
    job = await new_job(seen.store, retries=5, retryPolicy=rules)
    path = await place(seen.store, job)
    await done(seen.store, Command("patchSpec", path, {"intent": "abandon"}), actor=SYSTEM)
    ended = (EPOCH + timedelta(seconds=100.0)).isoformat()
    how = {"reason": "NonZeroExit", "exitCodes": [1], "finishedAt": ended}
    await report(seen.store, path, phase="failed", **how)
    await place(seen.store, job, 0, 2)
    await seen.at(100.0)
    assert seen.complaints == []


@pytest.mark.parametrize(("after_s", "wrong"), [(PLACING_S - 1, False), (PLACING_S + 1, True)])
async def test_a_job_whose_end_is_decided_gets_nothing_new(after_s: float, *, wrong: bool) -> None:
    seen = Seen()
    await seen.begin()
    job = await new_job(seen.store)
    ending = {"phase": "failed", "reason": "DeadlineExceeded", "message": "late"}
    await done(seen.store, Command("patchStatus", job.path, {"ending": ending}), actor=SYSTEM)
    await seen.at(100.0)
    await place(seen.store, job)
    await seen.at(100.0 + after_s)
    assert len(seen.complaints) == wrong


async def ended(phase: str, reason: str, wish: Submit, retries: int = 2, **chunks: int) -> list[str]:
    """What is wrong with a job that has ended so."""
    store = memory_store()
    await seed(store)
    job = await new_job(store, wish.job, chunks=wish.chunks)
    condition = {"type": "Complete", "status": "True", "reason": reason, "message": ""}
    succeeded = chunks.get("succeeded", 0)
    status: dict[str, Any] = {
        "phase": phase,
        "chunks": chunks,
        "conditions": [{**condition, "lastTransitionTime": EPOCH.isoformat()}],
        "outputs": {"ran": succeeded, "chunk": list(range(succeeded))},
    }
    await done(store, Command("patchStatus", job.path, status), actor=SYSTEM)
    return list(wrong(await present(store, job.path), wish, retries, store.state))


@pytest.mark.parametrize(
    ("reason", "wish", "may"),
    [
        ("Failed", Submit(1.0, "j", 4), False),
        ("Failed", Submit(1.0, "j", 4, fails=3), True),
        ("Failed", Submit(1.0, "j", 4, fails=2), False),
        ("Failed", Submit(1.0, "j", 4, fails=1, terms=Terms(rule="fail")), True),
        ("Failed", Submit(1.0, "j", 4, fails=9, terms=Terms(rule="ignore")), False),
        ("TooManyChunksFailed", Submit(1.0, "j", 4, fails=9, failing=2, terms=Terms(may_fail=1)), True),
        ("TooManyChunksFailed", Submit(1.0, "j", 4, fails=9, failing=2, terms=Terms(may_fail=2)), False),
        ("RetryBudgetSpent", Submit(1.0, "j", 4, fails=1, terms=Terms(budget=3)), True),
        ("RetryBudgetSpent", Submit(1.0, "j", 4, fails=1, terms=Terms(budget=4)), False),
        ("DeadlineExceeded", Submit(1.0, "j", 4, terms=Terms(job_s=1.0)), True),
        ("DeadlineExceeded", Submit(1.0, "j", 4, terms=Terms(queue_s=1.0)), False),
        ("QueueDeadlineExceeded", Submit(1.0, "j", 4, terms=Terms(queue_s=1.0)), True),
    ],
)
async def test_a_job_fails_by_what_it_asks_for(reason: str, wish: Submit, *, may: bool) -> None:
    assert bool(await ended("failed", reason, wish)) != may


@pytest.mark.parametrize(
    ("terms", "chunks", "may"),
    [
        (None, {"succeeded": 4}, True),
        (None, {"succeeded": 3, "failed": 1}, False),
        (Terms(may_fail=1), {"succeeded": 3, "failed": 1}, True),
        (Terms(may_fail=1), {"succeeded": 2, "failed": 2}, False),
        (Terms(enough=2), {"succeeded": 2, "aborted": 2}, True),
        (Terms(enough=3), {"succeeded": 2, "aborted": 2}, False),
    ],
)
async def test_a_job_succeeds_with_what_it_asks_for(terms: Terms | None, chunks: dict[str, int], *, may: bool) -> None:
    assert bool(await ended("succeeded", "Succeeded", Submit(1.0, "j", 4, terms=terms), **chunks)) != may


async def test_outputs_are_of_the_chunks_that_succeeded() -> None:
    store = memory_store()
    await seed(store)
    job = await new_job(store, chunks=2)
    complete = {"type": "Complete", "status": "True", "reason": "Succeeded", "lastTransitionTime": EPOCH.isoformat()}
    status = {
        "phase": "succeeded",
        "chunks": {"succeeded": 2},
        "conditions": [complete],
        "outputs": {"ran": 1, "chunk": [0]},
    }
    await done(store, Command("patchStatus", job.path, status), actor=SYSTEM)
    assert len(list(wrong(await present(store, job.path), Submit(1.0, "j", 2), 2, store.state))) == 1


async def test_a_budget_is_counted_by_what_was_placed_again() -> None:
    seen = Seen()
    await seen.begin()
    wish = Submit(1.0, "j", 1, fails=5, terms=Terms(budget=1))
    job = await new_job(seen.store, retries=5, **spec_of(Terms(budget=1), 1))
    complete = {
        "type": "Complete",
        "status": "True",
        "reason": "RetryBudgetSpent",
        "lastTransitionTime": EPOCH.isoformat(),
    }
    status = {"phase": "failed", "chunks": {"retrying": 1}, "conditions": [complete]}
    await done(seen.store, Command("patchStatus", job.path, status), actor=SYSTEM)
    for epoch, complaints in ((1, 0), (2, 0), (3, 1)):
        await seen.fail(job, 10.0 * epoch, epoch)
        job = await present(seen.store, job.path)
        assert len(list(wrong(job, wish, 5, seen.store.state))) == complaints


def test_some_jobs_can_only_fail() -> None:
    assert must_fail(Submit(1.0, "j", 3, terms=Terms(hopeless=True, queue_s=5.0)))
    assert must_fail(Submit(1.0, "j", 3, fails=NEVER, terms=Terms(job_s=5.0)))
    assert not must_fail(Submit(1.0, "j", 3, fails=3, terms=Terms(job_s=5.0)))
    assert not must_fail(Submit(1.0, "j", 3))
