"""What a store recalls without asking: committed, and not changed since as far as was heard."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from datamodel.command import Command
from datamodel.ledger import ALL, Totals
from tests.graph import JOBS, attempt_path, done, job, new_job, place, present, report, send
from tests.pair import Pair, connection, cut, hear, paired, survived, writer_held_up


@pytest_asyncio.fixture
async def pair(database_url: str) -> AsyncIterator[Pair]:
    async with paired(database_url) as pair:
        yield pair


async def test_what_was_written_is_recalled_as_it_is_stored(pair: Pair) -> None:
    owner = await new_job(pair.mine)
    path = await place(pair.mine, owner)
    await report(pair.mine, path, phase="running", percent=50.0)
    assert pair.mine.recall_node(owner.path) == await present(pair.other, owner.path)
    assert pair.mine.recall_node(path) == await present(pair.other, path)
    totals = await pair.other.totals([owner.uid, ALL])
    assert {name: pair.mine.recall_totals(name) for name in (owner.uid, ALL)} == totals
    assert pair.mine.recall_node(f"{JOBS}/none") is None
    assert pair.mine.recall_totals("none") is None


async def test_what_is_being_written_is_not_recalled(pair: Pair) -> None:
    owner = await new_job(pair.mine)
    path = await place(pair.mine, owner)
    other = await new_job(pair.mine, "other")
    with writer_held_up(pair.mine):
        writing = [
            asyncio.create_task(report(pair.mine, path, phase="running", percent=50.0)),
            asyncio.create_task(send(pair.mine, job("new"))),
        ]
        await asyncio.sleep(0)
        assert pair.mine.recall_node(path) is None
        assert pair.mine.recall_node(f"{JOBS}/new") is None
        assert pair.mine.recall_totals(owner.uid) is None
        assert pair.mine.recall_node(other.path) == other, "nobody touches that one"
    await asyncio.gather(*writing)
    assert pair.mine.recall_node(path) == await present(pair.other, path)
    assert pair.mine.recall_totals(owner.uid) == Totals({"running": 1}, 500)


async def test_what_was_given_up_is_not_recalled(pair: Pair) -> None:
    await new_job(pair.mine)
    with writer_held_up(pair.mine):
        writing = asyncio.create_task(send(pair.mine, job("new")))
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        assert pair.mine.recall_node(f"{JOBS}/new") is None


async def test_nothing_is_recalled_once_others_are_said_to_have_written(pair: Pair) -> None:
    node = await new_job(pair.mine)
    await place(pair.mine, node)
    await done(pair.other, Command("patchSpec", node.path, {"retries": 7}))
    pair.mine.others_wrote()
    assert pair.mine.recall_node(node.path) is None
    assert pair.mine.recall_totals(node.uid) is None
    await new_job(pair.mine, "next")
    assert pair.mine.recall_node(node.path) in (None, await present(pair.other, node.path))


async def test_what_others_changed_is_recalled_as_they_left_it_or_not_at_all(pair: Pair) -> None:
    node, kept = await new_job(pair.mine), await new_job(pair.mine, "kept")
    path = await place(pair.mine, node)
    await done(pair.other, Command("patchSpec", node.path, {"retries": 7}))
    await report(pair.other, path, phase="succeeded")
    await hear(pair.mine)
    assert pair.mine.recall_node(node.path) in (None, await present(pair.other, node.path))
    assert pair.mine.recall_totals(node.uid) in (None, Totals({"succeeded": 1}, 1000))
    await new_job(pair.mine, "next")
    assert pair.mine.recall_node(node.path) in (None, await present(pair.other, node.path))
    assert pair.mine.recall_node(path) in (None, await present(pair.other, path))
    assert pair.mine.recall_totals(node.uid) in (None, Totals({"succeeded": 1}, 1000))
    assert pair.mine.recall_totals(ALL) in (None, Totals({"succeeded": 1}, 1000))
    assert pair.mine.recall_node(kept.path) == kept


async def test_what_others_removed_is_not_recalled(pair: Pair) -> None:
    node = await new_job(pair.mine)
    await report(pair.mine, await place(pair.mine, node), phase="succeeded")
    await done(pair.other, Command("delete", node.path))
    await hear(pair.mine)
    recalled = pair.mine.recall_node(node.path)
    assert recalled is None or recalled.deletion_requested_at is not None
    await new_job(pair.mine, "next")
    recalled = pair.mine.recall_node(node.path)
    assert recalled is None or recalled.deletion_requested_at is not None


async def test_what_a_removal_of_ones_own_took_is_not_recalled(pair: Pair) -> None:
    node = await new_job(pair.mine)
    await report(pair.mine, await place(pair.mine, node), phase="succeeded")
    await done(pair.mine, Command("delete", "/config/job-groups/default"))
    for _ in range(2):
        recalled = pair.mine.recall_node(node.path)
        assert recalled is None or recalled.deletion_requested_at is not None
        await done(pair.mine, Command("create", f"/config/job-groups/g{_}"))


async def test_nothing_of_a_lost_connection_is_recalled_wrongly(pair: Pair) -> None:
    node = await new_job(pair.mine)
    path = await place(pair.mine, node)
    async with connection(pair.url) as disturber:
        await cut(disturber)
    await survived(pair.other)
    await report(pair.other, path, phase="succeeded")
    await survived(pair.mine)
    await hear(pair.mine)
    for _ in range(2):
        assert pair.mine.recall_node(path) in (None, await present(pair.other, path))
        assert pair.mine.recall_totals(node.uid) in (None, Totals({"succeeded": 1}, 1000))
        await send(pair.mine, job("next"))
    assert attempt_path(node) == path
