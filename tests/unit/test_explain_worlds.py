"""What is told of jobs that wait, in random worlds: it agrees with what placement decides, and with what the past was."""

import asyncio
from datetime import UTC, datetime
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from datamodel.command import Command
from datamodel.kinds import Document
from datamodel.ledger import Totals
from datamodel.memory import MemoryStore
from datamodel.node import Node
from datamodel.scheduling.edges import desired_path, inventory_path
from datamodel.scheduling.jobs import PENDING, RUNNING
from datamodel.scheduling.queueing import Ahead
from datamodel.seeds import seed
from gateway.queue import QUEUE_LIMIT, Waits, waiting_of, waits_of
from gateway.seeing import Now, Seen, Then, seen_at
from gateway.together import Together
from reconcilers.failures import Retries
from reconcilers.planning.decisions import Plan
from reconcilers.planning.placement import plan
from reconcilers.snapshot import Snapshot
from tests.graph import (
    EDGE,
    JOBS,
    REQUESTS,
    STEPS,
    SYSTEM,
    attempt,
    done,
    edge_spec,
    memory_store,
    new_edge,
    new_job,
    place,
    report,
    send,
)

GROUPS = ("default", "red")
EDGES = ("a", "b", "c", "d")
BLOCKED = {"NoRoom", "NoSuitableEdge", "NoRoomForAll", "QuotaReached", "GroupPaused", "JobsLimitReached"}
TERMS: list[Document] = [{}, {}, {"paused": True}, {"quota": {"cpu": 1.5}}, {"maxJobsInFlight": 1}, {"weight": 3}]
MIB = 2**20


def at() -> datetime:
    return datetime.now(UTC)


async def world(dice: Random) -> MemoryStore:
    """Some edges, groups with terms, and jobs of which some chunks are placed."""
    store = memory_store()
    await seed(store)
    spec = {"order": dice.choice(["fairShare", "priority", "arrival"]), "policy": dice.choice(["bestFit", "spread"])}
    await done(store, Command("patchSpec", "/config/scheduler", {**spec, "paused": dice.random() < 0.05}))
    await done(store, Command("create", "/config/job-groups/red"))
    for group in GROUPS:
        if terms := dice.choice(TERMS):
            await done(store, Command("patchSpec", f"/config/job-groups/{group}", terms))
    if dice.random() < 0.2:
        await done(store, Command("patchSpec", "/config/job-groups/red", {"sites": ["elsewhere"]}))
    for name in EDGES[: dice.randint(0, len(EDGES))]:
        await new_edge(store, name, cpu=float(dice.randint(1, 3)))
        phase = dice.choice(["online", "online", "online", "suspect"])
        await done(store, Command("patchStatus", inventory_path("s", name), {"phase": phase}), actor=SYSTEM)
        if dice.random() < 0.2:
            await done(store, Command("patchSpec", desired_path("s", name), {"cordoned": True}), actor=SYSTEM)
            if dice.random() < 0.5:
                window = {"maintenance": {"until": "2030-01-01T00:00:00+00:00"}}
                await done(store, Command("patchStatus", inventory_path("s", name), window), actor=SYSTEM)
    for number in range(dice.randint(1, 6)):
        await submit(store, dice, number)
    for _ in range(dice.randint(0, 12)):
        await step(store, dice)
    return store


async def submit(store: MemoryStore, dice: Random, number: int) -> None:
    chunks = dice.randint(1, 4)
    more: dict[str, Any] = dice.choice(
        [
            {},
            {},
            {"allOrNothing": True},
            {"maxParallel": 1},
            {"placement": {"arrangement": {"chunks": "apart"}}},
            {"placement": {"arrangement": {"chunks": "apart", "over": "sites"}}},
            {"placement": {"required": "tendril/edge in (a,b)"}},
        ]
    )
    spec = {
        "steps": STEPS,
        "chunks": chunks,
        "priority": dice.randint(0, 100),
        "requests": {"cpu": dice.choice([0.5, 1.0, 2.0, 4.0]), "memoryBytes": MIB, "powerW": 1.0},
        **more,
    }
    await done(store, Command("create", f"/config/job-groups/{dice.choice(GROUPS)}/jobs/j{number}", spec))


async def step(store: MemoryStore, dice: Random) -> None:
    """A chunk is placed, or something becomes of an attempt, or of an edge, where that may be."""
    jobs, attempts = await store.list_nodes("Job"), await store.list_nodes("Attempt")
    edges = await store.list_nodes("Edge")
    what = dice.random()
    if what < 0.5 and jobs and edges:
        job, edge = dice.choice(jobs), dice.choice(edges)
        entries = {entry.index: entry for entry in await store.entries(job.uid)}
        index = dice.choice([*range(min(len(entries) + 1, job.spec["chunks"]))])
        epoch = entries[index].epoch + 1 if index in entries else 1
        await send(store, attempt(job, index, epoch, edge.path.rpartition("/")[2]), actor=SYSTEM)
    elif what < 0.9 and attempts:
        one = dice.choice(attempts)
        if dice.random() < 0.1:
            await send(store, Command("patchSpec", one.path, {"intent": "abandon"}), actor=SYSTEM)
        else:
            phase = dice.choice(["running", "running", "succeeded", "failed", "interrupted"])
            await send(store, Command("patchStatus", one.path, {"phase": phase, "percent": 10}), actor=EDGE)
    elif edges:
        edge = dice.choice(edges)
        capacity = edge_spec(cpu=float(dice.randint(1, 3)))["capacity"]
        await send(store, Command("patchSpec", edge.path, {"capacity": capacity}), actor=EDGE)


async def told(store: MemoryStore, only: str = "") -> dict[str, Waits]:
    """By path, what is told of the jobs that wait, or of one of them."""
    seen = Now(store, at())
    jobs = [job async for page in seen.each("Job", ("", PENDING, RUNNING)) for job in page]
    totals = await seen.totals(jobs)
    waiting = [(job, totals.get(job.uid, Totals())) for job in jobs]
    waiting = [(job, of) for job, of in waiting if waiting_of(job, of) and only in ("", job.path)]
    found = await waits_of(seen, waiting, await seen.placements([job.uid for job, _ in waiting]))
    return {job.path: found[job.uid] for job, _ in waiting}


async def planned(store: MemoryStore) -> tuple[Plan, Snapshot]:
    snapshot = await Snapshot.read(store, Retries(store, at), at)
    with snapshot.fleet.draft():
        return plan(
            snapshot.backlog, snapshot.fleet, snapshot.usage, snapshot.terms, order=snapshot.order, limit=1_000
        ), snapshot


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_what_is_told_agrees_with_what_placement_decides(number: int) -> None:
    async def check() -> None:
        store = await world(Random(number))
        found, (decided, snapshot) = await told(store), await planned(store)
        placed = {decision.job.path for decision in decided.decisions}
        edges = len(await store.list_nodes("Edge"))
        for path, waits in found.items():
            assert sum(some.edges for some in waits.edges) == edges, "the counts add up"
            assert (waits.reason.reason == "SchedulerPaused") is snapshot.paused
            if snapshot.paused:
                continue
            assert (path in placed) <= (waits.reason.reason not in BLOCKED), waits
            if waits.reason.reason == "Queued" and not waits.ahead.jobs:
                assert path in placed, waits
        assert {path for path in found if snapshot.backlog.get(path) is None} == set(), "who waits is known to wait"

    asyncio.run(check())


APPLIED: dict[str, tuple[str, Document]] = {
    "ResumeScheduler": ("/config/scheduler", {"paused": False}),
    "ResumeGroup": ("/config/job-groups/{group}", {"paused": False}),
    "RaiseJobsLimit": ("/config/job-groups/{group}", {"maxJobsInFlight": 1_000}),
    "RaiseQuota": ("/config/job-groups/{group}", {"quota": {"cpu": 100}}),
    "AllowSite": ("/config/job-groups/{group}", {"sites": None}),
}


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_once_all_has_changed_that_would_have_to_it_can_be_placed(number: int) -> None:
    async def check() -> None:
        store = await world(Random(number))
        for path, waits in (await told(store)).items():
            if not waits.changes:
                assert waits.reason.reason == "Queued", waits
            for change in waits.changes:
                await apply(store, path.split("/")[3], change.what, change.edge)
            if all(change.what in {*APPLIED, "Uncordon", "MaintenanceEnds", "BeOnline"} for change in waits.changes):
                assert (await told(store))[path].reason.reason == "Queued", waits
            return

    asyncio.run(check())


async def apply(store: MemoryStore, group: str, what: str, edge: str) -> None:
    site, _, name = edge.partition("/")
    if what in APPLIED:
        path, patch = APPLIED[what]
        await done(store, Command("patchSpec", path.format(group=group), patch))
    elif what in {"Uncordon", "MaintenanceEnds"}:
        over = Command("patchStatus", inventory_path(site, name), {"maintenance": None})
        await done(store, over, actor=SYSTEM)
        await done(store, Command("patchSpec", desired_path(site, name), {"cordoned": False}), actor=SYSTEM)
    elif what == "BeOnline":
        await done(store, Command("patchStatus", inventory_path(site, name), {"phase": "online"}), actor=SYSTEM)


async def clear(store: MemoryStore) -> None:
    """All jobs go, with their attempts: the past has them still."""
    for one in await store.list_nodes("Attempt"):
        await send(store, Command("patchStatus", one.path, {"phase": "succeeded"}), actor=EDGE)
        await done(store, Command("delete", one.path), actor=SYSTEM)
    for job in await store.list_nodes("Job"):
        await done(store, Command("delete", job.path))
        await done(store, Command("finalize", job.path, {"finalizer": "attempts"}), actor=SYSTEM)
    assert not await store.list_nodes("Job")


async def read(seen: Seen, jobs: list[Node], edges: list[Node]) -> Any:
    """All that explanations rest on."""
    uids = [job.uid for job in jobs]
    return (
        await seen.nodes([node.path for node in (*jobs, *edges)]),
        {job: totals for job, totals in (await seen.totals(jobs)).items() if totals.entries},
        {
            job: in_flight
            for job, totals in (await seen.about(jobs)).items()
            if (in_flight := {phase: totals.phases[phase] for phase in ("placed", "running") if phase in totals.phases})
        },
        {path: (pool.capacity, pool.used) for path, pool in (await seen.pools(edges)).items()},
        {
            phase: {uid: found for uid, found in (await seen.first_entries(uids, phase, 10)).items() if found}
            for phase in ("placed", "running", "retry", "failed")
        },
        await seen.placements(uids),
        [node.path async for page in seen.each("Job", ("", PENDING, RUNNING)) for node in page],
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_the_past_is_told_as_it_was(number: int) -> None:
    async def check() -> None:
        dice = Random(number)
        store = await world(dice)
        before: list[tuple[int, list[Node], list[Node], Any]] = []
        for _ in range(8):
            jobs, edges = await store.list_nodes("Job"), await store.list_nodes("Edge")
            position = (await store.head()).position
            before.append((position, jobs, edges, await read(Now(store, at()), jobs, edges)))
            await step(store, dice)
        await clear(store)
        for position, jobs, edges, was in before:
            then = await seen_at(store, Together(store), position, "/asOf")
            assert isinstance(then, Then)
            assert await read(then, jobs, edges) == was

    asyncio.run(check())


async def test_where_attempts_are_gone_its_status_tells_what_was_counted() -> None:
    store = memory_store()
    await seed(store)
    await new_edge(store)
    job = await new_job(store, chunks=4)
    paths = [await place(store, job, index) for index in range(3)]
    for path in paths[:2]:
        await report(store, path, phase="succeeded")
    await done(store, Command("delete", paths[0]), actor=SYSTEM)
    told = {"chunks": {"succeeded": 2, "placed": 1, "retrying": 0, "pending": 1}, "percentCompleted": 50.0}
    before = (await store.head()).position
    await done(store, Command("patchStatus", job.path, told), actor=SYSTEM)
    counts = []
    for position in (before, (await store.head()).position):
        then = await seen_at(store, Together(store), position, "/asOf")
        totals = await then.totals([*(await then.nodes([job.path])).values()])
        counts.append((totals[job.uid].phases, totals[job.uid].progress))
    assert counts == [({"succeeded": 1, "placed": 1}, 1_000), ({"succeeded": 2, "placed": 1}, 2_000)]


async def test_of_a_long_queue_at_least_what_was_looked_at_is_told_and_what_placement_found_of_the_group() -> None:
    store = memory_store()
    await seed(store)
    await done(store, Command("create", "/config/job-groups/a"))
    spec = {"steps": STEPS, "requests": REQUESTS, "priority": 100}
    made = [Command("create", f"/config/job-groups/a/jobs/j{number}", spec) for number in range(QUEUE_LIMIT)]
    for begin in range(0, QUEUE_LIMIT, 500):
        await done(store, *made[begin : begin + 500])
    await new_job(store)
    (waits,) = [waits for path, waits in (await told(store, only=f"{JOBS}/j")).items()]
    assert (waits.reason.reason, waits.ahead) == (
        "NoSuitableEdge",
        Ahead(0, 0, QUEUE_LIMIT, QUEUE_LIMIT, at_least=True),
    )
    condition = {"type": "Placed", "status": "False", "reason": "QuotaReached", "message": "it is used up"}
    since = {"lastTransitionTime": "2030-01-01T00:00:00+00:00"}
    await done(store, Command("patchStatus", f"{JOBS}/j", {"conditions": [condition | since]}), actor=SYSTEM)
    await done(store, Command("patchSpec", "/config/scheduler", {"order": "priority"}))
    waits = (await told(store, only=f"{JOBS}/j"))[f"{JOBS}/j"]
    assert waits.reason == ("QuotaReached", "it is used up"), "who holds what was not looked at"
