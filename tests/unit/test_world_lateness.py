"""What stands still is complained of in time, and nothing that moves, is in trouble, or has no room to go on."""

from collections.abc import Iterator

import pytest

from agents.runtimes.protocol import Step, Work
from datamodel.command import Command
from datamodel.feed.ports import Stream
from datamodel.memory import MemoryStore
from datamodel.names import last_name
from datamodel.scheduling.edges import inventory_path
from datamodel.seeds import seed
from sim.world.dice import Dice
from sim.world.engine import Engine
from sim.world.lateness import LOOK_S, SETTLED_S, STILL_S, Lateness, Still, waiting
from sim.world.universe import Universe
from tests.graph import SYSTEM, done, memory_store, new_edge, new_job, place, report


@pytest.fixture
def universe() -> Iterator[Universe]:
    with Universe() as universe:
        yield universe


class Looks:
    """Looks at what `stills` are, every few seconds."""

    def __init__(self, **trouble_s: float) -> None:
        self.complaints: list[str] = []
        self.now_s = 0.0
        self._lateness = Lateness(lambda edge: trouble_s.get(edge or "hub", 0.0), self.complaints.append)

    def until(self, end_s: float, *stills: Still) -> None:
        while self.now_s < end_s:
            self.now_s += LOOK_S
            self._lateness.look(self.now_s, lambda: iter(stills))


A, B = Still("a", "a waits"), Still("b", "b waits", "edge-0")


def test_what_stands_still_is_complained_of() -> None:
    looks = Looks()
    looks.until(SETTLED_S + STILL_S - LOOK_S, A)
    assert looks.complaints == []
    looks.until(SETTLED_S + STILL_S + 2 * LOOK_S, A)
    assert looks.complaints[0].endswith("s a waits")


def test_what_moves_is_not() -> None:
    looks = Looks()
    for number in range(50):
        looks.until(looks.now_s + STILL_S / 2, Still(number, "it moves"))
    assert looks.complaints == []


def test_what_stops_for_a_moment_begins_anew() -> None:
    looks = Looks()
    for _ in range(20):
        looks.until(looks.now_s + STILL_S, A)
        looks.until(looks.now_s + LOOK_S)
    assert looks.complaints == []


def test_trouble_excuses_until_it_has_settled() -> None:
    looks = Looks(hub=100.0)
    looks.until(100 + SETTLED_S + STILL_S - LOOK_S, A)
    assert looks.complaints == []
    looks.until(100 + SETTLED_S + STILL_S + 2 * LOOK_S, A)
    assert looks.complaints


def test_trouble_of_an_edge_excuses_what_needs_it_alone() -> None:
    looks = Looks(**{"edge-0": 1_000.0})
    looks.until(500, B)
    assert looks.complaints == []
    looks.until(1_000, A, B)
    assert {complaint[-7:] for complaint in looks.complaints} == {"a waits"}


def keys(store: MemoryStore, engine: Engine, newest: Stream | None = None) -> list[object]:
    return [still.key[1] for still in waiting(store.state, {"e": engine}, newest, 9) if isinstance(still.key, tuple)]


async def test_each_thing_that_should_go_on_is_named_until_it_has(universe: Universe) -> None:
    store, engine = memory_store(), Engine(universe, Dice(1).stream("engine"), lambda: 0.0, lambda _: 1)
    await seed(store)
    job = await new_job(store)
    assert keys(store, engine) == [], "there is no room"
    await new_edge(store)
    edge = inventory_path("s", "e")
    await done(store, Command("patchStatus", edge, {"phase": "suspect"}), actor=SYSTEM)
    assert keys(store, engine) == ["suspect"]
    await done(store, Command("patchStatus", edge, {"phase": "online"}), actor=SYSTEM)
    assert keys(store, engine) == ["chunks"]

    path = await place(store, job)
    await done(store, Command("patchStatus", job.path, {"chunks": {"placed": 1}}), actor=SYSTEM)
    assert keys(store, engine) == [""], "it is not running"
    work = Work("s", "e", last_name(path), (Step("a", "a"),), {})
    engine.start(work, 0)
    assert keys(store, engine) == []
    await done(store, Command("patchSpec", path, {"intent": "stop"}), actor=SYSTEM)
    assert keys(store, engine) == ["stop"]
    await report(store, path, phase="stopped")
    assert keys(store, engine) == ["status", "chunks"]
    await done(store, Command("delete", job.path))
    assert keys(store, engine) == ["deleted"]
    assert keys(store, engine, Stream(1, 8, 0)) == [Stream(1, 8, 0), "deleted"]


async def test_what_should_not_run_is_named_until_it_does_not(universe: Universe) -> None:
    store, engine = memory_store(), Engine(universe, Dice(1).stream("engine"), lambda: 0.0, lambda _: 1)
    await seed(store)
    await new_edge(store)
    await done(store, Command("patchStatus", inventory_path("s", "e"), {"phase": "online"}), actor=SYSTEM)
    job = await new_job(store, retries=0)
    path = await place(store, job)
    engine.start(Work("s", "e", last_name(path), (Step("a", "a"),), {}), 0)
    await done(store, Command("patchSpec", job.path, {"intent": "suspend"}))
    assert "rest" in keys(store, engine)
    await done(store, Command("patchSpec", path, {"intent": "abandon"}), actor=SYSTEM)
    assert "rest" not in keys(store, engine)
    assert "chunks" not in keys(store, engine), "nobody is to place them"
    await done(store, Command("patchSpec", job.path, {"intent": "run"}))
    assert "chunks" in keys(store, engine)


async def test_what_has_failed_and_may_fail_more_often_is_named_until_it_goes_on(universe: Universe) -> None:
    store, engine = memory_store(), Engine(universe, Dice(1).stream("engine"), lambda: 0.0, lambda _: 1)
    await seed(store)
    await new_edge(store)
    job = await new_job(store, retries=0)
    await report(store, await place(store, job), phase="failed")
    await done(store, Command("patchStatus", job.path, {"phase": "failed"}), actor=SYSTEM)
    assert "again" not in keys(store, engine)
    await done(store, Command("patchSpec", job.path, {"retries": 1}))
    assert "again" in keys(store, engine)
    await done(store, Command("patchStatus", job.path, {"phase": "running"}), actor=SYSTEM)
    assert "again" not in keys(store, engine)


async def test_an_attempt_on_a_lost_edge_is_to_be_given_up(universe: Universe) -> None:
    store, engine = memory_store(), Engine(universe, Dice(1).stream("engine"), lambda: 0.0, lambda _: 1)
    await seed(store)
    await new_edge(store)
    path = await place(store, await new_job(store))
    await done(store, Command("patchStatus", inventory_path("s", "e"), {"phase": "lost"}), actor=SYSTEM)
    assert "abandon" in keys(store, engine)
    await done(store, Command("patchSpec", path, {"intent": "abandon"}), actor=SYSTEM)
    assert "abandon" not in keys(store, engine)
