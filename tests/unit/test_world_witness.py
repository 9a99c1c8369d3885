"""What is seen at the database's door: leases given twice, knowing writes, jobs that go too early."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from datamodel.command import Command, Fence, Unit
from datamodel.memory import MemoryStore
from datamodel.scheduling.edges import LOST, inventory_path
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from sim.world.witness import IN_FLIGHT_S, Witness
from tests.graph import JOBS, SYSTEM, done, memory_store, new_edge, new_job, place, present, report, unit


class Seen:
    """A witness, a store that it watches, and what it said."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.now_s = 100.0
        self.store: MemoryStore = memory_store()
        self.witness = Witness(MODEL, self.complaints.append, {LOST: 30.0})

    async def send(self, sent: Sequence[Unit]) -> None:
        self.witness.asked(sent, self.store.state, self.now_s)
        self.witness.answered(sent, await self.store.append(sent))

    async def removed(self, job: str, at_s: float) -> None:
        """A job goes with whatever runs of it."""
        finalize = Command("finalize", job, {"finalizer": "attempts"})
        head = await self.store.head()
        await done(self.store, Command("delete", job))
        await done(self.store, finalize, actor=SYSTEM)
        for event in await self.store.events(head.position, 10):
            self.witness.appended(event, self.store.state, at_s)


@pytest.fixture
async def seen() -> Seen:
    seen = Seen()
    await seed(seen.store)
    await new_edge(seen.store)
    return seen


def test_a_token_is_one_holders(seen: Seen) -> None:
    seen.witness.leased({"a": 1, "b": 1}, "first", 0.0)
    seen.witness.leased({"a": 1}, "first", 0.0)
    seen.witness.leased({"a": 2}, "second", 0.0)
    assert seen.complaints == []
    seen.witness.leased({"b": 1}, "second", 0.0)
    assert seen.complaints == ["the lease b was given to two holders with the token 1"]


def test_a_database_that_was_put_back_gives_tokens_again(seen: Seen) -> None:
    seen.witness.leased({"a": 1}, "first", 0.0)
    seen.witness.restored(10.0)
    seen.witness.leased({"a": 1}, "second", 20.0)
    assert seen.complaints == []


async def test_a_job_that_has_failed_has_ended_until_something_else_is_asked_of_it(seen: Seen) -> None:
    job = await new_job(seen.store)
    failed = Command("patchStatus", job.path, {"phase": "failed", "observedGeneration": 1})
    await seen.send([unit(failed, actor=SYSTEM)])
    await seen.send([unit(Command("patchSpec", job.path, {"retries": 9}))])
    asked = await present(seen.store, job.path)
    again = Command("patchStatus", job.path, {"phase": "running"}, expected_version=asked.version)
    await seen.send([unit(again, actor=SYSTEM)])
    assert seen.complaints == []
    await seen.send(
        [unit(Command("patchStatus", job.path, {"phase": "failed", "observedGeneration": 2}), actor=SYSTEM)]
    )
    ended = await present(seen.store, job.path)
    await seen.send([unit(replace(again, expected_version=ended.version), actor=SYSTEM)])
    assert seen.complaints == [f"placement writes the status of {JOBS}/j, and knows that it has ended"]


async def test_who_names_the_version_of_what_has_ended_knows_it(seen: Seen) -> None:
    job = await new_job(seen.store)
    write = Command("patchStatus", job.path, {"phase": "succeeded"}, expected_version=job.version)
    await seen.send([unit(write, actor=SYSTEM)])
    await seen.send([unit(write, actor=SYSTEM)])
    assert seen.complaints == [], "the first ended it, the second has not seen that"
    ended = await present(seen.store, job.path)
    again = Command("patchStatus", job.path, {"phase": "succeeded"}, expected_version=ended.version)
    await seen.send([unit(again, actor=SYSTEM)])
    assert seen.complaints == [f"placement writes the status of {JOBS}/j, and knows that it has ended"]


async def test_who_changes_a_spec_to_what_it_is_knows_it(seen: Seen) -> None:
    path = await place(seen.store, await new_job(seen.store))
    for intent in ("stop", "stop"):
        version = (await present(seen.store, path)).version
        command = Command("patchSpec", path, {"intent": intent}, expected_version=version)
        await seen.send([unit(command, actor=SYSTEM)])
    assert seen.complaints == [f"placement writes a spec of {path} that is there already"]


@pytest.mark.parametrize(("phase", "complaints"), [("running", 1), ("stopped", 0)])
async def test_a_job_stays_until_nothing_of_it_runs(seen: Seen, phase: str, complaints: int) -> None:
    job = await new_job(seen.store)
    path = await place(seen.store, job)
    await report(seen.store, path, phase=phase)
    await seen.removed(job.path, 100.0)
    assert len(seen.complaints) == complaints


@pytest.mark.parametrize("back_s", [None, 100.0 - IN_FLIGHT_S / 2])
async def test_a_lost_edge_is_not_waited_for(seen: Seen, back_s: float | None) -> None:
    """Nor is it where it was lost when that was concluded, and is back now."""
    job = await new_job(seen.store)
    await place(seen.store, job)
    edge = inventory_path("s", "e")
    await done(seen.store, Command("patchStatus", edge, {"phase": "lost"}), actor=SYSTEM)
    if back_s is not None:
        await done(seen.store, Command("patchStatus", edge, {"phase": "online"}), actor=SYSTEM)
        (event,) = await seen.store.events((await seen.store.head()).position - 1, 1)
        seen.witness.appended(event, seen.store.state, back_s)
    await seen.removed(job.path, 100.0)
    assert seen.complaints == []


@pytest.mark.parametrize(("given_s", "too_early"), [(71.0, True), (69.0, False)])
async def test_who_has_not_listened_long_enough_gives_no_edge_up(
    seen: Seen, given_s: float, *, too_early: bool
) -> None:
    edge = inventory_path("s", "e")
    judge = Fence("edges/0", (await seen.store.acquire(["edges/0"], "a judge", 60.0))["edges/0"])
    seen.witness.leased({judge.lease: judge.token}, "a judge", given_s)
    for phase in ("online", LOST):
        await seen.send([unit(Command("patchStatus", edge, {"phase": phase}), actor=SYSTEM, fence=judge)])
    assert seen.complaints == ([f"{edge} is lost to who has listened for 29.0 s"] if too_early else [])


async def test_after_a_database_was_put_back_a_token_does_not_say_since_when(seen: Seen) -> None:
    seen.witness.leased({"edges/0": 1}, "a judge", 99.0)
    seen.witness.restored(99.5)
    await seen.send(
        [unit(Command("patchStatus", inventory_path("s", "e"), {"phase": LOST}), fence=Fence("edges/0", 1))]
    )
    assert seen.complaints == []


async def test_a_token_that_its_holder_was_given_again_is_as_old_as_at_first(seen: Seen) -> None:
    judge = Fence("edges/0", 1)
    seen.witness.leased({"edges/0": 1}, "a judge", 0.0)
    seen.witness.restored(20.0)
    seen.witness.leased({"edges/0": 1}, "a judge", 75.0)
    await seen.send([unit(Command("patchStatus", inventory_path("s", "e"), {"phase": LOST}), fence=judge)])
    assert seen.complaints == []
