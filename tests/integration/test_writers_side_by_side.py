"""Writers that have nothing to do with each other do not disturb each other; those that have do not overrule each other."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from datamodel.command import Command
from datamodel.errors import Conflict, NotFound
from datamodel.ports import Store
from datamodel.postgres.statements import REACH
from datamodel.scheduling.attempts import PLACED
from tests.graph import (
    EDGE,
    JOBS,
    REQUESTS,
    SYSTEM,
    attempt,
    done,
    job,
    new_job,
    place,
    present,
    refusal,
    report,
    send,
    unit,
)
from tests.pair import Pair, decides_by_memory, hear, paired, round_trips, writer_held_up

GROUPS = "/config/job-groups"


@pytest_asyncio.fixture
async def pair(database_url: str) -> AsyncIterator[Pair]:
    async with paired(database_url) as pair:
        yield pair


async def test_a_decision_stands_behind_what_others_wrote_of_other_things(pair: Pair) -> None:
    await new_job(pair.mine, "a")
    (theirs,) = await done(pair.other, job("theirs"))
    async with round_trips(pair.mine) as asked:
        created, patched = await done(pair.mine, job("b"), Command("patchSpec", f"{JOBS}/a", {"retries": 3}))
    assert len(asked) == 1
    assert (created.version, patched.version) == (theirs.version + 1, theirs.version + 2)
    assert created.node == await present(pair.other, f"{JOBS}/b")
    assert patched.node == await present(pair.other, f"{JOBS}/a")
    events = await pair.other.events(theirs.version - 1, 10)
    assert [(event.position, event.path) for event in events] == [
        (theirs.version, f"{JOBS}/theirs"),
        (created.version, f"{JOBS}/b"),
        (patched.version, f"{JOBS}/a"),
    ]
    assert [event.at for event in events] == sorted(event.at for event in events)
    changes = await pair.mine.changes(theirs.version, 10)
    assert [change.node for change in changes] == [created.node, patched.node]
    async with round_trips(pair.mine) as asked:
        (again,) = await done(pair.mine, Command("patchSpec", f"{JOBS}/b", {"retries": 4}))
    assert (len(asked), again.version) == (1, patched.version + 1)


async def test_who_is_behind_in_time_takes_the_time_of_the_log(pair: Pair) -> None:
    await new_job(pair.mine, "a")
    await new_job(pair.other, "b")
    clock = pair.other._writer.remembered.clock
    assert clock is not None
    clock._read_s -= 1.0
    (theirs,) = await done(pair.other, job("theirs"))
    await hear(pair.mine)
    (created,) = await done(pair.mine, job("c"))
    assert created.version == theirs.version + 1
    assert theirs.node is not None
    assert created.node is not None
    assert created.node.created_at == theirs.node.created_at
    assert created.node == await present(pair.other, f"{JOBS}/c")


async def test_a_refusal_stands_only_where_nobody_changed_what_it_rests_on(pair: Pair) -> None:
    await new_job(pair.mine, "a")
    assert refusal(await send(pair.mine, Command("patchSpec", f"{JOBS}/none", {}))) is NotFound
    patch = unit(Command("patchSpec", f"{JOBS}/none", {"retries": 5}))
    await done(pair.other, job("none"))
    assert decides_by_memory(pair.mine, patch)
    ((verdict,),) = await pair.mine.append([patch])
    assert verdict.outcome == "changed"


async def test_what_others_removed_is_created_again(pair: Pair) -> None:
    await done(pair.mine, Command("create", f"{GROUPS}/g"))
    await done(pair.other, Command("delete", f"{GROUPS}/g"))
    create = Command("create", f"{GROUPS}/g")
    assert decides_by_memory(pair.mine, unit(create))
    assert (await done(pair.mine, create))[0].outcome == "changed"


async def test_an_expected_version_that_others_have_passed_is_refused(pair: Pair) -> None:
    node = await new_job(pair.mine, "a")
    await done(pair.other, Command("patchSpec", node.path, {"retries": 7}))
    late = Command("patchSpec", node.path, {"retries": 1}, expected_version=node.version)
    assert decides_by_memory(pair.mine, unit(late))
    assert refusal(await send(pair.mine, late)) is Conflict
    found = await present(pair.other, node.path)
    assert found.spec["retries"] == 7


async def test_nothing_is_created_below_what_others_have_removed(pair: Pair) -> None:
    await done(pair.mine, Command("create", f"{GROUPS}/g"))
    await done(pair.other, Command("delete", f"{GROUPS}/g"))
    create = Command("create", f"{GROUPS}/g/jobs/j", job().body)
    assert decides_by_memory(pair.mine, unit(create))
    assert refusal(await send(pair.mine, create)) is NotFound


async def test_what_both_reserve_of_a_pool_is_not_given_twice(pair: Pair) -> None:
    """The edge has 16 watts."""
    node = await new_job(pair.mine, "a", chunks=3, requests={**REQUESTS, "powerW": 10.0})
    path = await place(pair.mine, node, 0, requests=node.spec["requests"])
    await report(pair.mine, path, phase="succeeded")
    await place(pair.other, node, 1, requests=node.spec["requests"])
    mine = attempt(node, 2, requests=node.spec["requests"])
    assert decides_by_memory(pair.mine, unit(mine, actor=SYSTEM))
    assert refusal(await send(pair.mine, mine, actor=SYSTEM)) is Conflict


async def test_sums_that_both_change_are_changed_one_after_the_other(pair: Pair) -> None:
    """One settles a chunk; the other, who remembers the job as it was, settles another."""
    node = await new_job(pair.mine, "a", chunks=3)
    paths = [await place(pair.mine, node, index) for index in range(3)]
    await report(pair.mine, paths[0], phase="running")
    await report(pair.other, paths[1], phase="succeeded")
    patch = Command("patchStatus", paths[0], {"phase": "succeeded"})
    assert decides_by_memory(pair.mine, unit(patch, actor=EDGE))
    await done(pair.mine, patch, actor=EDGE)
    totals = (await pair.other.totals([node.uid]))[node.uid]
    assert (totals.phases, totals.progress) == ({PLACED: 1, "succeeded": 2}, 2_000)


async def test_who_is_far_behind_looks_again(pair: Pair) -> None:
    await new_job(pair.mine, "a")
    await pair.other.append([unit(*(job(f"m{number}") for number in range(REACH // 2))) for _ in "ab"])
    theirs = await pair.other.append([unit(*(job(f"n{number}") for number in range(REACH // 2 + 1)))])
    async with round_trips(pair.mine) as asked:
        (created,) = await done(pair.mine, job("b"))
    assert len(asked) == 2
    assert created.version == theirs[-1][-1].version + 1


async def test_what_was_decided_behind_what_is_displaced_is_decided_anew(pair: Pair) -> None:
    """Two batches are on their way when others write: the second rests on the first, whose version is another then."""
    await new_job(pair.mine, "a")
    with writer_held_up(pair.mine):
        batches = [asyncio.create_task(send(pair.mine, *commands)) for commands in _batches()]
        await done(pair.other, job("theirs"))
    first, second = await asyncio.gather(*batches)
    assert [verdict.outcome for verdict in (*first, *second)] == ["changed"] * 3
    found = await present(pair.other, f"{JOBS}/b")
    assert (found.spec["retries"], found.version) == (9, second[0].version)
    assert (await pair.other.head()).position == second[-1].version


def _batches() -> list[list[Command]]:
    return [[job("b")], [Command("patchSpec", f"{JOBS}/b", {"retries": 9}), job("c")]]


async def test_two_writers_at_once_need_a_round_trip_a_batch(pair: Pair) -> None:
    async def write(store: Store, name: str) -> None:
        for number in range(50):
            await done(store, job(f"{name}{number}"))

    await done(pair.mine, job("x"))
    await done(pair.other, job("y"))
    async with round_trips(pair.mine) as mine, round_trips(pair.other) as others:
        await asyncio.gather(write(pair.mine, "m"), write(pair.other, "o"))
    assert (len(mine), len(others)) == (50, 50)
