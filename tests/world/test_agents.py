"""Worlds whose agents have full disks and clones: what they begin, who is believed, what becomes of what ended meanwhile."""

from datamodel.node import Node
from sim.world.script import AnyAction, Clone, Cut, Full, Kill, Script, Submit
from sim.world.world import World


def attempts(world: World) -> list[Node]:
    return [node for node in world.nodes.values() if node.kind == "Attempt"]


def ran(*actions: AnyAction, edges: int = 1, slots: int = 4) -> World:
    world = World(Script(seed=1, edges=edges, replicas=1, seconds=180.0, slots=slots, actions=actions))
    outcome = world.run()
    assert outcome.broken == []
    return world


def starts(world: World, edge: str = "edge-0") -> list[float]:
    return [line.at_s for line in world._engines[edge].ledger if (line.what, line.step) == ("start", 0)]


def test_what_ends_while_the_disk_is_full_is_told_once_there_is_room_and_nothing_is_begun_until_then() -> None:
    world = ran(Submit(5.0, "a", 2, seconds=20.0), Full(10.0, "edge-0", 60.0), Submit(30.0, "b", 2, seconds=5.0))
    assert [at_s < 10.0 for at_s in starts(world)] == [True, True, False, False]
    assert min(at_s for at_s in starts(world) if at_s > 10.0) > 70.0
    assert {attempt.phase for attempt in attempts(world)} == {"succeeded"}
    assert len(attempts(world)) == 4, "nothing ran twice"


def test_an_agent_that_is_killed_meanwhile_is_followed_by_one_that_finds_what_ended() -> None:
    world = ran(Submit(5.0, "a", 2, seconds=20.0), Full(10.0, "edge-0", 60.0), Kill(40.0, "edge-0", 2.0))
    assert len(attempts(world)) == 2
    assert {attempt.phase for attempt in attempts(world)} == {"succeeded"}


def test_of_a_host_and_its_clone_one_is_believed_and_what_both_run_is_counted_once() -> None:
    world = ran(
        Submit(5.0, "a", 4, seconds=20.0),
        Clone(12.0, "edge-0", 40.0),
        Submit(30.0, "b", 8, seconds=3.0),
        Submit(60.0, "c", 4, seconds=3.0),
        edges=2,
    )
    (clone,) = world._faults.clones._engines.values()
    assert any(line.what == "start" for line in clone.ledger), "the one that was started last goes on"
    for name, chunks in (("a", 4), ("b", 8), ("c", 4)):
        job = next(node for path, node in world.nodes.items() if path.endswith(f"/jobs/{name}"))
        assert (job.phase, job.status["outputs"]["ran"]) == ("succeeded", chunks)


def test_operators_see_a_clone_at_its_edge_while_it_is_there() -> None:
    world = World(Script(seed=1, edges=1, replicas=1, seconds=100.0, slots=4, actions=(Clone(10.0, "edge-0", 50.0),)))
    seen: list[str] = []
    world._universe.at(
        45.0, lambda: seen.append(world.nodes["/inventory/sites/s/edges/edge-0"].status["clone"]["host"])
    )
    assert world.run().broken == []
    assert seen == ["edge-0"]
    assert "clone" not in world.nodes["/inventory/sites/s/edges/edge-0"].status


def test_the_edge_may_be_cut_off_while_its_clone_begins() -> None:
    world = ran(Submit(5.0, "a", 4, seconds=10.0), Cut(8.0, "edge-0", 30.0), Clone(12.0, "edge-0", 60.0), edges=2)
    job = next(node for path, node in world.nodes.items() if path.endswith("/jobs/a"))
    assert (job.phase, job.status["outputs"]["ran"]) == ("succeeded", 4)
