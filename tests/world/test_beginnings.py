"""Worlds in which jobs wait for others and for moments, are made by schedules, and go by themselves, while the hub falls."""

from datetime import timedelta

from datamodel.names import last_name
from datamodel.node import Node
from sim.world.process import EPOCH
from sim.world.script import AnyAction, Ask, Delete, Kill, Plan, Replan, Script, Submit
from sim.world.world import World


def held(*actions: AnyAction, seconds: float, replicas: int = 1, edges: int = 1) -> dict[str, Node]:
    """The nodes by name of a world in which nothing was wrong in the end."""
    world = World(Script(seed=7, edges=edges, replicas=replicas, seconds=seconds, actions=actions))
    assert world.run().broken == []
    return {last_name(path): node for path, node in world.nodes.items() if node.kind in ("Job", "Schedule")}


def at(seconds: float) -> str:
    return (EPOCH + timedelta(seconds=seconds)).isoformat()


def test_a_chain_runs_in_order_and_from_its_moment_on() -> None:
    found = held(
        Submit(10.0, "a", 2, seconds=5.0),
        Submit(11.0, "b", 2, after=("a",)),
        Submit(12.0, "c", 1, after=("a", "b"), start_s=60.0),
        Submit(13.0, "d", 1, fails=1, retries=0),
        Submit(14.0, "e", 1, after=("d",)),
        Submit(15.0, "f", 1, after=("d", "e"), on="finished"),
        seconds=90.0,
    )
    assert [found[name].phase for name in "abcdef"] == ["succeeded"] * 3 + ["failed", "failed", "succeeded"]
    assert found["a"].status["finishedAt"] <= found["b"].status["readyAt"] <= at(20)
    assert at(60) <= found["c"].status["readyAt"] < at(61)
    assert found["e"].status["conditions"][0]["message"] == "after/0: d has failed"
    assert found["f"].status["after"] == ["d", "e"]


def test_who_waits_and_who_is_to_go_is_not_forgotten_by_a_hub_that_starts_anew() -> None:
    found = held(
        Submit(10.0, "a", 1, seconds=10.0, ttl_s=20.0),
        Submit(11.0, "b", 1, after=("a",), start_s=50.0),
        Submit(12.0, "c", 1, after=("a",)),
        Kill(15.0, "reconcilers-0", 100.0),
        Ask(150.0, "b", "suspend"),
        seconds=180.0,
    )
    assert "a" not in found
    assert found["b"].phase == found["c"].phase == "succeeded", "they have seen that it had succeeded"
    assert found["b"].status["readyAt"] >= at(115)


def test_a_schedule_makes_one_job_a_minute_and_makes_up_for_the_newest_that_it_missed() -> None:
    found = held(
        Plan(20.0, "p", seconds=5.0, keep=9),
        Kill(110.0, "reconcilers-0", 140.0),
        Kill(110.0, "reconcilers-1", 140.0),
        Replan(330.0, "p", suspended=True),
        Replan(430.0, "p", suspended=False),
        seconds=500.0,
        replicas=2,
    )
    minutes = [int(name[-2:]) for name, node in sorted(found.items()) if node.kind == "Job"]
    assert minutes == [1, 4, 5, 8], "two and three were missed, six and seven while it was suspended"
    assert found["p"].status["counts"] == {"made": 4}
    late = found["p-203001010004"]
    assert late.created_at >= EPOCH + timedelta(seconds=250)


def test_what_is_left_out_replaced_and_too_late_is_counted() -> None:
    found = held(
        Plan(20.0, "left", seconds=90.0, concurrency="forbid", keep=9),
        Plan(20.0, "anew", seconds=150.0, concurrency="replace", keep=9),
        Plan(20.0, "late", seconds=1.0, deadline_s=20.0, keep=9),
        Kill(295.0, "reconcilers-0", 50.0),
        seconds=350.0,
    )
    assert found["left"].status["counts"] == {"made": 3, "skipped": 2}
    assert found["late"].status["counts"] == {"made": 4, "missed": 1}
    phases = [node.phase for name, node in sorted(found.items()) if name.startswith("anew-")]
    assert phases == ["aborted"] * 4 + ["succeeded"]


def test_only_what_is_kept_stays_and_what_somebody_deletes_is_not_made_again() -> None:
    found = held(
        Plan(20.0, "p", seconds=1.0, keep=1),
        Submit(50.0, "q", 1),
        Delete(200.0, "q"),
        seconds=290.0,
    )
    assert [name for name, node in found.items() if node.kind == "Job"] == ["p-203001010004"]
    assert found["p"].status["counts"] == {"made": 4}
