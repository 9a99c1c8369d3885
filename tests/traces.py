"""Tasks for tests of replays, with what most of them leave as it is."""

from collections import defaultdict
from collections.abc import Sequence

from reconcilers.planning.views import Edge
from sim.traces.replay import Schedule
from sim.traces.workload import Task

MIB = 2**20


def task(
    submit_s: float = 0.0,
    run_s: float = 1.0,
    chunks: int = 1,
    *,
    cpu: float = 1.0,
    mib: int = 1,
    group: str = "g",
    priority: int = 50,
    together: bool = False,
) -> Task:
    requests = {"cpu": cpu, "memoryBytes": mib * MIB, "powerW": cpu}
    return Task(1, group, priority, round(submit_s * 1000), round(run_s * 1000), chunks, together, requests)


def told(schedule: Schedule) -> list[tuple[int, int, str, float, float]]:
    """Of each chunk its task, its index, its edge, and when it began and ended, in seconds."""
    spans = (
        (*span[:2], span.edge.rpartition("/")[2], span.start_ms / 1000, span.end_ms / 1000) for span in schedule.spans
    )
    return sorted(spans)


def check_kept(tasks: Sequence[Task], edges: Sequence[Edge], schedule: Schedule) -> None:
    """Every chunk that was not refused ran once, as long as it must, after it came; and no edge bore more than it has."""
    expected = {
        (number, chunk): task.run_ms
        for number, task in enumerate(tasks)
        if number not in schedule.refused
        for chunk in range(task.chunks)
    }
    assert {(span.task, span.chunk): span.end_ms - span.start_ms for span in schedule.spans} == expected
    assert len(schedule.spans) == len(expected)
    assert all(span.start_ms >= tasks[span.task].submit_ms for span in schedule.spans)
    used: dict[tuple[str, str], int] = defaultdict(int)
    capacity = {edge.path: edge.capacity for edge in edges}
    changes = [(span.end_ms, 0, span) for span in schedule.spans if span.end_ms > span.start_ms]
    changes += [(span.start_ms, 1, span) for span in schedule.spans if span.end_ms > span.start_ms]
    for _, begins, span in sorted(changes, key=lambda change: change[:2]):  # what ends makes room for what begins
        for name, amount in tasks[span.task].signature:
            used[span.edge, name] += amount if begins else -amount
            assert used[span.edge, name] <= capacity[span.edge][name]
