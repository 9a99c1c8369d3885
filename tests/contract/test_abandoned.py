"""Attempts whose host is off, as somebody said: they hold nothing, and what is told of them later is settled as ever."""

import pytest

from datamodel.command import Command
from datamodel.errors import Conflict, Forbidden
from datamodel.ports import Store
from datamodel.scheduling.attempts import ABANDON
from datamodel.scheduling.edges import desired_path, inventory_path
from datamodel.scheduling.giving_up import EDGE_LOST
from tests.graph import SYSTEM, USER, done, new_edge, new_job, place, present, refusal, report, send

EDGE = inventory_path("s", "e")


async def given_up(store: Store, path: str) -> None:
    await done(store, Command("patchSpec", path, {"intent": ABANDON, "intentReason": EDGE_LOST}), actor=SYSTEM)


async def delete(store: Store, path: str) -> type[Exception] | None:
    return refusal(await send(store, Command("delete", path), actor=USER))


async def test_it_holds_nothing_any_more_and_its_chunk_may_be_placed_again(store: Store) -> None:
    for edge in "ef":
        await new_edge(store, edge)
    job = await new_job(store, chunks=1)
    older = await place(store, job)
    await report(store, older, phase="running", percent=50.0)
    assert await delete(store, EDGE) is Conflict, "something is reserved of it"
    await given_up(store, older)
    assert (await store.pools([EDGE]))[EDGE].used["cpu"] == 250, "nobody said that it has ended"
    assert await delete(store, EDGE) is Conflict
    await report(store, older, phase="abandoned")
    assert not (await store.pools([EDGE]))[EDGE].used
    assert (await store.totals([job.uid]))[job.uid].phases == {"retry": 1}
    assert "settlement" not in (await present(store, older)).status, "it may be told of yet"
    await place(store, job, epoch=2, edge="f")
    assert await delete(store, EDGE) is None
    assert await delete(store, desired_path("s", "e")) is Forbidden


@pytest.mark.parametrize("phase", ["succeeded", "failed", "interrupted", "stopped"])
async def test_what_its_edge_tells_of_it_after_all_is_settled(store: Store, phase: str) -> None:
    for edge in "ef":
        await new_edge(store, edge)
    job = await new_job(store, chunks=1)
    older = await place(store, job)
    await given_up(store, older)
    await report(store, older, phase="abandoned")
    newer = await place(store, job, epoch=2, edge="f")
    assert refusal(await report(store, older, phase="running")) is Conflict
    await report(store, older, phase=phase)
    wins = phase == "succeeded"
    assert (await present(store, older)).status["settlement"] == ("counted" if wins else "superseded")
    assert refusal(await report(store, older, phase="abandoned")) is Conflict, "one end is enough"
    await report(store, newer, phase="succeeded")
    assert (await present(store, newer)).status["settlement"] == ("superseded" if wins else "counted")
    (entry,) = await store.entries(job.uid)
    assert (entry.holder, entry.phase, entry.failures) == (older if wins else newer, "succeeded", 0)
    assert not (await store.pools([EDGE]))[EDGE].used


async def test_a_report_for_a_job_that_is_gone_is_orphaned_and_kept(store: Store) -> None:
    await new_edge(store)
    job = await new_job(store, chunks=1)
    path = await place(store, job)
    await given_up(store, path)
    await done(store, Command("delete", job.path))
    await done(store, Command("finalize", job.path, {"finalizer": "attempts"}), actor=SYSTEM)
    assert await delete(store, EDGE) is Conflict, "what runs there is not settled"
    await report(store, path, phase="succeeded", outputs={"n": 1})
    status = (await present(store, path)).status
    assert (status["settlement"], status["outputs"]) == ("orphaned", {"n": 1})
    assert refusal(await send(store, Command("patchSpec", path, {"adopted": True}))) is Conflict
    assert await delete(store, EDGE) is None
