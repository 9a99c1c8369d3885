"""Replaying traces: small ones by hand, and for any that all work is done, nothing is overloaded, and no bound is beaten."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.scheduling.scheduler import ARRIVAL, BEST_FIT, FAIR_SHARE, FIRST_FIT, POWER_AWARE, PRIORITY, SPREAD
from reconcilers.planning.views import Edge
from sim.traces.edges import edges_of
from sim.traces.figures import figures
from sim.traces.replay import Manner, replay
from sim.traces.shipped import KINDS, trace_of
from sim.traces.workload import Shape, Task, workload
from tests.traces import check_kept, task, told

E0, E1 = "e00000", "e00001"


def test_what_has_no_room_begins_when_something_ends() -> None:
    tasks = [task(0, 10, cpu=3), task(1, 5, cpu=2), task(2, 1)]
    found = replay(tasks, edges_of("1x4:8"), Manner())
    assert told(found) == [(0, 0, E0, 0, 10), (1, 0, E0, 10, 15), (2, 0, E0, 2, 3)]


def test_chunks_begin_one_by_one_or_all_together() -> None:
    edges = edges_of("1x2:8")
    tasks = [task(0, 4), task(1, 2, chunks=2)]
    assert told(replay(tasks, edges, Manner())) == [(0, 0, E0, 0, 4), (1, 0, E0, 1, 3), (1, 1, E0, 3, 5)]
    gang = [tasks[0], tasks[1]._replace(together=True)]
    assert told(replay(gang, edges, Manner())) == [(0, 0, E0, 0, 4), (1, 0, E0, 4, 6), (1, 1, E0, 4, 6)]


def test_a_policy_says_where() -> None:
    """A small edge and a large one."""
    edges = edges_of("1x8:8,1x2:8")
    expected = {BEST_FIT: E1, FIRST_FIT: E0, SPREAD: E0, POWER_AWARE: E0}
    for policy, edge in expected.items():
        assert told(replay([task()], edges, Manner(policy))) == [(0, 0, edge, 0, 1)]


def test_an_order_says_who() -> None:
    """Two places, of which `a` has one for longer than the rest takes; and who came last is urgent."""
    edges = edges_of("1x2:8")
    tasks = [
        task(0, 30, group="a"),
        task(0, 10, group="c"),
        task(1, 1, group="a"),
        task(2, 1, group="b"),
        task(3, 1, group="a", priority=100),
    ]
    later = {}
    for order in (FAIR_SHARE, PRIORITY, ARRIVAL):
        spans = replay(tasks, edges, Manner(order=order)).spans
        later[order] = [span.task for span in sorted(spans, key=lambda span: span.start_ms)][2:]
    assert later == {FAIR_SHARE: [3, 4, 2], PRIORITY: [4, 2, 3], ARRIVAL: [2, 3, 4]}


def test_what_no_edge_ever_has_room_for_is_refused_and_keeps_nobody_waiting() -> None:
    edges = edges_of("2x4:8")
    tasks = [task(cpu=5), task(mib=9_000), task(chunks=3, cpu=3, together=True), task(chunks=3, cpu=3), task()]
    found = replay(tasks, edges, Manner())
    assert found.refused == {0, 1, 2}
    check_kept(tasks, edges, found)
    assert figures(tasks, edges, found)["refused"] == 3


def test_what_takes_no_time_makes_room_at_once() -> None:
    found = replay([task(0, 0, chunks=3), task(0, 1)], edges_of("1x1:8"), Manner())
    assert told(found) == [(0, 0, E0, 0, 0), (0, 1, E0, 0, 0), (0, 2, E0, 0, 0), (1, 0, E0, 0, 1)]


def test_nothing_comes_of_nothing() -> None:
    edges = edges_of("1x1:1")
    found = replay([], edges, Manner())
    assert (found.spans, found.refused) == ([], frozenset())
    assert figures([], edges, found) == {"jobs": 0, "refused": 0}


_tasks = st.lists(
    st.builds(
        task,
        st.integers(0, 20),
        st.integers(0, 8),
        st.integers(1, 6),
        cpu=st.sampled_from([0.5, 1.0, 2.5, 4.0, 9.0]),
        mib=st.sampled_from([1, 1_500, 3_000, 7_000]),
        group=st.sampled_from("abc"),
        priority=st.sampled_from([0, 50, 100]),
        together=st.booleans(),
    ),
    max_size=25,
).map(lambda tasks: sorted(tasks, key=lambda one: one.submit_ms))
_edges = st.sampled_from(["1x4:8", "3x2:2,1x8:4", "2x1:1,2x4:16,1x8:8"]).map(edges_of)
_manners = st.builds(
    Manner,
    st.sampled_from([BEST_FIT, FIRST_FIT, SPREAD, POWER_AWARE]),
    st.sampled_from([FAIR_SHARE, PRIORITY, ARRIVAL]),
    st.sampled_from([0.0, 1.0, 60.0]),
    st.sampled_from([0.0, 0.005, 60.0]),
)


@given(_tasks, _edges, _manners)
def test_all_work_is_done_and_no_edge_bears_more_than_it_has(
    tasks: list[Task], edges: list[Edge], manner: Manner
) -> None:
    found = replay(tasks, edges, manner)
    check_kept(tasks, edges, found)
    for number, one in enumerate(tasks):
        starts = {span.start_ms for span in found.spans if span.task == number}
        assert len(starts) <= 1 or not one.together
    assert replay(tasks, edges, manner) == found, "the same again"


@given(_tasks, _edges, _manners)
def test_no_schedule_is_better_than_the_bound(tasks: list[Task], edges: list[Edge], manner: Manner) -> None:
    found = figures(tasks, edges, replay(tasks, edges, manner))
    if found["jobs"]:
        assert 0 < found["ofBoundPercent"] <= 100 or not found["makespanS"]
        assert found["ofBoundBusyPercent"] <= 100
        assert max(found["cpuPercent"], found["memoryPercent"], found["powerPercent"]) <= found["ofBoundPercent"] + 0.01


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("together", [False, True])
def test_the_synthetic_traces_are_replayed_as_any(name: str, *, together: bool) -> None:
    """The beginning of them, which the edges do not bear."""
    edges = edges_of("3x8:16,1x32:128")
    tasks = workload(trace_of(name), Shape(together=together), limit=400).tasks
    found = replay(tasks, edges, Manner())
    check_kept(tasks, edges, found)
    assert figures(tasks, edges, found)["ofBoundPercent"] <= 100
