"""Which jobs are told why they wait, and how often: over the store in memory."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from datamodel.appender import Appender
from datamodel.command import Command, Fence
from datamodel.kinds import Document
from datamodel.ledger import Totals
from datamodel.memory import MemoryStore
from datamodel.scheduling.edges import desired_path, inventory_path
from datamodel.scheduling.waiting import told_of
from datamodel.seeds import seed
from reconcilers.failures import Retries
from reconcilers.planning.reasons import first_jobs
from reconcilers.planning.rollup import rollup
from reconcilers.reasons import Reasons
from reconcilers.snapshot import Snapshot
from tests.graph import JOBS, SYSTEM, done, memory_store, new_edge, new_job, place, present, report
from tests.placing import backlog, pending

EVERY_S = 0.02
LARGE = {"cpu": 64.0, "memoryBytes": 1, "powerW": 1.0}
HALF = {"cpu": 0.5, "memoryBytes": 1, "powerW": 1.0}


class Placer:
    """Placement's memory, which tells jobs why they wait; it places nothing."""

    def __init__(self, store: MemoryStore, appender: Appender) -> None:
        self._store = store
        self._retries = Retries(store, _now)
        self.reasons = Reasons(store, appender, self._retries, _now, every_s=EVERY_S)
        self.fence = Fence("placement/0", 0)
        self.snapshot: Snapshot | None = None

    async def look(self, seconds: float = 3 * EVERY_S) -> None:
        """Reads everything, and tells for so long."""
        loop = asyncio.get_running_loop()
        self.snapshot = await Snapshot.read(self._store, self._retries, _now)
        end_s = loop.time() + seconds
        while loop.time() < end_s:
            rest_s = await self.reasons.tell(self.snapshot, self.fence)
            if rest_s is None:
                return
            await asyncio.sleep(rest_s)


def _now() -> datetime:
    return datetime.now(UTC)


@pytest_asyncio.fixture
async def store() -> AsyncIterator[MemoryStore]:
    store = memory_store()
    await seed(store)
    yield store


@pytest_asyncio.fixture
async def placer(store: MemoryStore) -> AsyncIterator[Placer]:
    async with Appender(store) as appender:
        placer = Placer(store, appender)
        placer.fence = Fence("placement/0", (await store.acquire(["placement/0"], "mine", 60.0))["placement/0"])
        yield placer


async def online(store: MemoryStore, *names: str, **capacity: Any) -> None:
    for name in names:
        await new_edge(store, name, **capacity)
        await done(store, Command("patchStatus", inventory_path("s", name), {"phase": "online"}), actor=SYSTEM)


async def told(store: MemoryStore, name: str = "j") -> Document | None:
    return told_of((await present(store, f"{JOBS}/{name}")).status.get("conditions", ()))


async def of(store: MemoryStore, name: str = "j") -> tuple[str, str]:
    condition = await told(store, name)
    assert condition is not None
    assert condition["status"] == "False"
    return condition["reason"], condition["message"]


async def test_a_job_that_waits_is_told_what_each_filter_takes_away(store: MemoryStore, placer: Placer) -> None:
    await online(store, "a", "b", "c")
    await online(store, "small", memoryBytes=2**20)
    await new_edge(store, "away")
    await done(store, Command("patchSpec", desired_path("s", "c"), {"cordoned": True}), actor=SYSTEM)
    await new_job(store, requests={"cpu": 1.5, "memoryBytes": 2**20, "powerW": 1.0})
    await placer.look()
    assert await of(store) == (
        "NoRoom",
        "of 5 edges, 3 have too little cpu, 1 is cordoned, 1 is not online",
    )


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"requests": LARGE}, "NoSuitableEdge"),
        ({"requests": HALF, "placement": {"required": "nowhere"}}, "NoSuitableEdge"),
        ({"requests": HALF, "chunks": 3, "allOrNothing": True}, "NoRoomForAll"),
        ({"requests": HALF}, "Queued"),
    ],
)
async def test_the_reason_is_one_word(store: MemoryStore, placer: Placer, spec: Document, reason: str) -> None:
    await online(store, "e")
    await new_job(store, **spec)
    await placer.look()
    assert (await of(store))[0] == reason


@pytest.mark.parametrize(
    ("group", "reason", "message"),
    [
        ({"paused": True}, "GroupPaused", "the group default is paused: nothing more of it is placed"),
        ({"quota": {"cpu": 0.5}}, "QuotaReached", "the group default holds 0.5 cores, and its quota is 0.5 cores"),
        (
            {"maxJobsInFlight": 1},
            "JobsLimitReached",
            "1 jobs of the group default have something in flight, and 1 may",
        ),
    ],
)
async def test_what_its_group_may_not_have_is_told_before_what_edges_say(
    store: MemoryStore, placer: Placer, group: Document, reason: str, message: str
) -> None:
    await online(store, "e")
    await place(store, await new_job(store, "first", requests=HALF))
    await done(store, Command("patchSpec", "/config/job-groups/default", group))
    await new_job(store, requests=HALF)
    await placer.look()
    assert await of(store) == (reason, message)
    await done(store, Command("patchSpec", "/config/scheduler", {"paused": True}))
    await placer.look()
    assert (await of(store))[0] == "SchedulerPaused"


async def test_nothing_is_written_where_nothing_is_news(store: MemoryStore, placer: Placer) -> None:
    await online(store, *(f"e{number}" for number in range(20)))
    await new_job(store, requests=LARGE)
    await placer.look()
    since, head = await told(store), (await store.head()).position
    await placer.look(5 * EVERY_S)
    assert (await store.head()).position == head
    await online(store, "another")
    head = (await store.head()).position
    await placer.look(5 * EVERY_S)
    assert (await store.head()).position == head, "a number that has hardly moved is no news at once"
    await done(store, Command("patchSpec", desired_path("s", "e0"), {"cordoned": True}), actor=SYSTEM)
    await placer.look()
    assert (await of(store))[1] == "of 21 edges, 20 have too little cpu, 1 is cordoned"
    again = await told(store)
    assert since is not None
    assert again is not None
    assert again["lastTransitionTime"] == since["lastTransitionTime"], "it waits since then, whatever for"


async def test_another_replica_finds_out_what_was_told(store: MemoryStore, placer: Placer) -> None:
    await online(store, "e")
    await new_job(store, requests=LARGE)
    await placer.look()
    head = (await store.head()).position
    async with Appender(store) as appender:
        other = Placer(store, appender)
        other.fence = placer.fence
        await other.look()
    assert (await store.head()).position == head


async def test_who_is_placed_within_moments_is_told_nothing(store: MemoryStore, placer: Placer) -> None:
    await online(store, "e", cpu=64.0)
    job = await new_job(store, chunks=200)
    for index in range(8):
        await placer.look(EVERY_S / 4)
        await place(store, job, index)
    assert await told(store) is None


async def test_of_many_jobs_those_are_told_that_go_first(store: MemoryStore, placer: Placer) -> None:
    for number in range(40):
        await new_job(store, f"j{number:02}", requests=LARGE, priority=number)
    await placer.look(4 * EVERY_S)
    found = [await told(store, f"j{number:02}") for number in range(40)]
    assert [number for number, condition in enumerate(found) if condition is not None] == list(range(8, 40))


async def test_a_job_of_the_same_name_begins_anew(store: MemoryStore, placer: Placer) -> None:
    await new_job(store, requests=LARGE)
    await placer.look()
    assert await told(store) is not None
    await done(store, Command("delete", f"{JOBS}/j"))
    await done(store, Command("finalize", f"{JOBS}/j", {"finalizer": "attempts"}), actor=SYSTEM)
    await new_job(store, requests=LARGE)
    await placer.look(EVERY_S / 2)
    assert await told(store) is None
    await placer.look()
    assert await told(store) is not None


async def test_of_many_groups_fewer_jobs_are_told_of_each() -> None:
    groups = [f"g{number:03}" for number in range(100)]
    waiting = backlog(*(pending(number, group=groups[number % 100]) for number in range(2_000)))
    first = first_jobs(waiting)
    assert [job.group for job in first] == [group for group in groups for _ in range(10)]
    assert [job.order for job in first[:10]] == [100 * number for number in range(10)]


async def test_each_group_is_told_and_each_ask_in_its_turn(store: MemoryStore, placer: Placer) -> None:
    await online(store, "e")
    for number in range(10):
        await new_job(store, f"j{number}", requests={"cpu": 64.0 + number, "memoryBytes": 1, "powerW": 1.0})
    await placer.look(10 * EVERY_S)
    assert [(await of(store, f"j{number}"))[0] for number in range(10)] == ["NoSuitableEdge"] * 10


async def test_a_chunk_that_rests_is_not_said_to_find_no_room(store: MemoryStore, placer: Placer) -> None:
    await online(store, "e")
    job = await new_job(store, chunks=2, requests={**HALF, "cpu": 1.0}, retryPolicy={"backoffS": 600})
    path = await place(store, job)
    await placer.look()
    assert await of(store) == ("NoRoom", "of 1 edges, 1 has too little cpu left")
    await report(store, path, phase="failed", reason="NonZeroExit", finishedAt=_now().isoformat())
    await place(store, job, 1)
    await placer.look()
    assert await of(store) == ("WaitingForRetry", "chunks of it failed, and are tried again after a pause")


@pytest.mark.parametrize(
    ("spec", "phases", "stays"),
    [
        ({}, {"placed": 1}, True),
        ({}, {"placed": 2}, False),
        ({"intent": "suspend"}, {}, False),
        ({"maxParallel": 1}, {"running": 1}, False),
        ({"after": [{"job": "other"}]}, {}, False),
    ],
)
async def test_progress_takes_it_away_once_it_waits_for_no_edge(
    store: MemoryStore, spec: Document, phases: dict[str, int], *, stays: bool
) -> None:
    job = await new_job(store, chunks=2, **spec)
    since = "2030-01-01T00:00:00+00:00"
    condition = {"type": "Placed", "status": "False", "reason": "NoRoom", "message": "", "lastTransitionTime": since}
    await done(store, Command("patchStatus", job.path, {"conditions": [condition]}), actor=SYSTEM)
    status = rollup(await present(store, job.path), Totals(phases), "pending", None, _now())
    assert (told_of(status["conditions"]) == condition) is stays
    assert any(one["type"] == "Complete" for one in status["conditions"])
