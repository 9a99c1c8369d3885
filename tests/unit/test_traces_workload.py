"""What a trace's lines become: jobs of chunks that an edge has room for, and edges as they are said in a line."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.errors import Invalid
from sim.traces.edges import FLEET, capacity_of, edges_of
from sim.traces.shipped import DAY_S, KINDS, LOAD, PROCESSORS, lines, trace_of
from sim.traces.swf import Record
from sim.traces.workload import PART, TOO_WIDE, UNKNOWN, Shape, Task, workload

KNOWN = Record(1, 0.5, None, 60.0, 4, None, None, 20, None, 1024.0, 1, None, 3, None, 1, None, None, None)


SHAPE = Shape()


def task(shape: Shape = SHAPE, **changes: Any) -> Task:
    (found,) = workload([KNOWN._replace(**changes)], shape, limit=9).tasks
    return found


def test_a_job_is_as_many_chunks_as_its_processors_need() -> None:
    found = task()
    assert found == Task(
        1, "g3", 50, 500, 60_000, 3, False, {"cpu": 20 / 3, "memoryBytes": 6_990_507, "powerW": pytest.approx(100 / 3)}
    )
    assert found.signature == (("cpu", 6_667), ("memory", 6_990_507), ("power", 33_334))
    assert task(asked_processors=8).chunks == 1
    assert task(asked_processors=9, processors=1).chunks == 2


def test_what_was_used_stands_in_for_what_was_not_asked_for() -> None:
    found = task(asked_processors=None, asked_memory_kb=None, memory_kb=2048.0)
    assert (found.chunks, found.requests["cpu"], found.requests["memoryBytes"]) == (1, 4.0, 8 * 2**20)
    assert task(asked_memory_kb=None).requests["memoryBytes"] == pytest.approx(2**26 * 20 / 3, abs=1)


def test_interactive_jobs_go_before_others() -> None:
    assert (task(queue=0).priority, task(queue=None).priority) == (100, 50)
    assert (task(group=None).group, task(group=7).group) == ("default", "g7")


def test_chunks_begin_together_only_where_that_is_asked_for() -> None:
    assert task(Shape(together=True)).together
    assert not task(Shape(width=20, together=True)).together, "it is alone"


def test_lines_that_are_no_jobs_are_counted_by_reason() -> None:
    records = [
        KNOWN._replace(status=2),
        KNOWN._replace(status=4),
        KNOWN._replace(run_s=None),
        KNOWN._replace(submit_s=None),
        KNOWN._replace(asked_processors=0, processors=None),
        KNOWN._replace(asked_processors=8 * 1_001),
        KNOWN,
    ]
    found = workload(records, Shape(together=True), limit=9)
    assert found.left_out == Counter({PART: 2, UNKNOWN: 3, TOO_WIDE: 1})
    assert len(found.tasks) == 1
    assert found.whole


def test_no_more_jobs_are_read_than_asked_for() -> None:
    taken = iter([KNOWN, KNOWN, KNOWN, KNOWN])
    found = workload(taken, Shape(), limit=2)
    assert ([one.number for one in found.tasks], found.whole) == ([1, 2], False)
    assert len(list(taken)) == 1
    assert workload([KNOWN, KNOWN], Shape(), limit=2).whole


@given(st.integers(1, 10**5), st.integers(1, 4_096))
def test_chunks_are_equal_no_wider_than_said_and_together_what_the_job_is(processors: int, width: int) -> None:
    found = task(Shape(width), asked_processors=processors)
    assert found.requests["cpu"] <= width
    assert found.chunks * found.requests["cpu"] == pytest.approx(processors)
    assert found.chunks * dict(found.signature)["cpu"] <= 1_000 * processors + found.chunks


def test_edges_are_what_the_line_says() -> None:
    edges = edges_of("2x8:16, 1x32:256")
    assert [(edge.site, edge.capacity["cpu"], edge.capacity["memory"] // 2**30) for edge in edges] == [
        ("s0", 8_000, 16),
        ("s0", 8_000, 16),
        ("s1", 32_000, 256),
    ]
    assert len({edge.path for edge in edges}) == 3
    assert capacity_of(edges) == {"cpu": 48_000, "memory": 288 * 2**30, "power": 240_000}


@pytest.mark.parametrize("text", ["", "8", "0x8:16", "1x8", "1x8:16,", "1x9999:16", "60000x1:1,60000x1:1", "-1x8:16"])
def test_edges_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        edges_of(text)


@pytest.mark.parametrize("name", KINDS)
def test_a_synthetic_trace_is_the_same_each_time_and_more_than_the_edges_bear(name: str) -> None:
    assert list(lines(name)) == list(lines(name))
    assert capacity_of(edges_of(FLEET))["cpu"] == 1_000 * PROCESSORS
    found = workload(trace_of(name), Shape(), limit=10**6)
    assert not found.left_out
    work_s = sum(one.chunks * one.requests["cpu"] * one.run_ms / 1000 for one in found.tasks)
    assert work_s == pytest.approx(LOAD * PROCESSORS * DAY_S, rel=0.03)
    assert {one.group for one in found.tasks} == {f"g{kind.group}" for kind in KINDS[name]}
