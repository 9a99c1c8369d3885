"""Rogues are refused in a whole world, each as it must; and what the new faults do is what they say."""

from typing import get_args

import pytest

from datamodel.errors import Conflict, Fenced, NotFound, TendrilError
from sim.world.rogues import Refusal
from sim.world.run import run
from sim.world.script import AnyAction, Cut, Kill, Repeat, Restore, Rogue, Script, Submit, Tries
from sim.world.weather import ROUGH
from sim.world.world import World

JOBS = (Submit(10.0, "done", 4), Submit(30.0, "goes-on", 24, seconds=20.0))


def script(*actions: AnyAction) -> Script:
    return Script(seed=5, edges=2, replicas=2, seconds=120.0, actions=tuple(sorted(actions, key=lambda a: a.at_s)))


@pytest.mark.parametrize("tries", get_args(Tries))
def test_what_a_rogue_tries_is_refused(tries: Tries) -> None:
    outcome = run(script(*JOBS, *(Rogue(at_s, tries) for at_s in (2.0, 40.0, 50.0, 60.0))))
    assert outcome.broken == []
    assert outcome.counts["Rogue"] == 4
    assert (outcome.counts["refused"] >= 3) == (tries != "unsettled"), "the audit judges those"


def test_they_are_refused_in_rough_weather_too() -> None:
    rogues = [Rogue(20.0 + number, tries) for number, tries in enumerate(get_args(Tries) * 4)]
    rough = Script(seed=6, edges=2, replicas=2, seconds=120.0, weather=ROUGH, actions=(*JOBS[:1], *rogues))
    outcome = run(rough)
    assert outcome.broken == []
    assert outcome.counts["refused"] > 30


@pytest.mark.parametrize(
    ("error", "expected", "other"),
    [
        (Fenced("late"), Refusal(Fenced), Refusal(Conflict)),
        (Conflict("old", field="/a"), Refusal(Conflict, "/a"), Refusal(Conflict, "/b")),
        (NotFound("gone"), Refusal(Conflict), Refusal(Conflict, gone=False)),
        (None, None, Refusal(Conflict)),
    ],
)
def test_a_refusal_is_the_very_error(error: TendrilError | None, expected: Refusal | None, other: Refusal) -> None:
    assert expected is None or expected.is_it(error)
    assert not other.is_it(error)


def test_a_request_that_is_repeated_counts_nothing_twice() -> None:
    repeats = [Repeat(at_s, "done") for at_s in (11.0, 60.0, 110.0)]
    outcome = run(script(*JOBS, *repeats, Kill(50.0, "reconcilers-0", 5.0), Kill(50.0, "edge-0", 5.0)))
    assert outcome.broken == []
    assert outcome.counts["Repeat"] == 3
    assert run(script(JOBS[0], *repeats)).counts["containers"] == 4


def test_what_a_database_forgot_is_done_when_it_is_asked_for_again() -> None:
    outcome = run(script(Submit(21.0, "forgotten", 3), Restore(28.0, 8.0), Repeat(40.0, "forgotten")))
    assert outcome.broken == []
    assert outcome.counts["containers"] == 6


def test_of_two_cuts_the_later_end_is_the_end() -> None:
    world = World(script(Cut(10.0, "edge-0", 100.0), Cut(20.0, "edge-0", 5.0), Kill(30.0, "edge-0", 5.0)))
    whole: list[bool] = []
    for at_s in (5.0, 15.0, 26.0, 50.0, 109.0, 111.0):
        world._universe.at(at_s, lambda: whole.append(world._hosts["edge-0"].line.whole))
    assert world.run().broken == []
    assert whole == [True, False, False, False, False, True]


def test_the_chunks_of_an_edge_that_is_lost_for_good_end_elsewhere() -> None:
    jobs = (Submit(5.0, "long", 8, seconds=20.0),)
    lost = Script(seed=7, edges=2, replicas=1, seconds=300.0, actions=(*jobs, Cut(15.0, "edge-0", 300.0)))
    world = World(lost)
    finished: list[str] = []
    world._universe.at(290.0, lambda: finished.extend(node.phase for node in world._state.nodes.values()))
    assert world.run().broken == []
    assert "lost" in finished
    assert world._database.store.state.nodes["/config/job-groups/default/jobs/long"].phase == "succeeded"
