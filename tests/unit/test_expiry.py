"""expiry, on virtual time: what has ended goes when its time is over, and nothing else does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from datamodel.appender import Appender
from datamodel.command import Command, Fence
from datamodel.errors import Conflict
from datamodel.memory import MemoryStore
from datamodel.node import Node
from datamodel.ports import Change
from datamodel.reads import Reads
from datamodel.seeds import seed
from reconcilers.expiry import NOTICED_S, Expiry
from tests.graph import JOBS, SYSTEM, done, job, memory_store, present
from tests.universe import on_virtual_time

NOW = datetime(2030, 1, 1, tzinfo=UTC)
PATH = f"{JOBS}/j"


def wall() -> datetime:
    return NOW + timedelta(seconds=asyncio.get_running_loop().time())


@asynccontextmanager
async def a_store() -> AsyncIterator[tuple[MemoryStore, Callable[[], Expiry], Fence]]:
    """A store, reconcilers of it, each as after a restart, and their lease."""
    store = memory_store()
    await seed(store)
    fence = Fence("expiry/0", (await store.acquire(["expiry/0"], "mine", 60.0))["expiry/0"])
    async with Appender(store) as appender:
        yield store, lambda: Expiry(store, appender, Reads(store), wall), fence


async def end(store: MemoryStore, phase: str = "succeeded", **status: Any) -> None:
    for one in ("pending", "running"):
        await done(store, Command("patchStatus", PATH, {"phase": one}), actor=SYSTEM)
    ended = {"phase": phase, "observedGeneration": 1, "finishedAt": wall().isoformat(), **status}
    await done(store, Command("patchStatus", PATH, ended), actor=SYSTEM)


def is_going(job: Node) -> bool:
    return job.deletion_requested_at is not None


@pytest.mark.parametrize("phase", ["succeeded", "failed", "aborted"])
@on_virtual_time
async def test_it_goes_so_long_after_its_end_also_for_who_was_not_there(phase: str) -> None:
    async with a_store() as (store, expiry, fence):
        await done(store, job("j", ttlAfterFinishS=60))
        assert await expiry().keys() == []
        assert await expiry().reconcile(PATH, fence) is None
        await end(store, phase)
        assert await expiry().keys() == [PATH]
        assert await expiry().reconcile(PATH, fence) == pytest.approx(60.0)
        await asyncio.sleep(90.0)
        another = expiry()
        assert await another.reconcile(PATH, fence) == NOTICED_S, "who waits for its end sees it first"
        await asyncio.sleep(NOTICED_S)
        assert await another.reconcile(PATH, fence) is None
        assert is_going(await present(store, PATH))
        assert [event.actor for event in await store.events(0, 100) if event.op == "deletionRequested"] == ["expiry"]
        assert await another.reconcile(PATH, fence) is None
        assert await another.keys() == []


@on_virtual_time
async def test_one_that_is_tried_again_stays_and_has_its_time_anew() -> None:
    async with a_store() as (store, expiry, fence):
        await done(store, job("j", ttlAfterFinishS=20, retries=0))
        await end(store, "failed")
        one = expiry()
        assert await one.reconcile(PATH, fence) == pytest.approx(20.0)
        await asyncio.sleep(25.0)
        await done(store, Command("patchSpec", PATH, {"retries": 1}))
        assert await one.reconcile(PATH, fence) is None, "somebody has asked for it, and nobody has seen that"
        await done(store, Command("patchStatus", PATH, {"phase": "pending", "finishedAt": None}), actor=SYSTEM)
        assert await one.reconcile(PATH, fence) is None
        await end(store, "failed", observedGeneration=2)
        assert await one.reconcile(PATH, fence) == pytest.approx(20.0)
        assert not is_going(await present(store, PATH))


@on_virtual_time
async def test_one_that_is_tried_again_just_then_is_not_deleted() -> None:
    async with a_store() as (store, expiry, fence):
        await done(store, job("j", ttlAfterFinishS=0))
        await end(store, "failed")
        one, old = expiry(), await present(store, PATH)
        await one.reconcile(PATH, fence)
        await asyncio.sleep(NOTICED_S)
        await done(store, Command("patchSpec", PATH, {"retries": 9}))

        class Old(Reads):
            async def node(self, path: str) -> Node | None:
                return old

        one._reads = Old(store)
        with pytest.raises(Conflict):
            await one.reconcile(PATH, fence)
        assert not is_going(await present(store, PATH))


@on_virtual_time
async def test_it_stays_until_all_have_been_told_or_given_up() -> None:
    def notices(*states: str) -> list[dict[str, Any]]:
        told = [{"callback": number, "state": state} for number, state in enumerate(states)]
        return [{"id": "evt_1", "phase": "succeeded", "at": NOW.isoformat(), "generation": 1, "told": told}]

    async with a_store() as (store, expiry, fence):
        await done(store, job("j", ttlAfterFinishS=0, callbacks=[{"url": f"https://{at}.test/"} for at in "ab"]))
        await end(store, callbacks=notices("delivered", "waiting"))
        one = expiry()
        await asyncio.sleep(60.0)
        assert await one.keys() == []
        assert await one.reconcile(PATH, fence) is None
        before = (await store.head()).position
        await done(store, Command("patchStatus", PATH, {"callbacks": notices("delivered", "givenUp")}), actor=SYSTEM)
        changes = await store.changes(before, 100)
        assert [wake.key for change in changes for wake in one.watches["Job"](change)] == [PATH], "that wakes"
        assert await one.reconcile(PATH, fence) == NOTICED_S
        await asyncio.sleep(NOTICED_S)
        await one.reconcile(PATH, fence)
        assert is_going(await present(store, PATH))


@on_virtual_time
async def test_only_ends_of_those_that_say_so_wake() -> None:
    async with a_store() as (store, expiry, _):
        await done(store, job("j", ttlAfterFinishS=0), job("k"))
        await done(store, Command("patchStatus", f"{JOBS}/k", {"phase": "succeeded"}), actor=SYSTEM)
        watch = expiry().watches["Job"]

        async def woken() -> list[str]:
            changes: list[Change] = await store.changes(0, 100)
            return [wake.key for change in changes if change.kind == "Job" for wake in watch(change)]

        assert await woken() == []
        await end(store)
        assert set(await woken()) == {PATH}
        assert await expiry().keys() == [PATH]
