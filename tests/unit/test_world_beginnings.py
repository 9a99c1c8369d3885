"""What a world sees of jobs that begin or go when they should not, or do not when they should."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from datamodel.command import Actor, Command
from datamodel.memory import MemoryStore
from datamodel.seeds import seed
from sim.world.beginnings import Beginnings
from sim.world.overdue import behind, held, stays
from sim.world.process import EPOCH
from tests.graph import JOBS, REQUESTS, STEPS, SYSTEM, counted_ids, done, job, memory_store, new_edge, place, present

EXPIRY, SCHEDULES = Actor("expiry", "system"), Actor("schedules", "system")
PLAN = "/config/job-groups/default/schedules/s"
SPEC = {"cron": "*/1 * * * *", "job": {"steps": STEPS, "requests": REQUESTS}}


class Seen:
    """A store, its world's clock, and what was complained of."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.now_s = 30.0
        model = memory_store().model
        self.store = MemoryStore(model, lambda: EPOCH + timedelta(seconds=self.now_s), counted_ids())
        self.beginnings = Beginnings(self.complaints.append)
        self._read = 0

    async def said(self) -> list[str]:
        """Of what has been written since it was last asked."""
        for event in await self.store.events(self._read, 1000):
            self._read = event.position
            self.beginnings.appended(event, self.store.state, self.now_s)
        said, self.complaints[:] = list(self.complaints), []
        return said

    async def end(self, name: str, phase: str = "succeeded", **status: Any) -> None:
        ended = {"phase": phase, "observedGeneration": 1, "finishedAt": self.wall(self.now_s), **status}
        for told in ({"phase": "pending"}, {"phase": "running"}, ended):
            await done(self.store, Command("patchStatus", f"{JOBS}/{name}", told), actor=SYSTEM)

    def wall(self, at_s: float) -> str:
        return (EPOCH + timedelta(seconds=at_s)).isoformat()

    async def place(self, name: str) -> None:
        await place(self.store, await present(self.store, f"{JOBS}/{name}"))

    async def make(self, minute: int) -> None:
        """A schedule's job, as its reconciler would."""
        name = f"s-2030010100{minute:02}"
        await done(
            self.store,
            Command("create", f"{JOBS}/{name}", SPEC["job"], links={"schedule": (PLAN,)}),  # type: ignore[arg-type]
            actor=SCHEDULES,
        )

    def overdue(self, path: str) -> Iterator[str]:
        node, now = self.store.state.nodes[path], EPOCH + timedelta(seconds=self.now_s)
        if node.kind == "Schedule":
            yield from behind(node, self.store.state, now)
        else:
            yield from (*held(node, self.store.state, now), *stays(node, now))


@pytest.fixture
async def seen() -> Seen:
    seen = Seen()
    await seed(seen.store)
    await new_edge(seen.store)
    return seen


@pytest.mark.parametrize(("on", "phase"), [("succeeded", "succeeded"), ("finished", "failed")])
async def test_nothing_is_placed_before_what_it_comes_after(seen: Seen, on: str, phase: str) -> None:
    await done(seen.store, job("a"), *(job(name, after=[{"job": "a", "on": on}]) for name in ("b", "c")))
    await seen.place("b")
    (said,) = await seen.said()
    assert "a, which comes before it, has not ended" in said
    await seen.end("a", phase)
    await seen.place("c")
    assert await seen.said() == []


async def test_an_end_that_is_not_the_one_that_was_waited_for_is_none(seen: Seen) -> None:
    await done(seen.store, job("a"), job("b", after=[{"job": "a"}]))
    await seen.end("a", "failed")
    await seen.place("b")
    assert "has failed" in (await seen.said())[0]


async def test_nothing_is_placed_before_its_time(seen: Seen) -> None:
    await done(seen.store, job("a", startAt=seen.wall(31)), job("b", startAt=seen.wall(30)))
    await seen.place("b")
    assert await seen.said() == []
    await seen.place("a")
    assert len(await seen.said()) == 1


async def test_who_fails_for_another_s_sake_does_so_after_that_has(seen: Seen) -> None:
    ready = {"type": "Ready", "status": "False", "reason": "DependencyFailed", "lastTransitionTime": seen.wall(1)}
    await done(seen.store, job("a"), *(job(name, after=[{"job": "a"}]) for name in ("b", "c")))
    await seen.end("b", "failed", conditions=[ready])
    assert len(await seen.said()) == 1
    await seen.end("a", "failed")
    await seen.end("c", "failed", conditions=[ready])
    assert await seen.said() == []


async def test_no_moment_is_made_twice_or_early(seen: Seen) -> None:
    await done(seen.store, Command("create", PLAN, SPEC))
    seen.now_s = 60.0
    await seen.make(1)
    assert await seen.said() == []
    await seen.make(2)
    assert "before its moment" in (await seen.said())[0]
    path = f"{JOBS}/s-203001010001"
    await done(seen.store, Command("delete", path))
    await done(seen.store, Command("finalize", path, {"finalizer": "attempts"}), actor=SYSTEM)
    await seen.make(1)
    assert await seen.said() == [f"{path} was made before"]
    await done(seen.store, Command("delete", path))
    await done(seen.store, Command("finalize", path, {"finalizer": "attempts"}), actor=SYSTEM)
    seen.beginnings.restored(seen.store.state.nodes)
    await seen.make(1)
    assert await seen.said() == [], "a database that was put back knows of no such job"


@pytest.mark.parametrize(("concurrency", "complaints"), [("allow", 0), ("forbid", 1), ("replace", 1)])
async def test_what_a_schedule_forbids_and_replaces_is_seen(seen: Seen, concurrency: str, complaints: int) -> None:
    await done(seen.store, Command("create", PLAN, {**SPEC, "concurrency": concurrency}))
    seen.now_s = 600.0
    await seen.make(1)
    assert await seen.said() == []
    await seen.make(2)
    assert len(await seen.said()) == complaints
    for minute in (1, 2):
        await done(seen.store, Command("patchSpec", f"{JOBS}/s-2030010100{minute:02}", {"intent": "abort"}))
    await seen.make(3)
    assert len(await seen.said()) == 2 * (concurrency == "forbid")


async def test_nothing_goes_before_its_time_or_its_end(seen: Seen) -> None:
    await done(seen.store, *(job(name, ttlAfterFinishS=10) for name in ("a", "b", "c", "d")))
    await seen.end("a")
    await seen.end("b")
    seen.now_s += 9.0
    await done(seen.store, Command("delete", f"{JOBS}/a"), actor=EXPIRY)
    assert "goes before its time" in (await seen.said())[0]
    seen.now_s += 1.0
    await done(seen.store, Command("delete", f"{JOBS}/b"), actor=EXPIRY)
    await done(seen.store, Command("delete", f"{JOBS}/d"))
    assert await seen.said() == []
    await done(seen.store, Command("delete", f"{JOBS}/c"), actor=SCHEDULES)
    assert "which is new" in (await seen.said())[0]


async def test_what_may_begin_and_what_is_to_go_is_due(seen: Seen) -> None:
    late = job("b", after=[{"job": "a"}], startAt=seen.wall(40), ttlAfterFinishS=5)
    await done(seen.store, job("a"), late)
    seen.now_s = 40.0
    assert list(seen.overdue(f"{JOBS}/b")) == []
    await seen.end("a", "failed")
    assert len(list(seen.overdue(f"{JOBS}/b"))) == 1
    seen.now_s = 39.0
    assert list(seen.overdue(f"{JOBS}/b")) == []
    await seen.end("b", readyAt=seen.wall(40))
    seen.now_s += 15.0
    assert list(seen.overdue(f"{JOBS}/b")) == []
    seen.now_s += 1.0
    assert len(list(seen.overdue(f"{JOBS}/b"))) == 1


async def test_a_schedule_is_behind_with_its_moments_its_jobs_and_what_is_asked(seen: Seen) -> None:
    await done(seen.store, Command("create", PLAN, SPEC))
    told = {"observedGeneration": 1, "active": 0, "through": seen.wall(30)}
    await done(seen.store, Command("patchStatus", PLAN, told), actor=SYSTEM)
    seen.now_s = 59.0
    assert list(seen.overdue(PLAN)) == []
    seen.now_s = 60.0
    assert len(list(seen.overdue(PLAN))) == 1
    await seen.make(1)
    assert len(list(seen.overdue(PLAN))) == 2
    await done(seen.store, Command("patchStatus", PLAN, {"through": seen.wall(60), "active": 1}), actor=SYSTEM)
    assert list(seen.overdue(PLAN)) == []
    await done(seen.store, Command("patchSpec", PLAN, {"suspended": True}))
    seen.now_s = 600.0
    assert len(list(seen.overdue(PLAN))) == 1, "nobody has seen that"
