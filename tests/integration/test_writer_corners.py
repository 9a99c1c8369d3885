"""Corners of a writer that decides by memory: what is rare, and must be right all the same."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from datamodel.appender import Appender
from datamodel.command import Command, Fence
from datamodel.errors import Conflict, Transient
from datamodel.scheduling.edges import inventory_path
from reconcilers.placement import Placement
from tests.graph import JOBS, SYSTEM, done, job, new_job, refusal, send, unit
from tests.pair import Pair, connection, cut, decides_by_memory, paired, survived, writer_held_up

GROUPS = "/config/job-groups"


@pytest_asyncio.fixture
async def pair(database_url: str) -> AsyncIterator[Pair]:
    async with paired(database_url) as pair:
        yield pair


async def test_what_others_are_heard_to_have_changed_is_not_recalled_while_a_doomed_write_is_on_its_way(
    pair: Pair,
) -> None:
    node = await new_job(pair.mine, "a")
    assert decides_by_memory(pair.mine, unit(job("b")))
    with writer_held_up(pair.mine):
        doomed = asyncio.create_task(send(pair.mine, job("b")))
        await done(pair.other, Command("patchSpec", node.path, {"retries": 7}))
        changes = await pair.mine.changes(node.version, 10)
        recalled = pair.mine.recall_node(node.path)
    assert (await doomed)[0].outcome == "changed"
    assert [change.path for change in changes] == [node.path], "the change was heard"
    assert recalled is None or recalled.spec["retries"] == 7


async def test_time_does_not_run_backwards_after_what_others_wrote(pair: Pair) -> None:
    many = [unit(job(f"m{number}")) for number in range(2_000)]
    await pair.mine.append(many)
    (theirs,) = await done(pair.other, job("theirs"))
    pair.mine.others_wrote()
    assert [change.path for change in await pair.mine.changes(theirs.version - 1, 10)] == [theirs.path]
    await done(pair.mine, job("mine"))
    events = await pair.mine.events(theirs.version - 1, 2)
    assert events[0].at <= events[1].at


async def test_a_group_that_exists_is_there_for_the_units_after_a_refused_creation(pair: Pair) -> None:
    path = f"{GROUPS}/g"
    await done(pair.other, Command("create", path))
    await done(pair.mine, job("b"), Command("create", f"{GROUPS}/f"))
    taken = unit(Command("create", path), Command("patchSpec", f"{JOBS}/b", {"retries": -1}))
    patch = unit(Command("patchSpec", path, {"description": "x"}))
    assert decides_by_memory(pair.mine, taken, patch)
    refused, changed = await pair.mine.append([taken, patch])
    assert refused[0].outcome == "refused"
    assert (changed[0].outcome, changed[0].error) == ("changed", None)


async def test_what_the_rule_book_cannot_digest_leaves_nothing_behind(pair: Pair) -> None:
    node = await new_job(pair.mine, "a")
    deep: dict[str, Any] = {}
    for _ in range(5_000):
        deep = {"a": deep}
    units = [unit(job("b")), unit(Command("patchStatus", node.path, {"outputs": deep}), actor=SYSTEM)]
    assert decides_by_memory(pair.mine, *units)
    try:
        outcomes = await pair.mine.append(units)
    except RecursionError:
        outcomes = []
    assert not outcomes or [outcome[0].outcome for outcome in outcomes] == ["changed", "refused"]
    await done(pair.mine, job("c"))  # and the fixture finds that what is stored follows from the log


async def test_a_creation_of_what_exists_is_refused_while_others_write(pair: Pair) -> None:
    """Writers with idempotency keys read under the lock every time; between two of them memory is enough for others."""
    await new_job(pair.other, "taken")
    await done(pair.mine, job("a"))
    keyed = 0

    async def write(writer: int) -> None:
        nonlocal keyed
        while not refused.done() and keyed < 200:
            keyed += 1
            await done(pair.mine, job(f"w{writer}-{keyed}"), key=f"{writer}/{keyed}", digest="d")

    refused = asyncio.create_task(send(pair.mine, job("taken")))
    await asyncio.gather(*(write(number) for number in range(3)))
    assert refusal(await refused) is Conflict
    assert keyed < 50


async def test_a_database_that_was_replaced_between_two_calls_is_no_part_of_what_is_remembered(pair: Pair) -> None:
    await new_job(pair.mine, "a")
    before = (await pair.mine.head()).position
    kept = await _tables(pair)
    lost = await new_job(pair.mine, "b")
    await new_job(pair.mine, "c")
    async with connection(pair.url) as disturber:
        await cut(disturber)
    await _restore(pair, kept, before)
    (verdict,) = await done(pair.mine, job("d"))
    assert verdict.version == before + 1
    changes = await pair.mine.changes(before, 10)
    assert [change.path for change in changes] == [f"{JOBS}/d"]
    await done(pair.mine, job("e"))
    recalled = pair.mine.recall_node(lost.path)
    assert recalled is None
    assert (await done(pair.mine, job("b")))[0].outcome == "changed"


async def _tables(pair: Pair) -> list[str]:
    return sorted(node.path for node in await pair.other.list_nodes("Job"))


async def _restore(pair: Pair, kept: list[str], position: int) -> None:
    """The database as it was at a position after which there were creations of jobs alone."""
    async with connection(pair.url) as raw, raw.transaction():
        await raw.execute("DELETE FROM nodes WHERE kind = 'Job' AND NOT path = ANY($1)", kept)
        await raw.execute("DELETE FROM facets WHERE path NOT IN (SELECT path FROM nodes)")
        await raw.execute("DELETE FROM events WHERE position > $1", position)
        await raw.execute("UPDATE head SET position = $1, at = (SELECT at FROM events WHERE position = $1)", position)


async def test_a_database_that_takes_no_connections_is_a_failure_that_passes(pair: Pair) -> None:
    name = pair.url.partition("?")[0].rpartition("/")[2]
    async with connection(pair.url.replace(f"/{name}?", "/postgres?")) as gate, connection(pair.url) as disturber:
        await gate.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        try:
            await cut(disturber)
            for work in (pair.mine.head, partial(pair.mine.events, 0, 1), partial(send, pair.mine, job("a"))):
                with pytest.raises(Transient):
                    await work()
        finally:
            await gate.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    await survived(pair.other)
    await done(pair.mine, job("b"))


async def test_a_job_that_was_changed_before_it_was_seen_is_placed(pair: Pair) -> None:
    """By a label, or by another replica's progress: then its image is none of a new one any more."""
    fence = Fence("placement/0", (await pair.mine.acquire(["placement/0"], "mine", 60.0))["placement/0"])
    async with Appender(pair.mine) as appender:
        placement = Placement(pair.mine, appender, lambda: datetime.now(UTC))
        await done(pair.mine, Command("patchStatus", inventory_path("s", "e"), {"phase": "online"}), actor=SYSTEM)
        await placement.reconcile("scheduler", fence)
        before = (await pair.mine.head()).position
        await done(pair.other, job("seen"))
        await done(pair.other, job("changed"))
        await done(pair.other, Command("patchSpec", f"{JOBS}/changed", {}, {"zone": "a"}))
        wakes = []
        for change in await pair.mine.changes(before, 100):
            wakes += [*placement.watches["Job"](change)]
        assert wakes
        await placement.reconcile("scheduler", fence)
    attempts = await pair.other.list_nodes("Attempt")
    assert sorted(attempt.spec["job"] for attempt in attempts) == [f"{JOBS}/changed", f"{JOBS}/seen"]
