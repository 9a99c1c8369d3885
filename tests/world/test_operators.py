"""Worlds whose edges have less power than they had, and are in maintenance: what follows, and what nobody may do."""

from datetime import timedelta

import pytest

from datamodel.node import Node
from datamodel.scheduling.edges import inventory_path, place_of
from datamodel.scheduling.resources import POWER
from sim.world.engine import FULL_W
from sim.world.process import EPOCH
from sim.world.script import AnyAction, Maintain, Power, Script, Shed, Submit
from sim.world.windows import due
from sim.world.world import World


def attempts(world: World, job: str = "", edge: str = "") -> list[Node]:
    return [
        node
        for node in world.nodes.values()
        if node.kind == "Attempt" and node.spec["job"].endswith(job) and place_of(node.path)[1].endswith(edge)
    ]


def ran(*actions: AnyAction, edges: int = 2, slots: int = 2) -> World:
    world = World(Script(seed=1, edges=edges, replicas=1, seconds=180.0, slots=slots, actions=actions))
    outcome = world.run()
    assert outcome.broken == []
    return world


def test_what_is_shed_runs_elsewhere_or_later_and_is_counted_once() -> None:
    high, low = Submit(5.0, "high", 2, seconds=40.0, priority=90), Submit(6.0, "low", 2, seconds=40.0, priority=10)
    world = ran(Shed(1.0), high, low, Power(20.0, "edge-0", 1.0), Power(90.0, "edge-0", FULL_W))
    shed = [attempt for attempt in attempts(world) if attempt.spec.get("intentReason") == "Shed"]
    (one,) = shed
    assert place_of(one.path)[1] == "edge-0"
    assert one.phase == "stopped"
    assert len(attempts(world)) == 5, "it has another attempt"
    for name in ("high", "low"):
        job = next(node for path, node in world.nodes.items() if path.endswith(f"/jobs/{name}"))
        assert (job.phase, job.status["outputs"]["ran"]) == ("succeeded", 2)


def test_where_nobody_says_so_what_runs_goes_on_and_nothing_new_comes() -> None:
    world = ran(
        Submit(5.0, "a", 4, seconds=40.0),
        Power(20.0, "edge-0", 0.0),
        Submit(30.0, "b", 8, seconds=5.0),
        Power(150.0, "edge-0", FULL_W),
    )
    assert {attempt.phase for attempt in attempts(world)} == {"succeeded"}
    late = [attempt for attempt in attempts(world, "b") if attempt.created_at < EPOCH + timedelta(seconds=150.0)]
    assert {place_of(attempt.path)[1] for attempt in late} == {"edge-1"}


@pytest.mark.parametrize("moves", [True, False])
@pytest.mark.parametrize("edge", ["edge-0", ""])
def test_nothing_is_placed_in_a_window_and_what_is_to_move_does(edge: str, *, moves: bool) -> None:
    world = ran(
        Maintain(2.0, edge, after_s=28.0, lasts_s=60.0, moves=moves),
        Submit(10.0, "a", 4, seconds=50.0),
        Submit(40.0, "b", 8, seconds=1.0),
    )
    begin, end = (EPOCH + timedelta(seconds=s) for s in (30.5, 90.0))
    within = [attempt for attempt in attempts(world, edge=edge) if begin < attempt.created_at < end]
    assert within == []
    reasons = [attempt.spec.get("intentReason") for attempt in attempts(world, "a", edge)]
    moved = reasons.count("EdgeInMaintenance")
    assert moved == ((2 if edge else 4) if moves else 0)
    assert len(attempts(world, "a")) == 4 + moved


def test_windows_that_come_again_end_with_the_world() -> None:
    world = ran(Maintain(2.0, "", lasts_s=20.0, every_min=1, notice_s=5.0), Submit(8.0, "a", 40, seconds=2.0))
    for attempt in attempts(world):
        into_s = (attempt.created_at - EPOCH).total_seconds() % 60
        assert 20.0 <= into_s < 55.5
    assert due(world.nodes, "s", "edge-0", EPOCH + timedelta(hours=1)).intent == "use"
    capacity = world.nodes[inventory_path("s", "edge-0")].spec["capacity"]
    assert capacity["powerW"] == FULL_W, f"{POWER} is told from the start"
