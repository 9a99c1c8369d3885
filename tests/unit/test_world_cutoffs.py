"""What the world's checker says of chunks that go elsewhere too soon, or are counted twice."""

import pytest
from msgspec import structs

from datamodel.command import Command
from datamodel.memory import MemoryStore
from datamodel.scheduling.edges import inventory_path
from datamodel.scheduling.service import config_path
from datamodel.seeds import seed
from sim.world.cutoffs import Cutoffs, is_double
from tests.graph import SYSTEM, done, memory_store, new_edge, new_job, place, report

EDGE = inventory_path("s", "e")


class Watched:
    """A store of which the checker sees every event, at a time."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.found: list[str] = []
        self.cutoffs = Cutoffs(self.found.append)
        self._position = 0

    async def see(self, now_s: float) -> list[str]:
        for event in await self.store.events(self._position, 1_000):
            self._position = event.position
            self.cutoffs.appended(event, self.store.state, now_s)
        return self.found


async def watched() -> Watched:
    store = memory_store()
    await seed(store)
    for edge in "ef":
        await new_edge(store, edge)
    return Watched(store)


async def cut(store: MemoryStore) -> None:
    await done(store, Command("patchStatus", EDGE, {"phase": "disconnected"}), actor=SYSTEM)


async def replace(store: MemoryStore, path: str, reason: str = "EdgeCutOff") -> None:
    await done(store, Command("patchSpec", path, {"intent": "abandon", "intentReason": reason}), actor=SYSTEM)


@pytest.mark.parametrize(("after_s", "is_late"), [(30.0, True), (60.0, False)])
async def test_what_goes_elsewhere_sooner_than_its_job_says_is_told(after_s: float, *, is_late: bool) -> None:
    world = await watched()
    path = await place(world.store, await new_job(world.store), replaceAfterS=after_s)
    await cut(world.store)
    assert await world.see(100.0) == []
    await replace(world.store, path)
    found = await world.see(135.0)
    assert [text.endswith("35 s after it was cut off, not 60.0") for text in found] == ([] if is_late else [True])


async def test_what_goes_elsewhere_though_its_job_waits_is_told() -> None:
    world = await watched()
    path = await place(world.store, await new_job(world.store))
    await cut(world.store)
    await replace(world.store, path)
    (told,) = await world.see(1_000.0)
    assert told.endswith("its job waits for its edge")


async def test_a_second_success_that_counts_is_told_and_one_that_goes_on_beside_a_first_is_a_double() -> None:
    world = await watched()
    job = await new_job(world.store, chunks=1)
    older = await place(world.store, job)
    await replace(world.store, older, "EdgeLost")
    newer = await place(world.store, job, epoch=2, edge="f")
    assert not is_double(world.store.state.nodes[newer], world.store.state)
    await report(world.store, older, phase="succeeded")
    assert is_double(world.store.state.nodes[newer], world.store.state)
    await report(world.store, newer, phase="succeeded")
    assert await world.see(0.0) == []
    assert world.cutoffs.counts["first"] == 1
    last = (await world.store.events(0, 1_000))[-1]
    part = {"status": {**last.part["status"], "settlement": "counted"}}
    node = world.store.state.nodes[newer]
    world.store.state.nodes[newer] = structs.replace(node, status=part["status"])
    world.cutoffs.appended(structs.replace(last, part=part), world.store.state, 0.0)
    (told,) = world.found
    assert told == f"{newer} is counted, and so was {older}"


async def test_a_word_that_was_said_before_the_edge_was_heard_from_is_told_where_it_is_kept() -> None:
    world = await watched()
    word = {"word": {"says": "lost", "position": 1}}
    await done(world.store, Command("apply", "/config/sites/s"), Command("apply", config_path("s", "e"), word))
    for status in ({"phase": "lost", "reason": "an operator says so"}, {"phase": "online", "reason": "heard"}):
        await done(world.store, Command("patchStatus", EDGE, status), actor=SYSTEM)
    assert await world.see(0.0) == []
    await done(world.store, Command("patchStatus", EDGE, {"phase": "lost", "reason": "silent for 90 s"}), actor=SYSTEM)
    assert await world.see(1.0) == [], "that is another matter"
    await done(world.store, Command("patchStatus", EDGE, {"reason": "an operator says so"}), actor=SYSTEM)
    (told,) = await world.see(2.0)
    assert told == f"{EDGE} is lost by a word that was said before it was heard from"
