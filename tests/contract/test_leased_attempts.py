"""Attempts under leases: another one is made at their chunk once their end is told, or their lease is known to be over."""

from typing import Any

import pytest

from datamodel.audit import Audit
from datamodel.command import Command
from datamodel.errors import Conflict, Invalid
from datamodel.ledger import Entry
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.scheduling.attempts import ABANDON
from datamodel.scheduling.edges import inventory_path
from datamodel.verify import verify
from tests.graph import SYSTEM, attempt, done, new_edge, new_job, place, present, refusal, report, send
from tests.plants import GARDEN

REASONS = ["EdgeCutOff", "EdgeDrained", "EdgeInMaintenance", "EdgeLost", "Preempted", "Shed", None]


async def leased(store: Store, **status: Any) -> tuple[Node, str]:
    """An exclusive job and the attempt at its one chunk, on edge `e`; there is another edge `f`."""
    for edge in "ef":
        await new_edge(store, edge)
    job = await new_job(store, chunks=1, cutOff={"policy": "exclusive", "leaseS": 20})
    path = await place(store, job, leaseS=20)
    if status:
        await report(store, path, **status)
    return job, path


async def leave(store: Store, path: str, reason: str | None) -> None:
    body = {"intent": ABANDON, **({"intentReason": reason} if reason else {})}
    await done(store, Command("patchSpec", path, body), actor=SYSTEM)


async def entry(store: Store, job: Node) -> Entry:
    (found,) = await store.entries(job.uid)
    return found


async def second(store: Store, job: Node) -> type[Exception] | None:
    """Why there is no second attempt at the chunk."""
    return refusal(await send(store, attempt(job, epoch=2, edge="f", leaseS=20), actor=SYSTEM))


async def audited(store: Store) -> None:
    found = await verify(store, Audit(GARDEN))
    assert found.clean, str(found)


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("status", [{}, {"phase": "running", "percent": 50.0}])
async def test_one_that_is_to_leave_its_edge_is_replaced_by_nobody(
    store: Store, reason: str | None, status: dict[str, Any]
) -> None:
    job, path = await leased(store, **status)
    before = await entry(store, job)
    await leave(store, path, reason)
    assert await entry(store, job) == before
    assert await second(store, job) is Conflict
    await audited(store)


@pytest.mark.parametrize("phase", ["interrupted", "stopped", "failed", "abandoned"])
async def test_its_own_end_or_an_operator_s_word_for_it_lets_the_chunk_go_elsewhere(store: Store, phase: str) -> None:
    job, path = await leased(store, phase="running")
    await leave(store, path, "EdgeLost")
    await report(store, path, phase=phase)
    assert (await entry(store, job)).phase == "retry"
    assert await second(store, job) is None
    await audited(store)


@pytest.mark.parametrize("before", ["EdgeLost", None])
async def test_once_its_lease_is_over_the_chunk_goes_elsewhere_and_its_room_stays_reserved(
    store: Store, before: str | None
) -> None:
    job, path = await leased(store, phase="running", percent=50.0)
    if before is not None:
        await leave(store, path, before)
    await leave(store, path, "LeaseOver")
    found = await entry(store, job)
    assert (found.phase, found.failures, found.epoch) == ("retry", 0, 1)
    assert await second(store, job) is None
    pool = inventory_path("s", "e")
    assert (await store.pools([pool]))[pool].used["cpu"] == 250
    await report(store, path, phase="interrupted", reason="LeaseOver")
    assert not (await store.pools([pool]))[pool].used
    assert (await entry(store, job)).phase == "placed"
    await audited(store)


@pytest.mark.parametrize("reason", ["LeaseOver", "EdgeLost", "EdgeCutOff"])
async def test_a_late_success_of_it_is_kept_and_counts_nothing_until_somebody_adopts_it(
    store: Store, reason: str
) -> None:
    job, path = await leased(store, phase="running")
    await leave(store, path, reason)
    if reason != "LeaseOver":
        await report(store, path, phase="abandoned")
    assert await second(store, job) is None
    await report(store, path, phase="succeeded", outputs={"n": 1})
    assert (await present(store, path)).status["settlement"] == "superseded"
    assert (await entry(store, job)).phase == "placed"
    await done(store, Command("patchSpec", path, {"adopted": True}))
    assert ((await entry(store, job)).phase, (await entry(store, job)).holder) == ("succeeded", path)
    await audited(store)


async def test_a_success_before_it_is_replaced_counts(store: Store) -> None:
    job, path = await leased(store, phase="running")
    await leave(store, path, "LeaseOver")
    await report(store, path, phase="succeeded")
    assert (await present(store, path)).status["settlement"] == "counted"
    assert await second(store, job) is Conflict
    await audited(store)


@pytest.mark.parametrize("lease_s", [4.0, 1e6, "long"])
async def test_a_lease_has_bounds_and_stays_as_it_is(store: Store, lease_s: object) -> None:
    job, path = await leased(store)
    with pytest.raises(Invalid) as refused:
        await send(store, attempt(job, epoch=2, edge="f", leaseS=lease_s), actor=SYSTEM)
    assert refused.value.field == "/spec/leaseS"
    patch = Command("patchSpec", path, {"leaseS": 30.0})
    assert refusal(await send(store, patch, actor=SYSTEM)) is Invalid
