"""The ledger: every chunk is counted once, whatever becomes of its attempts."""

from typing import Any

import msgspec
import pytest

from datamodel.command import Command
from datamodel.errors import Conflict, Invalid
from datamodel.ledger import Entry, Totals
from datamodel.node import Node
from datamodel.ports import Placement, Store
from datamodel.scheduling.edges import desired_path
from datamodel.scheduling.splitting import COUNTED_BY
from tests.graph import (
    REQUESTS,
    SYSTEM,
    attempt,
    attempt_path,
    done,
    new_edge,
    new_job,
    place,
    present,
    refusal,
    report,
    send,
)

EDGE_PATH = "/inventory/sites/s/edges/e"


async def entry(store: Store, job: Node, index: int = 0) -> Entry:
    (found,) = await store.entries(job.uid, after=index - 1, limit=1)
    return found


async def totals(store: Store, job: Node) -> Totals:
    return (await store.totals([job.uid]))[job.uid]


async def settlement(store: Store, path: str) -> str:
    text: str = (await present(store, path)).status["settlement"]
    return text


async def test_the_first_attempt_makes_the_entry(store: Store) -> None:
    await new_edge(store)
    job = await new_job(store, chunks=3)
    assert await store.totals([job.uid]) == {}
    assert refusal(await send(store, attempt(job, epoch=2), actor=SYSTEM)) is Conflict
    path = await place(store, job)
    assert await store.entries(job.uid) == [Entry(job.uid, 0, epoch=1, phase="placed", holder=path)]
    assert await totals(store, job) == Totals({"placed": 1})


async def test_chunks_are_placed_in_order(store: Store) -> None:
    await new_edge(store)
    job = await new_job(store, chunks=3)
    for index in (1, 2):
        assert refusal(await send(store, attempt(job, index), actor=SYSTEM)) is Conflict
    await done(store, attempt(job, 0), attempt(job, 1), actor=SYSTEM)
    await place(store, job, 2)


async def test_a_chunk_is_placed_once_wherever_that_is_tried(store: Store) -> None:
    await new_edge(store, "a")
    await new_edge(store, "b")
    job = await new_job(store)
    await place(store, job, edge="a")
    for edge in ("a", "b"):
        for epoch in (1, 2):
            assert refusal(await send(store, attempt(job, 0, epoch, edge), actor=SYSTEM)) is Conflict
    assert (await entry(store, job)).epoch == 1


async def test_a_claim_needs_its_name_and_its_owner(store: Store) -> None:
    await new_edge(store)
    job, other = await new_job(store, "j"), await new_job(store, "other")
    good = attempt(job)
    attempts = good.path.rpartition("/")[0]
    for name, error in (("free-form", Invalid), (f"{job.uid}-00-1", Invalid), (f"{job.uid}-99999999-1", Invalid)):
        command = Command("create", f"{attempts}/{name}", good.body, links=good.links)
        assert refusal(await send(store, command, actor=SYSTEM)) is error
    cases: list[tuple[tuple[str, ...], type[Exception]]] = [((), Invalid), ((other.path,), Conflict)]
    for targets, refused in cases:
        command = Command("create", good.path, good.body, links={"job": targets})
        (verdict,) = await send(store, command, actor=SYSTEM)
        assert (type(verdict.error), verdict.error and verdict.error.field) == (refused, "/links/job")
    assert await store.entries(job.uid) == []


async def test_a_job_of_the_same_name_does_not_inherit_attempts(store: Store) -> None:
    await new_edge(store)
    old = await new_job(store)
    await report(store, await place(store, old), phase="interrupted")
    await remove(store, old)
    await new_job(store)
    assert refusal(await send(store, attempt(old, 0, epoch=2), actor=SYSTEM)) is Conflict


async def test_progress_is_the_current_attempts(store: Store) -> None:
    await new_edge(store)
    job = await new_job(store, chunks=2)
    path = await place(store, job)
    await report(store, path, phase="running", percent=40)
    await place(store, job, 1)
    assert ((await entry(store, job)).phase, (await entry(store, job)).progress) == ("running", 400)
    assert await totals(store, job) == Totals({"placed": 1, "running": 1}, 400)
    assert await store.sum_totals() == Totals({"placed": 1, "running": 1}, 400)
    await new_job(store, "unbegun", chunks=5)
    totalled = Totals({"placed": 1, "running": 1}, 400)
    assert await store.sum_pieces("Job", *COUNTED_BY, ["", "running"]) == (7, totalled)
    assert await store.sum_pieces("Job", *COUNTED_BY, ["succeeded"]) == (0, Totals())
    unsplit = await new_job(store, "unsplit", maxChunks=9, workWs=1.0)
    await new_job(store, "array", array="0-9:3,40")
    assert await store.sum_pieces("Job", *COUNTED_BY, ["", "running"]) == (13, totalled)
    await done(store, Command("patchStatus", unsplit.path, {"split": {"chunks": 4}}), actor=SYSTEM)
    assert await store.sum_pieces("Job", *COUNTED_BY, ["", "running"]) == (16, totalled)
    assert (await store.placements([job.uid, "none"]))[job.uid] == [
        Placement(desired_path("s", "e"), "placed", 1, 0),
        Placement(desired_path("s", "e"), "running", 1, 400),
    ]


async def test_a_success_is_counted_once(store: Store) -> None:
    await new_edge(store)
    job = await new_job(store)
    path = await place(store, job)
    report_of_success = {"phase": "succeeded", "outputs": {"primes": 25, "a": 1.5}}
    await report(store, path, **report_of_success)
    counted = await entry(store, job)
    assert (counted.phase, counted.progress, await settlement(store, path)) == ("succeeded", 1000, "counted")
    assert counted.outputs is not None
    assert bytes(counted.outputs) == b'{"a":1.5,"primes":25}'
    (again,) = await report(store, path, **report_of_success)
    assert again.outcome == "unchanged"
    assert refusal(await report(store, path, phase="failed")) is Conflict
    assert refusal(await send(store, attempt(job, 0, epoch=2), actor=SYSTEM)) is Conflict
    assert await entry(store, job) == counted
    assert await totals(store, job) == Totals({"succeeded": 1}, 1000)


async def test_failures_are_tried_again_until_the_retries_are_used(store: Store) -> None:
    await new_edge(store)
    job = await new_job(store, retries=1)
    seen = []
    for epoch in (1, 2):
        await report(store, await place(store, job, epoch=epoch), phase="failed")
        found = await entry(store, job)
        seen.append((found.epoch, found.phase, found.failures))
    assert seen == [(1, "retry", 1), (2, "failed", 2)]
    assert refusal(await send(store, attempt(job, 0, epoch=3), actor=SYSTEM)) is Conflict


async def test_epochs_follow_each_other(store: Store) -> None:
    await new_edge(store)
    job = await new_job(store)
    await report(store, await place(store, job), phase="interrupted")
    for epoch in (1, 3):
        assert refusal(await send(store, attempt(job, 0, epoch), actor=SYSTEM)) is Conflict
    await place(store, job, epoch=2)


async def test_an_interruption_uses_no_retry(store: Store) -> None:
    await new_edge(store)
    job = await new_job(store, retries=0)
    for epoch in (1, 2, 3):
        await report(store, await place(store, job, epoch=epoch), phase="interrupted")
    found = await entry(store, job)
    assert (found.epoch, found.phase, found.failures) == (3, "retry", 0)


@pytest.mark.parametrize(("intent", "phase"), [("stop", "aborted"), ("abandon", "retry"), ("run", "retry")])
async def test_what_was_stopped_is_not_wanted_or_goes_elsewhere(store: Store, intent: str, phase: str) -> None:
    await new_edge(store)
    job = await new_job(store)
    path = await place(store, job)
    await report(store, path, phase="running", percent=50)
    await done(store, Command("patchSpec", path, {"intent": intent}), actor=SYSTEM)
    await report(store, path, phase="stopped")
    assert ((await entry(store, job)).phase, (await entry(store, job)).progress) == (phase, 0)


async def test_an_abandoned_attempts_success_counts_while_nothing_replaced_it(store: Store) -> None:
    await new_edge(store)
    job = await new_job(store)
    path = await abandoned(store, job)
    assert (await entry(store, job)).phase == "retry"
    await report(store, path, phase="succeeded")
    assert ((await entry(store, job)).phase, await settlement(store, path)) == ("succeeded", "counted")
    assert refusal(await send(store, attempt(job, 0, epoch=2), actor=SYSTEM)) is Conflict


@pytest.mark.parametrize(("status", "phase"), [({}, "placed"), ({"phase": "running", "percent": 50}, "running")])
async def test_an_attempt_that_is_wanted_again_holds_its_chunk_again(
    store: Store, status: dict[str, Any], phase: str
) -> None:
    await new_edge(store)
    job = await new_job(store)
    path = await place(store, job)
    await report(store, path, **status)
    for intent, expected in (("abandon", "retry"), ("run", phase)):
        await done(store, Command("patchSpec", path, {"intent": intent}), actor=SYSTEM)
        assert (await entry(store, job)).phase == expected
    assert refusal(await send(store, attempt(job, 0, epoch=2), actor=SYSTEM)) is Conflict


@pytest.mark.parametrize("end", [{"phase": "succeeded", "outputs": {"n": 1}}, {"phase": "failed"}])
async def test_an_older_epoch_changes_nothing(store: Store, end: dict[str, Any]) -> None:
    await new_edge(store, "a")
    await new_edge(store, "b")
    job = await new_job(store)
    old = await abandoned(store, job, edge="a")
    new = await place(store, job, epoch=2, edge="b")
    before = await entry(store, job)
    assert before.holder == new == attempt_path(job, 0, 2, "b")
    await report(store, old, percent=99)
    await report(store, old, **end)
    assert await entry(store, job) == before
    assert await settlement(store, old) == "superseded"
    await report(store, new, phase="succeeded")
    assert await settlement(store, new) == "counted"
    assert await totals(store, job) == Totals({"succeeded": 1}, 1000)


async def test_a_change_after_the_end_counts_nothing_again(store: Store) -> None:
    await new_edge(store)
    job = await new_job(store, retries=2)
    path = await place(store, job)
    await report(store, path, phase="failed")
    await done(store, Command("patchSpec", path, {"intent": "stop"}, labels={"seen": "yes"}), actor=SYSTEM)
    found = await entry(store, job)
    assert (found.phase, found.failures) == ("retry", 1)


async def test_a_report_for_a_job_that_is_gone_is_orphaned(store: Store) -> None:
    await new_edge(store)
    job = await new_job(store, chunks=2)
    path, other = await place(store, job), await place(store, job, 1)
    await report(store, other, phase="running", percent=10)
    await remove(store, job)
    assert await store.totals([job.uid]) == {}
    await report(store, path, phase="succeeded")
    await report(store, other, phase="failed")
    assert [await settlement(store, p) for p in (path, other)] == ["orphaned", "orphaned"]
    assert (await store.pools([EDGE_PATH]))[EDGE_PATH].used == {}
    assert await store.sum_totals() == Totals()


async def test_entries_are_read_by_phase_and_page(store: Store) -> None:
    await new_edge(store, cpu=100.0, powerW=1000.0)
    job = await new_job(store, chunks=6, requests=REQUESTS)
    for index in range(6):
        path = await place(store, job, index)
        if index % 2:
            await report(store, path, phase="succeeded")

    async def indexes(**choice: Any) -> list[int]:
        return [found.index for found in await store.entries(job.uid, **choice)]

    assert await indexes() == [0, 1, 2, 3, 4, 5]
    assert await indexes(after=1, limit=2) == [2, 3]
    assert await indexes(phases=["succeeded"]) == [1, 3, 5]
    assert await indexes(phases=["succeeded"], after=1, limit=1) == [3]
    assert await indexes(phases=["none"]) == []


async def abandoned(store: Store, job: Node, edge: str = "e") -> str:
    path = await place(store, job, edge=edge)
    await report(store, path, phase="running", percent=50)
    await done(store, Command("patchSpec", path, {"intent": "abandon"}), actor=SYSTEM)
    return path


async def remove(store: Store, job: Node) -> None:
    await done(store, Command("delete", job.path))
    await done(store, Command("finalize", job.path, {"finalizer": "attempts"}), actor=SYSTEM)


async def test_what_a_database_cannot_hold_is_refused_and_all_else_is_kept_to_the_letter(store: Store) -> None:
    await new_edge(store)
    job = await new_job(store)
    path = await place(store, job)
    assert refusal(await report(store, path, phase="running", message="a\x00b")) is Invalid
    assert refusal(await report(store, path, phase="running", outputs={"a": "\x00"})) is Invalid
    outputs = {"quote ' \" $1 $$": "\\u0000 \\' '; DROP TABLE nodes; --", "é\u2028": [1.5, None, {"": -0.0}]}
    assert refusal(await report(store, path, phase="succeeded", outputs=outputs)) is None
    assert (await present(store, path)).status["outputs"] == outputs
    kept = (await entry(store, job)).outputs
    assert kept is not None
    assert msgspec.json.decode(kept) == outputs


async def test_the_first_entries_of_several_owners(store: Store) -> None:
    await new_edge(store, cpu=9.0, memoryBytes=2**30, powerW=99.0)
    jobs = [await new_job(store, name, chunks=3, retries=0) for name in "ab"]
    for job in jobs:
        for index in range(3):
            path = await place(store, job, index)
            if index != 1:
                await report(store, path, phase="failed")
    owners = [*(job.uid for job in jobs), "none"]
    found = await store.first_entries(owners, "failed", 9)
    assert {owner: [entry.index for entry in of] for owner, of in found.items()} == {
        **{job.uid: [0, 2] for job in jobs},
        "none": [],
    }
    assert found[jobs[0].uid] == await store.entries(jobs[0].uid, phases=("failed",))
    assert [entry.index for entry in (await store.first_entries(owners, "failed", 1))[jobs[1].uid]] == [0]
