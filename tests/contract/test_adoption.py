"""Results that come late: of two attempts at one chunk one counts, and the other one's is kept, unless somebody adopts it."""

import itertools

from datamodel.command import Command
from datamodel.errors import Conflict, Invalid
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.scheduling.attempts import ABANDON
from datamodel.scheduling.edges import inventory_path
from datamodel.scheduling.giving_up import EDGE_DRAINED, EDGE_LOST
from tests.graph import SYSTEM, done, new_edge, new_job, place, present, refusal, report, send


async def edges(store: Store) -> None:
    for edge in "ef":
        await new_edge(store, edge)


async def replaced(store: Store, reason: str, name: str = "j") -> tuple[Node, str, str]:
    """A job of one chunk with an attempt that was given up for a reason, and another that runs."""
    job = await new_job(store, name, chunks=1)
    older = await place(store, job)
    await done(store, Command("patchSpec", older, {"intent": ABANDON, "intentReason": reason}), actor=SYSTEM)
    newer = await place(store, job, epoch=2, edge="f")
    await report(store, newer, phase="running", percent=50.0)
    return job, older, newer


async def adopt(store: Store, path: str) -> type[Exception] | None:
    return refusal(await send(store, Command("patchSpec", path, {"adopted": True})))


async def test_of_a_chunk_whose_edge_was_lost_either_attempt_counts_and_one_alone(store: Store) -> None:
    await edges(store)
    for first, second in itertools.permutations((0, 1)):
        job, *attempts = await replaced(store, EDGE_LOST, f"first-{first}")
        await report(store, attempts[first], phase="succeeded", outputs={"by": first})
        await report(store, attempts[second], phase="succeeded", outputs={"by": second})
        told = [(await present(store, path)).status["settlement"] for path in (attempts[first], attempts[second])]
        assert told == ["counted", "superseded"]
        (entry,) = await store.entries(job.uid)
        assert (entry.holder, bytes(entry.outputs or b"")) == (attempts[first], b'{"by":%d}' % first)
        assert (await store.totals([job.uid]))[job.uid].phases == {"succeeded": 1}
        assert await adopt(store, attempts[second]) is Conflict, "what was counted stays"


async def test_a_success_of_an_attempt_that_was_drained_is_kept_and_may_be_adopted_once(store: Store) -> None:
    await edges(store)
    job, older, newer = await replaced(store, EDGE_DRAINED)
    assert await adopt(store, older) is Conflict, "it has no result yet"
    await report(store, older, phase="succeeded", outputs={"by": 0})
    assert (await store.entries(job.uid))[0].holder == newer
    assert await adopt(store, newer) is Conflict
    assert await adopt(store, older) is None
    (entry,) = await store.entries(job.uid)
    assert (entry.holder, entry.epoch, entry.phase) == (older, 2, "succeeded")
    assert bytes(entry.outputs or b"") == b'{"by":0}'
    await report(store, newer, phase="succeeded", outputs={"by": 1})
    assert (await present(store, newer)).status["settlement"] == "superseded"
    (after,) = await store.entries(job.uid)
    assert (after.holder, after.phase) == (older, "succeeded")
    outcome = await send(store, Command("patchSpec", older, {"adopted": None}), actor=SYSTEM)
    assert refusal(outcome) is Invalid, "it stays adopted"


async def test_what_was_stopped_for_an_adopted_result_frees_its_place_by_its_own_end_alone(store: Store) -> None:
    await edges(store)
    _, older, newer = await replaced(store, EDGE_LOST)
    await report(store, older, phase="succeeded")
    assert (await store.pools([inventory_path("s", "f")]))[inventory_path("s", "f")].used["cpu"] == 250
    await report(store, newer, phase="stopped")
    assert not (await store.pools([inventory_path("s", "f")]))[inventory_path("s", "f")].used


async def test_a_chunk_that_failed_more_often_than_the_adopted_attempt_s_epoch_keeps_its_failures(store: Store) -> None:
    await edges(store)
    job = await new_job(store, chunks=1, retries=1)
    older = await place(store, job)
    await done(store, Command("patchSpec", older, {"intent": ABANDON, "intentReason": EDGE_LOST}), actor=SYSTEM)
    for epoch in (2, 3):
        path = await place(store, job, epoch=epoch, edge="f")
        await report(store, path, phase="failed")
    await report(store, older, phase="succeeded")
    (entry,) = await store.entries(job.uid)
    assert (entry.phase, entry.failures) == ("failed", 2), "what was counted is not changed by the job's policy"
    assert (await present(store, older)).status["settlement"] == "superseded"
    assert await adopt(store, older) is None
    (entry,) = await store.entries(job.uid)
    assert (entry.phase, entry.failures, entry.epoch, entry.holder) == ("succeeded", 2, 3, older)
    assert (await store.totals([job.uid]))[job.uid].phases == {"succeeded": 1}
