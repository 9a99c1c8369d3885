"""The tail of the log: every event once and in order, whoever wrote it, and a new start where the log is another one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest_asyncio

from datamodel.command import Command
from datamodel.errors import Transient
from datamodel.ports import Change, Log
from datamodel.postgres.store import PostgresStore
from reconcilers.runtime.tail import BATCH, Tail
from tests.graph import JOBS, SYSTEM, done, job, memory_store, send, unit
from tests.pair import Pair, connection, cut, paired, survived
from tests.segments import SIZE, compacted, in_small_segments
from tests.waiting import eventually, until


@dataclass
class Seen:
    """What a tail told: the position of each change, and after how many of them it began anew."""

    changes: list[Change] = field(default_factory=list)
    restarts: list[int] = field(default_factory=list)

    def restarted(self) -> None:
        self.restarts.append(len(self.changes))

    @property
    def positions(self) -> list[int]:
        return [change.position for change in self.changes]

    async def reaches(self, position: int) -> None:
        await until(lambda: bool(self.changes) and self.changes[-1].position >= position)

    async def begins_anew(self, times: int) -> None:
        await until(lambda: len(self.restarts) >= times)


@asynccontextmanager
async def tailing(log: Log) -> AsyncIterator[tuple[Seen, Tail]]:
    """Follows the log from its present end on while the block runs."""
    seen, tail = Seen(), Tail(log, 0.1)
    task = asyncio.create_task(tail.run(seen.changes.append, seen.restarted))
    try:
        await seen.begins_anew(1)
        yield seen, tail
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled(), "nothing else ends it"


@pytest_asyncio.fixture
async def pair(database_url: str) -> AsyncIterator[Pair]:
    async with paired(database_url) as pair:
        yield pair


async def end(store: PostgresStore) -> int:
    return (await store.head()).position


async def test_it_begins_at_the_end_and_says_so_before_anything_else(pair: Pair) -> None:
    before = await end(pair.mine)
    async with tailing(pair.mine) as (seen, _):
        await done(pair.mine, job("a"))
        await seen.reaches(before + 1)
    assert (seen.restarts, seen.positions) == ([0], [before + 1])
    assert [change.path for change in seen.changes] == [f"{JOBS}/a"]


async def test_an_empty_log_is_followed_from_its_first_event() -> None:
    log = memory_store()
    async with tailing(log) as (seen, tail):
        await done(log, Command("create", "/inventory"), Command("create", "/desired-config"), actor=SYSTEM)
        tail.wake()
        await seen.reaches(2)
    assert (seen.restarts, seen.positions) == ([0], [1, 2])


async def test_what_both_stores_write_comes_once_and_in_order(pair: Pair) -> None:
    before = await end(pair.mine)
    async with tailing(pair.mine) as (seen, tail):

        async def write(store: PostgresStore, side: str) -> None:
            for number in range(60):
                await done(store, job(f"{side}{number}"), job(f"{side}{number}-too"))
                if number % 3 == 0:
                    tail.wake()
                if number % 7 == 0:
                    store.others_wrote()

        await asyncio.gather(write(pair.mine, "m"), write(pair.other, "o"))
        await seen.reaches(before + 240)
    events = await pair.other.events(before, 1_000)
    assert seen.positions == list(range(before + 1, before + 241))
    assert [(c.event_id, c.path, c.uid) for c in seen.changes] == [(e.id, e.path, e.uid) for e in events]
    assert seen.restarts == [0]


async def test_what_others_write_needs_no_word(pair: Pair) -> None:
    before = await end(pair.mine)
    async with tailing(pair.mine) as (seen, _):
        await done(pair.other, job("a"), Command("patchSpec", f"{JOBS}/a", {"retries": 5}))
        await seen.reaches(before + 2)
    assert [change.node for change in seen.changes[-1:]] == [*(await pair.other.nodes([f"{JOBS}/a"])).values()]


async def test_more_than_is_read_at_a_time(pair: Pair) -> None:
    before, many = await end(pair.mine), 2 * BATCH + 7
    async with tailing(pair.mine) as (seen, _):
        await pair.other.append([unit(job(f"j{number}")) for number in range(many)])
        await seen.reaches(before + many)
    assert seen.positions == list(range(before + 1, before + many + 1))
    assert seen.restarts == [0]


async def test_a_killed_connection_loses_no_event(pair: Pair) -> None:
    before = await end(pair.mine)
    confirmed: set[int] = set()
    async with tailing(pair.mine) as (seen, _), connection(pair.url) as disturber:
        for number in range(40):
            for store, side in ((pair.mine, "m"), (pair.other, "o")):
                try:
                    (verdict,) = await send(store, job(f"{side}{number}"))
                except Transient:
                    continue
                confirmed.add(verdict.version)
            if number % 8 == 0:
                await cut(disturber)
        await survived(pair.other)
        await seen.reaches(await end(pair.other))
    events = await pair.other.events(before, 1_000)
    assert [(c.position, c.event_id) for c in seen.changes] == [(e.position, e.id) for e in events]
    assert confirmed <= set(seen.positions)
    assert seen.restarts == [0], "it is the same log"


async def replaced(pair: Pair, *, after: int) -> None:
    """The database gives way to its own state at a position, after which nothing but jobs was created. Who reads the log
    meanwhile is cut off."""
    async with connection(pair.url) as raw, raw.transaction():
        await raw.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")

        async def somebody_reads() -> bool:
            waiting: int = await raw.fetchval(
                "SELECT count(*) FROM pg_locks WHERE relation = 'events'::regclass AND NOT granted"
            )
            return waiting > 0

        await eventually(somebody_reads)
        await cut(raw)
        await raw.execute("DELETE FROM nodes WHERE created_version > $1", after)
        await raw.execute("DELETE FROM facets WHERE path NOT IN (SELECT path FROM nodes)")
        await raw.execute("DELETE FROM events WHERE position > $1", after)
        await raw.execute("UPDATE head SET position = $1, at = (SELECT at FROM events WHERE position = $1)", after)


async def test_an_older_state_of_the_log_is_noticed_by_its_length(pair: Pair) -> None:
    before = await end(pair.mine)
    async with tailing(pair.mine) as (seen, _):
        for name in ("a", "b", "c"):
            await done(pair.mine, job(name))
        await seen.reaches(before + 3)
        await replaced(pair, after=before + 1)
        await seen.begins_anew(2)
        await survived(pair.mine)
        assert await end(pair.mine) == before + 1
        await done(pair.mine, job("b"))
        await until(lambda: len(seen.changes) == 4)
    assert seen.restarts == [0, 3]
    assert [change.path for change in seen.changes[3:]] == [f"{JOBS}/b"]
    assert seen.positions == [before + 1, before + 2, before + 3, before + 2]


async def test_another_log_that_is_longer_already_is_noticed_by_the_last_known_event(pair: Pair) -> None:
    before = await end(pair.mine)
    async with tailing(pair.mine) as (seen, _):
        await done(pair.mine, job("a"), job("b"))
        await seen.reaches(before + 2)
        await replaced(pair, after=before)
        await survived(pair.other)
        await done(pair.other, *(job(f"x{number}") for number in range(5)))
        await seen.begins_anew(2)
        await survived(pair.mine)
        await done(pair.other, job("y"))
        await until(lambda: seen.changes[-1].path == f"{JOBS}/y")
    restart = seen.restarts[1]
    assert restart == 2
    assert seen.positions[restart:] == list(range(seen.positions[restart], before + 7))


async def test_a_tail_that_was_left_behind_begins_anew(pair: Pair) -> None:
    await in_small_segments(pair.other, pair.url)
    tail, seen = Tail(pair.mine, 0.1), Seen()
    await tail._begin()
    await done(pair.other, *(job(f"j{number}") for number in range(3 * SIZE)))
    assert await compacted(pair.other, await end(pair.other)) > 2 * SIZE
    task = asyncio.create_task(tail.run(seen.changes.append, seen.restarted))
    await seen.begins_anew(1)
    await done(pair.other, job("after"))
    await until(lambda: bool(seen.changes))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [change.path for change in seen.changes] == [f"{JOBS}/after"]
    assert seen.restarts == [0]
