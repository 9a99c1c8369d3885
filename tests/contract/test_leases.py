"""Leases: one holder at a time, by the store's clock, each acquisition with a higher token."""

import asyncio

from datamodel.command import Fence
from datamodel.errors import Fenced
from datamodel.lease import LEASE_LIMIT_S, Lease
from datamodel.ports import Store
from tests.graph import done, holders, job, refusal, send


async def expired(store: Store, name: str) -> None:
    async with asyncio.timeout(30):
        while await holders(store, name):  # noqa: ASYNC110 - the store's clock sets no event of ours
            await asyncio.sleep(0.005)


async def taken(store: Store, name: str, holder: str, ttl_s: float = 60.0) -> Fence:
    """The lease, which must be to be had."""
    return Fence(name, (await store.acquire([name], holder, ttl_s))[name])


async def test_a_lease_has_one_holder(store: Store) -> None:
    first = await store.acquire(["a", "b"], "first", 60.0)
    second = await store.acquire(["a", "b", "c"], "second", 60.0)
    assert (sorted(first), sorted(second)) == (["a", "b"], ["c"])


async def test_a_renewal_keeps_the_token(store: Store) -> None:
    assert await taken(store, "a", "first") == await taken(store, "a", "first")


async def test_a_released_lease_goes_to_the_next_with_a_higher_token(store: Store) -> None:
    first = await taken(store, "a", "first")
    await store.release(["a"], "second")
    assert await store.acquire(["a"], "second", 60.0) == {}
    await store.release(["a"], "first")
    assert (await taken(store, "a", "second")).token > first.token


async def test_an_expired_lease_is_lost_even_to_its_holder(store: Store) -> None:
    former = await taken(store, "a", "first", 0.01)
    await expired(store, "a")
    assert refusal(await send(store, job(), fence=former)) is Fenced
    now = await taken(store, "a", "first")
    assert now.token > former.token
    assert refusal(await send(store, job(), fence=former)) is Fenced
    await done(store, job(), fence=now)


async def test_a_stale_holder_is_fenced_off(store: Store) -> None:
    stale = await taken(store, "a", "first", 0.01)
    await expired(store, "a")
    newest = await taken(store, "a", "second")
    assert await store.acquire(["a"], "first", 60.0) == {}
    assert refusal(await send(store, job("first"), fence=stale)) is Fenced
    await done(store, job("second"), fence=newest)


async def test_holders_are_told_by_prefix(store: Store) -> None:
    await store.acquire(["member/a", "member/b", "other"], "first", 60.0)
    await store.acquire(["member/c", "a%/0", "ab/0"], "second", 60.0)
    await store.release(["member/b"], "first")
    assert await holders(store, "member/") == {"member/a": "first", "member/c": "second"}
    assert await holders(store, "member/", "oth") == {"member/a": "first", "member/c": "second", "other": "first"}
    assert await holders(store, "a%/") == {"a%/0": "second"}
    assert await holders(store, "none") == {}
    assert await holders(store) == {}


async def test_who_looks_renews_what_is_its_own_and_nothing_else(store: Store) -> None:
    first = await store.acquire(["a/0", "b/0"], "first", 0.5)
    second = await taken(store, "a/1", "second", 0.5)
    own = Lease("first", first["a/0"])
    assert await store.renew(["a/", "a"], "first", 60.0) == {"a/0": own, "a/1": Lease("second", second.token)}
    await expired(store, "a/1")
    await expired(store, "b/0")
    assert await store.renew(["a/", "b/"], "second", 60.0) == {"a/0": own}
    await done(store, job(), fence=Fence("a/0", own.token))


async def test_what_is_over_or_released_is_not_renewed(store: Store) -> None:
    over = await taken(store, "a", "first", 0.01)
    released = await taken(store, "b", "first")
    await expired(store, "a")
    await store.release(["b"], "first")
    assert await store.renew(["a", "b"], "first", 60.0) == {}
    assert refusal(await send(store, job(), fence=over)) is Fenced
    assert refusal(await send(store, job(), fence=released)) is Fenced


async def test_a_lease_that_is_over_has_no_holder(store: Store) -> None:
    await store.acquire(["a"], "first", 0.01)
    await expired(store, "a")
    await store.acquire(["b"], "first", 60.0)
    assert await holders(store, "a", "b") == {"b": "first"}


async def test_a_lease_that_runs_longer_than_any_is_given_is_free(store: Store) -> None:
    """The clock that gave it has been put back since, and its holder may be dead."""
    former = await taken(store, "a", "first", LEASE_LIMIT_S + 60.0)
    assert await store.renew(["a"], "first", 60.0) == {}
    assert (await taken(store, "a", "second")).token > former.token
    assert await store.acquire(["a"], "first", 60.0) == {}
    assert refusal(await send(store, job("first"), fence=former)) is Fenced
