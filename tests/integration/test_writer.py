"""A writer's memory, and another writer behind its back: verdicts are right, and nothing is recalled that is not so."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import pytest
import pytest_asyncio

from datamodel.command import Advance, Command, Fence
from datamodel.errors import Conflict, Fenced, Invalid, NotFound
from datamodel.ledger import Totals
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.edges import desired_path, inventory_path
from tests.graph import (
    EDGE,
    JOBS,
    SYSTEM,
    attempt,
    attempt_path,
    done,
    edge_spec,
    holders,
    job,
    new_job,
    place,
    present,
    refusal,
    report,
    send,
    unit,
)
from tests.pair import Pair, decides_by_memory, hear, paired, writer_held_up
from tests.waiting import eventually

GROUPS = "/config/job-groups"
POOL = inventory_path("s", "e")
Learn = Callable[[PostgresStore], Awaitable[None]]


@pytest_asyncio.fixture
async def pair(database_url: str) -> AsyncIterator[Pair]:
    async with paired(database_url) as pair:
        yield pair


async def nothing(store: PostgresStore) -> None:
    """Others wrote, and no word of it came."""


async def told(store: PostgresStore) -> None:
    """A word came, and nothing was read yet."""
    store.others_wrote()


@pytest.fixture(params=[nothing, told, hear], ids=["silently", "told", "heard"])
def learn(request: pytest.FixtureRequest) -> Learn:
    """How a store learns that another one has written."""
    learn: Learn = request.param
    return learn


async def removed(store: PostgresStore, path: str) -> None:
    await done(store, Command("delete", path))
    await done(store, Command("finalize", path, {"finalizer": "attempts"}), actor=SYSTEM)


async def test_a_node_that_another_changed(pair: Pair, learn: Learn) -> None:
    node = await new_job(pair.mine)
    patch = Command("patchSpec", node.path, {"retries": 5}, expected_version=node.version)
    assert decides_by_memory(pair.mine, unit(patch))
    await done(pair.other, Command("patchSpec", node.path, {"retries": 7}))
    await learn(pair.mine)
    assert refusal(await send(pair.mine, patch)) is Conflict
    (verdict,) = await done(pair.mine, msgspec.structs.replace(patch, expected_version=node.version + 1))
    assert (verdict.version, verdict.node) == (node.version + 2, await present(pair.other, node.path))
    assert verdict.node is not None
    assert (verdict.node.generation, verdict.node.spec["retries"]) == (3, 5)


async def test_a_patch_rests_on_what_another_left(pair: Pair, learn: Learn) -> None:
    node = await new_job(pair.mine)
    await done(pair.other, Command("patchSpec", node.path, {"retries": 7}, {"zone": "a"}))
    await learn(pair.mine)
    (verdict,) = await done(pair.mine, Command("patchSpec", node.path, {"workWs": 3.0}))
    assert verdict.node is not None
    assert (verdict.node.spec["retries"], verdict.node.spec["workWs"]) == (7, 3.0)
    assert verdict.node.labels == {"zone": "a"}


async def test_an_attempt_that_another_settled(pair: Pair, learn: Learn) -> None:
    owner = await new_job(pair.mine, chunks=2)
    path = await place(pair.mine, owner)
    await place(pair.mine, owner, 1)
    late = Command("patchStatus", path, {"phase": "failed"})
    assert decides_by_memory(pair.mine, unit(late, actor=EDGE))
    await report(pair.other, path, phase="succeeded", outputs={"n": 1})
    await learn(pair.mine)
    assert refusal(await send(pair.mine, late, actor=EDGE)) is Conflict
    await report(pair.mine, attempt_path(owner, 1), phase="running", percent=50.0)
    assert (await pair.other.totals([owner.uid]))[owner.uid] == Totals({"succeeded": 1, "running": 1}, 1500)
    assert (await pair.other.sum_totals()) == Totals({"succeeded": 1, "running": 1}, 1500)


async def test_an_attempt_that_another_gave_to_another_edge(pair: Pair, learn: Learn) -> None:
    owner = await new_job(pair.mine)
    first = await place(pair.mine, owner)
    await report(pair.other, first, phase="interrupted")
    second = await place(pair.other, owner, epoch=2)
    await learn(pair.mine)
    assert refusal(await send(pair.mine, attempt(owner, epoch=2), actor=SYSTEM)) is Conflict
    (verdict,) = await report(pair.mine, second, phase="succeeded")
    assert verdict.node is not None
    assert verdict.node.status["settlement"] == "counted"
    (entry,) = await pair.other.entries(owner.uid)
    assert (entry.epoch, entry.phase, entry.holder) == (2, "succeeded", second)


async def test_a_pool_that_another_filled_and_emptied(pair: Pair, learn: Learn) -> None:
    owner = await new_job(pair.mine, chunks=20)
    await place(pair.mine, owner)
    taken = [await place(pair.other, owner, index) for index in range(1, 16)]
    await learn(pair.mine)
    assert refusal(await send(pair.mine, attempt(owner, 16), actor=SYSTEM)) is Conflict
    await report(pair.other, taken[0], phase="succeeded")
    await learn(pair.mine)
    await place(pair.mine, owner, 16)
    pool = (await pair.other.pools([POOL]))[POOL]
    assert pool.used == {"cpu": 4000, "memory": 16 * 2**20, "power": 16000}
    assert refusal(await send(pair.other, attempt(owner, 17), actor=SYSTEM)) is Conflict


async def test_a_pool_that_another_resized(pair: Pair, learn: Learn) -> None:
    owner = await new_job(pair.mine, chunks=3)
    await place(pair.mine, owner)
    await done(pair.other, Command("apply", POOL, edge_spec(cpu=0.25)), actor=EDGE)
    await learn(pair.mine)
    assert refusal(await send(pair.mine, attempt(owner, 1), actor=SYSTEM)) is Conflict
    await done(pair.other, Command("apply", POOL, edge_spec(cpu=0.5)), actor=EDGE)
    await learn(pair.mine)
    await place(pair.mine, owner, 1)


async def test_a_job_that_another_removed_with_its_totals(pair: Pair, learn: Learn) -> None:
    owner, kept = await new_job(pair.mine, "gone", chunks=3), await new_job(pair.mine, "kept")
    path = await place(pair.mine, owner)
    running = await place(pair.mine, owner, 1)
    await place(pair.mine, kept)
    await report(pair.mine, path, phase="succeeded")
    await removed(pair.other, owner.path)
    await learn(pair.mine)
    assert refusal(await send(pair.mine, attempt(owner, 2), actor=SYSTEM)) is NotFound
    assert pair.mine.recall_totals(owner.uid) is None
    (verdict,) = await report(pair.mine, running, phase="succeeded")
    assert verdict.node is not None
    assert verdict.node.status["settlement"] == "orphaned"
    await report(pair.mine, attempt_path(kept), phase="succeeded")
    assert await pair.other.sum_totals() == Totals({"succeeded": 1}, 1000)
    assert owner.uid not in await pair.other.totals([owner.uid])


async def test_a_node_that_another_made_anew_under_the_same_path(pair: Pair, learn: Learn) -> None:
    old = await new_job(pair.mine, chunks=2)
    await report(pair.mine, await place(pair.mine, old), phase="succeeded")
    await removed(pair.other, old.path)
    new = await new_job(pair.other, chunks=2)
    await learn(pair.mine)
    assert refusal(await send(pair.mine, attempt(old, 1), actor=SYSTEM)) is Conflict, "its name claims the old one's"
    await report(pair.mine, await place(pair.mine, new), phase="succeeded")
    stale = Command("patchSpec", old.path, {"retries": 1}, expected_version=old.version)
    assert refusal(await send(pair.mine, stale)) is Conflict
    assert (await pair.mine.totals([old.uid, new.uid])) == {new.uid: Totals({"succeeded": 1}, 1000)}
    assert refusal(await send(pair.mine, job(chunks=2))) is Conflict


async def test_a_path_that_another_took_or_freed(pair: Pair, learn: Learn) -> None:
    await new_job(pair.mine, "a")
    await new_job(pair.other, "b")
    await removed(pair.other, f"{JOBS}/a")
    await learn(pair.mine)
    outcome = await send(pair.mine, job("a"), job("b"), job("c"), atomic=False)
    assert [refusal(outcome, number) for number in range(3)] == [None, Conflict, None]


async def test_a_parent_that_another_removed(pair: Pair, learn: Learn) -> None:
    inside = msgspec.structs.replace(job(), path=f"{GROUPS}/g/jobs/j")
    await done(pair.mine, Command("create", f"{GROUPS}/g"))
    assert decides_by_memory(pair.mine, unit(inside))
    await done(pair.other, Command("delete", f"{GROUPS}/g"))
    await learn(pair.mine)
    assert refusal(await send(pair.mine, inside)) is NotFound
    await done(pair.other, Command("create", f"{GROUPS}/g"))
    await learn(pair.mine)
    await done(pair.mine, inside)


async def test_a_removal_takes_what_another_put_below(pair: Pair, learn: Learn) -> None:
    owner = await new_job(pair.mine)
    await done(pair.other, Command("create", desired_path("s", "f")), actor=SYSTEM)
    path = await place(pair.other, owner)
    await learn(pair.mine)
    doomed = Command("delete", desired_path("s", "e"))
    assert refusal(await send(pair.mine, doomed, actor=SYSTEM)) is Conflict, "an attempt runs there"
    await report(pair.other, path, phase="succeeded")
    await learn(pair.mine)
    await done(pair.mine, doomed, actor=SYSTEM)
    assert await pair.other.list_nodes("Attempt") == []
    assert refusal(await send(pair.other, Command("patchStatus", path, {"percent": 1.0}), actor=EDGE)) is NotFound


async def test_a_decision_that_fails_for_anothers_write_is_made_anew(pair: Pair) -> None:
    await new_job(pair.mine, "a")
    units = [unit(job("b"), job("c")), unit(Command("patchSpec", f"{JOBS}/b", {"retries": 5}))]
    assert decides_by_memory(pair.mine, *units)
    theirs = await new_job(pair.other, "theirs")
    (first, second), (patched,) = await pair.mine.append(units)
    assert [first.version, second.version, patched.version] == [theirs.version + n for n in (1, 2, 3)]
    events = await pair.other.events(theirs.version, 10)
    assert [(event.position, event.path) for event in events] == [
        (verdict.version, verdict.path) for verdict in (first, second, patched)
    ]
    assert patched.node == await present(pair.other, f"{JOBS}/b")
    assert (patched.uid, second.uid) == (first.uid, (await present(pair.other, f"{JOBS}/c")).uid)


async def test_an_old_token_is_refused_by_memory_too(pair: Pair) -> None:
    old = Fence("placement", (await pair.mine.acquire(["placement"], "mine", 60.0))["placement"])
    await done(pair.mine, job("a"), fence=old)
    assert decides_by_memory(pair.mine, unit(job("b"), fence=old))
    await done(pair.mine, job("b"), fence=old)
    await pair.mine.release(["placement"], "mine")
    token = (await pair.other.acquire(["placement"], "other", 60.0))["placement"]
    assert decides_by_memory(pair.mine, unit(job("c"), fence=old))
    units = [unit(job("c"), fence=old), unit(job("d"))]
    refused, changed = await pair.mine.append(units)
    assert (refusal(refused), refusal(changed)) == (Fenced, None), "the others of its transaction go on"
    await done(pair.mine, job("c"), fence=Fence("placement", token))


async def test_an_expired_lease_is_refused_by_memory_too(pair: Pair) -> None:
    fence = Fence("placement", (await pair.mine.acquire(["placement"], "mine", 0.5))["placement"])
    await done(pair.mine, job("a"), fence=fence)

    async def expired() -> bool:
        return await holders(pair.other, "placement") == {}

    await eventually(expired)
    assert decides_by_memory(pair.mine, unit(job("b"), fence=fence))
    assert refusal(await send(pair.mine, job("b"), fence=fence)) is Fenced
    assert refusal(await send(pair.mine, fence=fence, advance=Advance("mark", 0, 1))) is Fenced
    assert await pair.mine.marks(["mark"]) == {}


async def test_a_mark_that_another_moved_is_refused_by_memory_too(pair: Pair) -> None:
    await done(pair.mine, job("a"), advance=Advance("mark", 0, 5))
    await done(pair.other, job("b"), advance=Advance("mark", 5, 6))
    await hear(pair.mine)
    await done(pair.mine, job("c"))
    stale = Advance("mark", 5, 9)
    assert decides_by_memory(pair.mine, unit(job("d"), advance=stale))
    assert refusal(await send(pair.mine, job("d"), advance=stale)) is Fenced
    await done(pair.mine, job("d"), advance=Advance("mark", 6, 9))
    assert await pair.other.marks(["mark"]) == {"mark": 9}


async def test_two_moves_of_a_mark_in_one_transaction(pair: Pair) -> None:
    await done(pair.mine, job("a"), advance=Advance("mark", 0, 5))
    moves = [Advance("mark", 5, 6), Advance("mark", 6, 8), Advance("mark", 6, 9)]
    outcomes = await pair.mine.append([unit(job(f"m{move.through}"), advance=move) for move in moves])
    assert [refusal(outcome) for outcome in outcomes] == [None, None, Fenced]
    assert await pair.other.marks(["mark"]) == {"mark": 8}


async def test_a_key_that_another_used_is_replayed(pair: Pair) -> None:
    await new_job(pair.mine, "a")
    (first,) = await done(pair.other, job("b"), key="k", digest="d")
    (again,) = await done(pair.mine, job("b"), key="k", digest="d")
    assert (again.outcome, again.replayed, again.uid, again.version) == ("unchanged", True, first.uid, first.version)
    assert refusal(await send(pair.mine, job("c"), key="k", digest="e")) is Invalid
    (own,) = await done(pair.mine, job("d"), key="l", digest="d")
    assert (await done(pair.other, job("d"), key="l", digest="d"))[0].uid == own.uid


async def test_a_uid_that_another_took_is_taken(pair: Pair) -> None:
    await new_job(pair.mine, "a")
    await done(pair.other, msgspec.structs.replace(job("b"), uid="b" * 32))
    assert refusal(await send(pair.mine, msgspec.structs.replace(job("c"), uid="b" * 32))) is Conflict
    (verdict,) = await done(pair.mine, msgspec.structs.replace(job("c"), uid="c" * 32))
    assert verdict.uid == "c" * 32
    owner = await present(pair.other, verdict.path)
    await place(pair.other, owner)
    await report(pair.mine, attempt_path(owner), phase="succeeded")


async def test_writers_of_one_process_that_wait_for_each_other_see_each_other(pair: Pair) -> None:
    await new_job(pair.mine, "a")
    outcomes = await asyncio.gather(*(send(pair.mine, job(f"j{number % 10}")) for number in range(30)))
    assert sum(refusal(outcome) is None for outcome in outcomes) == 10
    assert {refusal(outcome) for outcome in outcomes} == {None, Conflict}
    versions = [outcome[0].version for outcome in outcomes if refusal(outcome) is None]
    assert versions == list(range(versions[0], versions[0] + 10))


async def test_a_writer_that_was_given_up_leaves_no_trace_in_memory(pair: Pair) -> None:
    node = await new_job(pair.mine, "a")
    with writer_held_up(pair.mine):
        given_up = [asyncio.create_task(send(pair.mine, job(name))) for name in ("b", "c")]
        await asyncio.sleep(0)
        for task in given_up:
            task.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)
    assert all(task.cancelled() for task in given_up)
    (verdict,) = await done(pair.mine, Command("patchSpec", node.path, {"retries": 5}))
    assert verdict.version == (await pair.other.head()).position
