"""Reservations: no pool is ever overbooked, and only an attempt's own end frees what it holds."""

from datamodel.command import Command
from datamodel.errors import Conflict, Invalid
from datamodel.ports import Store
from tests.graph import (
    EDGE,
    SYSTEM,
    attempt,
    done,
    new_edge,
    new_job,
    place,
    refusal,
    report,
    send,
)

EDGE_PATH = "/inventory/sites/s/edges/e"


async def test_a_pool_is_never_overbooked(store: Store) -> None:
    await new_edge(store)
    job = await new_job(store, chunks=10)
    for index in range(4):
        await place(store, job, index)
    outcome = await send(store, attempt(job, 4), actor=SYSTEM)
    assert refusal(outcome) is Conflict
    assert outcome[0].error is not None
    assert outcome[0].error.field == "/spec/requests/cpu"
    pool = (await store.pools([EDGE_PATH]))[EDGE_PATH]
    assert pool.used == {"cpu": 1000, "memory": 4 * 2**20, "power": 4000}
    assert await store.entries(job.uid, after=3) == []


async def test_a_pool_is_full_to_its_last_unit(store: Store) -> None:
    await new_edge(store)
    half, more = (
        await new_job(store, "half", chunks=2, requests={"cpu": 0.5}),
        await new_job(store, "more", requests={"cpu": 0.501}),
    )
    await place(store, half)
    assert refusal(await send(store, attempt(more), actor=SYSTEM)) is Conflict
    await place(store, half, 1)


async def test_what_was_reserved_is_free_after_the_attempts_own_end(store: Store) -> None:
    await new_edge(store)
    job = await new_job(store)
    path = await place(store, job)
    await report(store, path, phase="running")
    await done(store, Command("patchSpec", path, {"intent": "abandon"}), actor=SYSTEM)
    assert (await store.pools([EDGE_PATH]))[EDGE_PATH].used != {}
    await report(store, path, phase="stopped")
    assert (await store.pools([EDGE_PATH]))[EDGE_PATH].used == {}


async def test_a_capacity_that_shrinks_leaves_an_excess_that_only_falls(store: Store) -> None:
    await new_edge(store)
    job = await new_job(store, chunks=10)
    paths = [await place(store, job, index) for index in range(4)]
    await done(store, Command("patchSpec", EDGE_PATH, {"capacity": {"cpu": 0.5}}), actor=EDGE)
    pool = (await store.pools([EDGE_PATH]))[EDGE_PATH]
    assert (pool.capacity["cpu"], pool.used["cpu"]) == (500, 1000)
    for path, refused in zip(paths, (Conflict, Conflict, None), strict=False):
        await report(store, path, phase="succeeded")
        outcome = await send(store, attempt(job, 4), actor=SYSTEM)
        assert refusal(outcome) is refused


async def test_what_a_node_reserves_cannot_change(store: Store) -> None:
    await new_edge(store)
    path = await place(store, await new_job(store))
    more = Command("patchSpec", path, {"requests": {"cpu": 0.5}})
    assert refusal(await send(store, more, actor=SYSTEM)) is Invalid
