"""schedules, over the fake store: who makes jobs and may end them, each moment once, whoever looks and however often."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Fence
from datamodel.errors import Conflict, Forbidden
from datamodel.memory import MemoryStore
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.reads import Reads
from datamodel.seeds import seed
from reconcilers.schedules import Schedules
from tests.graph import JOBS, REQUESTS, STEPS, SYSTEM, done, job, memory_store, present, refusal, send

PATH = "/config/job-groups/default/schedules/s"
SPEC = {"cron": "* * * * *", "job": {"steps": STEPS, "requests": REQUESTS, "labels": {"of": "s"}}}


class Clock:
    """The store's and the reconciler's."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, 12, 0, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def go_on(self, seconds: float = 60.0) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    empty = memory_store()
    return MemoryStore(empty.model, clock, iter(f"{number:032x}" for number in range(1, 100_000)))


@pytest_asyncio.fixture
async def appender(store: MemoryStore) -> AsyncIterator[Appender]:
    await seed(store)
    async with Appender(store) as appender:
        yield appender


@pytest_asyncio.fixture
async def fence(store: MemoryStore, appender: Appender) -> Fence:
    return Fence("schedules/0", (await store.acquire(["schedules/0"], "mine", 1e6))["schedules/0"])


@pytest.fixture
def schedules(store: MemoryStore, appender: Appender, clock: Clock) -> Schedules:
    return Schedules(store, appender, Reads(store), clock)


async def new_schedule(store: MemoryStore, **spec: Any) -> Node:
    await done(store, Command("create", PATH, {**SPEC, **spec}), correlation="asked")
    return await present(store, PATH)


async def jobs(store: MemoryStore) -> list[Node]:
    """In order of their moments."""
    return await store.list_nodes("Job", under=JOBS.rpartition("/")[0])


async def end(store: MemoryStore, path: str, phase: str = "succeeded") -> None:
    for one in ("pending", "running", phase):
        status = {"phase": one, "observedGeneration": 1}
        await done(store, Command("patchStatus", path, status), actor=SYSTEM)


async def test_it_makes_a_job_at_its_moment_and_the_log_says_who_did(
    store: MemoryStore, schedules: Schedules, clock: Clock, fence: Fence
) -> None:
    schedule = await new_schedule(store)
    assert await schedules.reconcile(PATH, fence) == 30.0
    assert await jobs(store) == []
    clock.go_on(30.0)
    assert await schedules.reconcile(PATH, fence) == 60.0
    (made,) = await jobs(store)
    assert last_name(made.path) == "s-203001011201"
    assert (made.labels, made.links["schedule"]) == ({"of": "s"}, (schedule.uid,))
    assert "labels" not in made.spec
    (created,) = [event for event in await store.events(0, 1000) if event.path == made.path]
    assert (created.op, created.actor, created.correlation) == ("created", "schedules", "asked")
    told = (await present(store, PATH)).status
    assert (told["lastTime"], told["nextTime"]) == ("2030-01-01T12:01:00+00:00", "2030-01-01T12:02:00+00:00")
    assert (told["active"], told["activeJobs"], told["counts"]) == (1, ["s-203001011201"], {"made": 1})
    head = await store.head()
    await schedules.reconcile(PATH, fence)
    assert await store.head() == head, "nothing has changed"


async def test_many_who_look_at_once_make_one_job(
    store: MemoryStore, appender: Appender, clock: Clock, fence: Fence
) -> None:
    await new_schedule(store)
    clock.go_on()
    looks = [Schedules(store, appender, Reads(store), clock).reconcile(PATH, fence) for _ in range(5)]
    found = await asyncio.gather(*looks, return_exceptions=True)
    assert [type(one) for one in found].count(Conflict) == 4
    assert len(await jobs(store)) == 1
    assert (await present(store, PATH)).status["counts"] == {"made": 1}


async def test_a_job_that_is_gone_is_not_made_again_after_a_restart(
    store: MemoryStore, appender: Appender, clock: Clock, fence: Fence
) -> None:
    await new_schedule(store)
    clock.go_on()
    await Schedules(store, appender, Reads(store), clock).reconcile(PATH, fence)
    (made,) = await jobs(store)
    await done(store, Command("delete", made.path))
    await done(store, Command("finalize", made.path, {"finalizer": "attempts"}), actor=SYSTEM)
    again = Schedules(store, appender, Reads(store), clock)
    assert await again.keys() == [PATH]
    await again.reconcile(PATH, fence)
    assert await jobs(store) == []


async def test_a_name_that_is_taken_costs_the_moment_and_is_said(
    store: MemoryStore, schedules: Schedules, clock: Clock, fence: Fence
) -> None:
    await new_schedule(store, concurrency="replace", keepFinished={"successful": 0})
    await done(store, job("s-203001011201"))
    await end(store, f"{JOBS}/s-203001011201")
    clock.go_on(30.0)
    await schedules.reconcile(PATH, fence)
    told = (await present(store, PATH)).status
    assert (told["counts"], told["conditions"][0]["reason"]) == ({"refused": 1}, "Refused")
    assert "already exists" in told["conditions"][0]["message"]
    clock.go_on()
    await schedules.reconcile(PATH, fence)
    found = await jobs(store)
    assert [last_name(one.path) for one in found] == ["s-203001011201", "s-203001011202"]
    assert found[0].deletion_requested_at is None, "it is somebody else's"


async def test_the_job_that_is_replaced_is_aborted_with_its_successor_s_beginning(
    store: MemoryStore, schedules: Schedules, clock: Clock, fence: Fence
) -> None:
    await new_schedule(store, concurrency="replace")
    for _ in range(3):
        clock.go_on()
        await schedules.reconcile(PATH, fence)
    assert [one.spec["intent"] for one in await jobs(store)] == ["abort", "abort", "run"]
    events = [event for event in await store.events(0, 1000) if event.op == "specChanged"]
    assert [(event.actor, event.correlation) for event in events] == [("schedules", "asked")] * 2


async def test_what_changed_just_then_is_not_aborted_and_nothing_is_made(
    store: MemoryStore, appender: Appender, clock: Clock, fence: Fence
) -> None:
    await new_schedule(store, concurrency="replace")
    clock.go_on()
    await Schedules(store, appender, Reads(store), clock).reconcile(PATH, fence)
    (running,) = await jobs(store)

    class Late(Schedules):
        async def _jobs(self, schedule: Node) -> list[Node]:
            found = await super()._jobs(schedule)
            await end(store, running.path)
            return found

    clock.go_on()
    with pytest.raises(Conflict):
        await Late(store, appender, Reads(store), clock).reconcile(PATH, fence)
    assert len(await jobs(store)) == 1
    await Schedules(store, appender, Reads(store), clock).reconcile(PATH, fence)
    assert [one.spec["intent"] for one in await jobs(store)] == ["run", "run"]


async def test_what_is_kept_no_longer_is_deleted_by_it_and_nothing_else_is(
    store: MemoryStore, schedules: Schedules, clock: Clock, fence: Fence
) -> None:
    await new_schedule(store, keepFinished={"successful": 1, "failed": 1})
    await done(store, replace(job("mine"), links={"schedule": (PATH,)}))
    await end(store, f"{JOBS}/mine")
    for phase in ("succeeded", "failed", "succeeded", "aborted"):
        clock.go_on()
        await schedules.reconcile(PATH, fence)
        await end(store, (await jobs(store))[-1].path, phase)
    await schedules.reconcile(PATH, fence)
    going = [last_name(one.path) for one in await jobs(store) if one.deletion_requested_at is not None]
    assert going == ["s-203001011201", "s-203001011202"]
    asked = [event for event in await store.events(0, 1000) if event.op == "deletionRequested"]
    assert {event.actor for event in asked} == {"schedules"}


async def test_it_is_woken_by_what_is_asked_of_it_and_by_ends_of_its_jobs(
    store: MemoryStore, schedules: Schedules, clock: Clock, fence: Fence
) -> None:
    async def woken(after: int) -> list[str]:
        changes = await store.changes(after, 1000)
        watches = schedules.watches
        return [w.key for one in changes if one.kind in watches for w in watches[one.kind](one)]

    await new_schedule(store)
    assert await woken(0) == [PATH]
    clock.go_on()
    await schedules.reconcile(PATH, fence)
    (made,) = await jobs(store)
    after = (await store.head()).position
    await done(store, Command("patchStatus", made.path, {"phase": "running"}), actor=SYSTEM)
    await done(store, job("other"))
    assert await woken(after) == []
    after = (await store.head()).position
    await done(store, Command("patchStatus", made.path, {"phase": "failed", "observedGeneration": 1}), actor=SYSTEM)
    assert await woken(after) == [PATH]
    await schedules.reconcile(PATH, fence)
    assert (await present(store, PATH)).status["active"] == 0
    after = (await store.head()).position
    await done(store, Command("patchSpec", made.path, {"retries": 9}))
    await done(store, Command("patchStatus", made.path, {"phase": "pending"}), actor=SYSTEM)
    assert PATH in await woken(after), "it is tried again"
    await schedules.reconcile(PATH, fence)
    assert (await present(store, PATH)).status["active"] == 1
    await done(store, Command("delete", made.path))
    after = (await store.head()).position
    await done(store, Command("finalize", made.path, {"finalizer": "attempts"}), actor=SYSTEM)
    assert await woken(after) == [PATH], "it went while it had not ended"
    await schedules.reconcile(PATH, fence)
    assert (await present(store, PATH)).status["active"] == 0
    after = (await store.head()).position
    await done(store, Command("patchSpec", PATH, {"suspended": True}))
    assert await woken(after) == [PATH]
    assert await schedules.reconcile(PATH, fence) is None
    assert (await present(store, PATH)).status["conditions"][0]["reason"] == "Suspended"


async def test_what_is_asked_may_change_the_template_and_the_next_job_is_of_the_new_one(
    store: MemoryStore, schedules: Schedules, clock: Clock, fence: Fence
) -> None:
    await new_schedule(store)
    await done(store, Command("patchSpec", PATH, {"job": {"chunks": 7}}))
    clock.go_on()
    await schedules.reconcile(PATH, fence)
    assert [one.spec["chunks"] for one in await jobs(store)] == [7]


async def test_programs_may_do_to_a_job_what_is_granted_and_no_more(store: MemoryStore, appender: Appender) -> None:
    await done(store, job("made"), actor=SYSTEM)
    path = f"{JOBS}/made"
    for body in ({"intent": "suspend"}, {"retries": 9}, {"intent": "abort", "retries": 9}, {}):
        assert refusal(await send(store, Command("patchSpec", path, body), actor=SYSTEM)) is Forbidden
    labelled = Command("patchSpec", path, {"intent": "abort"}, labels={"a": "b"})
    assert refusal(await send(store, labelled, actor=SYSTEM)) is Forbidden
    patch = Command("jsonPatch", path, {"patch": [{"op": "replace", "path": "/intent", "value": "abort"}]})
    assert refusal(await send(store, patch, actor=SYSTEM)) is Forbidden
    assert refusal(await send(store, Command("apply", path, {"steps": STEPS}), actor=SYSTEM)) is Forbidden
    await done(store, Command("patchSpec", path, {"intent": "abort"}), actor=SYSTEM)
    await done(store, Command("delete", path), actor=SYSTEM)
    edge = Actor("agent", "edge", scopes=frozenset({"/sites/s"}))
    assert refusal(await send(store, job("other"), actor=edge)) is Forbidden
    group = Command("create", "/config/job-groups/other")
    assert refusal(await send(store, group, actor=SYSTEM)) is Forbidden
