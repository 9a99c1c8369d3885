"""Fenced shards on the store's clock: replicas share, the living take over from the dead, the dead cannot write."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest_asyncio

from datamodel.command import Fence
from datamodel.errors import Fenced
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from reconcilers.runtime.shards import Shards, lease_name, shard_of
from tests.graph import job, refusal, send
from tests.waiting import until

SHARDS = 4
TTL_S = 1.5
SOON_S = 5 * TTL_S
"""A lease of the dead lasts for one, and who looks three times in each finds it; the rest is for a busy machine."""


class Replica:
    """One replica's leases of one group."""

    def __init__(self, store: PostgresStore) -> None:
        self.shards = Shards(store, TTL_S)
        self.acquired: list[int] = []
        self.shards.want("group", SHARDS, self.acquired.append)
        self.task: asyncio.Task[None] | None = None

    @property
    def fences(self) -> dict[int, Fence]:
        found = {shard: self.shards.fence(lease_name("group", shard)) for shard in range(SHARDS)}
        return {shard: fence for shard, fence in found.items() if fence is not None}

    @property
    def held(self) -> set[int]:
        return set(self.fences)

    def die(self) -> None:
        """As a process that is killed: it releases nothing."""
        assert self.task is not None
        self.shards._held = {}
        self.shards._holder = "nobody"
        self.task.cancel()


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(database_url, MODEL) as store:
        yield store


@asynccontextmanager
async def running(store: PostgresStore) -> AsyncIterator[Replica]:
    replica = Replica(store)
    replica.task = asyncio.create_task(replica.shards.run())
    try:
        yield replica
    finally:
        replica.task.cancel()
        await asyncio.gather(replica.task, return_exceptions=True)


async def test_one_replica_has_everything(store: PostgresStore) -> None:
    async with running(store) as replica:
        await until(lambda: len(replica.held) == SHARDS)
        assert sorted(replica.acquired) == list(range(SHARDS))
        before = replica.fences
        await asyncio.sleep(TTL_S * 2)  # longer than a lease lasts: it is renewed
        assert replica.fences == before
        assert len(replica.acquired) == SHARDS


async def test_two_replicas_share_and_never_hold_the_same(store: PostgresStore) -> None:
    async with running(store) as first:
        await until(lambda: len(first.held) == SHARDS)
        async with running(store) as second:
            await until(lambda: len(first.held) == len(second.held) == SHARDS // 2)
            assert first.held | second.held == set(range(SHARDS))
        await until(lambda: len(first.held) == SHARDS, timeout_s=SOON_S)


async def test_programs_of_other_names_take_no_part_in_the_sharing(store: PostgresStore) -> None:
    """A controller has all its shards, however many programs with other reconcilers there are."""
    shards = [Shards(store, TTL_S, program) for program in ("one", "another", "third")]
    for number, own in enumerate(shards):
        own.want(f"group {number}", SHARDS, lambda _: None)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(own.run()) for own in shards]
        names = [[lease_name(f"group {number}", shard) for shard in range(SHARDS)] for number in range(len(shards))]
        await until(lambda: all(own.fence(name) for own, mine in zip(shards, names, strict=True) for name in mine))
        await asyncio.sleep(TTL_S)  # in which each looks at least twice at how many share
        assert all(own.fence(name) for own, mine in zip(shards, names, strict=True) for name in mine)
        for task in tasks:
            task.cancel()


async def test_the_shards_of_a_dead_replica_move_with_a_higher_token(store: PostgresStore) -> None:
    async with running(store) as first:
        await until(lambda: len(first.held) == SHARDS)
        async with running(store) as second:
            await until(lambda: len(second.held) == SHARDS // 2)
            lost = second.fences
            second.die()
            await until(lambda: len(first.held) == SHARDS, timeout_s=SOON_S)
            for shard, fence in lost.items():
                assert first.fences[shard].token > fence.token
                assert refusal(await send(store, job("stale"), fence=fence)) is Fenced
            outcome = await send(store, job("fresh"), fence=next(iter(first.fences.values())))
            assert refusal(outcome) is None


async def test_a_replica_whose_own_clock_ran_out_looks_at_everything_again(store: PostgresStore) -> None:
    """Between its own deadline and the store's it dropped wakes, though the lease was never anybody else's."""
    replica = Replica(store)
    await replica.shards._round()
    assert len(replica.acquired) == SHARDS
    replica.shards._held = {name: (token, 0.0) for name, (token, _) in replica.shards._held.items()}
    assert replica.held == set()
    await replica.shards._round()
    assert replica.held == set(range(SHARDS))
    assert len(replica.acquired) == 2 * SHARDS


def test_a_keys_shard_is_the_same_everywhere() -> None:
    assert [shard_of(key, 4) for key in ("a", "s/e", "/config/job-groups/default/jobs/j")] == [3, 1, 1]
