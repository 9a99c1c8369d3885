"""What is told of a schedule: by hand, where it is known."""

import pytest

from reconcilers.planning.turns import Terms
from sim.traces.edges import edges_of
from sim.traces.figures import fairness, figures
from sim.traces.replay import Manner, Schedule, Span, replay
from tests.traces import task

EDGES = edges_of("1x4:8")


def spans(*said: tuple[int, float, float]) -> list[Span]:
    return [
        Span(number, sum(one[0] == number for one in said[:place]), "e", round(1000 * start), round(1000 * end))
        for place, (number, start, end) in enumerate(said)
    ]


def test_the_figures_of_a_schedule_that_is_known() -> None:
    """Four processors: a chunk of four for 10 s, then two of one, of which the second begins late."""
    tasks = [task(5, 10, cpu=4), task(5, 20, chunks=2)]
    found = figures(tasks, EDGES, Schedule(spans((0, 5, 15), (1, 15, 35), (1, 25, 45)), frozenset()))
    assert found["makespanS"] == 40
    assert found["cpuPercent"] == 50.0
    assert found["ofBoundPercent"] == 50.0, "20 s of all processors, and as long as the longest runs"
    assert found["ofBoundBusyPercent"] == 62.5, "40 + 10 processor seconds in 20 s"
    assert (found["waitMeanS"], found["waitP95S"]) == (10.0, 20.0)
    assert (found["slowdownMean"], found["slowdownP95"]) == (1.5, 2.0)
    assert (found["jobs"], found["chunks"]) == (2, 3)


def test_what_hardly_runs_does_not_count_as_slowed_down_beyond_measure() -> None:
    found = figures([task(0, 0.01)], EDGES, Schedule(spans((0, 20, 20.01)), frozenset()))
    assert found["slowdownMean"] == 2.0


def test_groups_that_wait_beside_each_other_ought_to_have_equal_shares() -> None:
    """`a` has three processors and `b` one for 10 s, while both have more that waits; what follows does not count."""
    tasks = [task(0, 10, chunks=4, group="a"), task(0, 10, chunks=2, group="b")]
    ran = spans((0, 0, 10), (0, 0, 10), (0, 0, 10), (1, 0, 10), (1, 10, 20), (0, 10, 20))
    assert fairness(tasks, EDGES, ran) == {"jain": pytest.approx(0.8), "unfairPercent": 50.0}
    assert fairness(tasks, EDGES, ran, {"a": Terms(weight=3.0)}) == {"jain": 1.0, "unfairPercent": 0.0}


def test_who_wants_no_more_is_not_treated_unfairly() -> None:
    tasks = [task(0, 10, chunks=9, group="a"), task(0, 10, group="b")]
    found = replay(tasks, EDGES, Manner())
    assert fairness(tasks, EDGES, found.spans) == {}
