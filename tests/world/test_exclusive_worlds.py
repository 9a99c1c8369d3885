"""Worlds with exclusive jobs: what becomes of their chunks on edges that are cut off, killed or copied; and that it is seen
when two of them run at a time."""

import pytest
from msgspec.structs import replace

from datamodel.node import Node
from datamodel.scheduling import leases
from sim.world.script import AnyAction, Clone, Cut, Kill, Script, Submit
from sim.world.world import World

LEASE_S = 10.0


def ran(*actions: AnyAction, edges: int = 2, replicas: int = 1) -> World:
    world = World(Script(seed=1, edges=edges, replicas=replicas, seconds=240.0, slots=2, actions=actions))
    world.run()
    return world


def job(chunks: int, seconds: float = 60.0, at_s: float = 5.0) -> Submit:
    return Submit(at_s, "j", chunks, steps=2, seconds=seconds, retries=0, lease_s=LEASE_S)


def attempts(world: World) -> list[Node]:
    return [node for node in world.nodes.values() if node.kind == "Attempt"]


def over(world: World) -> set[str]:
    return {node.path for node in attempts(world) if node.spec.get("intentReason") == "LeaseOver"}


@pytest.mark.parametrize(
    "harm",
    [
        (Cut(20.0, "edge-0", 70.0),),
        (Cut(20.0, "edge-0", 70.0, down=False),),
        (Kill(20.0, "edge-0", 70.0),),
        (Cut(20.0, "edge-0", 70.0), Kill(25.0, "reconcilers-0", 5.0)),
    ],
    ids=["cut", "mute", "killed", "and the hub"],
)
def test_a_chunk_of_an_edge_that_is_away_goes_elsewhere_after_its_lease(harm: tuple[AnyAction, ...]) -> None:
    world = ran(job(4), *harm)
    assert world.outcome.broken == []
    left = over(world)
    assert left
    for path in left:
        (end,) = [
            line.at_s
            for line in world._engines["edge-0"].ledger
            if line.attempt == path.rpartition("/")[2] and line.what == "end" and line.code == 137
        ]
        assert end < 20.0 + LEASE_S + leases.GUARD_S
    (node,) = [node for node in world.nodes.values() if node.kind == "Job"]
    assert (node.phase, node.status["outputs"]["ran"]) == ("succeeded", 4), "no retry is spent"


def test_what_is_away_for_less_than_its_lease_goes_on() -> None:
    world = ran(job(4), Cut(20.0, "edge-0", 3.0), Kill(60.0, "edge-1", 2.0))
    assert world.outcome.broken == []
    assert not over(world)
    assert len(attempts(world)) == 4


def test_a_copy_of_an_agent_tells_nothing_of_what_the_other_may_run_before_that_has_ended() -> None:
    world = ran(job(2), Clone(20.0, "edge-0", 60.0), edges=1)
    assert world.outcome.broken == []
    (clone,) = world._faults.clones._engines.values()
    ended = max(line.at_s for line in world._engines["edge-0"].ledger if line.at_s < 60.0 and line.what == "end")
    begun = min(line.at_s for line in clone.ledger if line.what == "start")
    assert 20.0 < ended < begun


@pytest.mark.parametrize("edge", ["edge-0", "edge-1"])
def test_it_is_seen_where_an_engine_begins_what_another_one_runs(edge: str) -> None:
    actions: tuple[AnyAction, ...] = (job(1),)
    world = World(Script(seed=1, edges=2, replicas=1, seconds=240.0, slots=2, actions=actions))

    def begin_another() -> None:
        (running,) = [found for engine in world._engines.values() for found in engine.attempts.values()]
        name = f"{running.work.attempt.removesuffix('-1')}-2"
        world._engines[edge].lease(name, 60.0)
        world._engines[edge].start(replace(running.work, attempt=name), 0)

    world._universe.at(30.0, begin_another)
    broken = world.run().broken
    assert [what for what in broken if "of an exclusive job begins" in what] == broken[:1]
