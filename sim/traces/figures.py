"""What a schedule is worth: how full the edges were beside the bound, how long jobs waited, and whether groups had fair shares.

All of it is told from the schedule alone, and not by who made it.
"""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from datamodel.scheduling.order import share
from reconcilers.planning.backlog import Signature
from reconcilers.planning.turns import Terms
from reconcilers.planning.views import Edge
from sim.traces.bound import Work, bound_ms
from sim.traces.edges import capacity_of
from sim.traces.replay import Schedule, Span
from sim.traces.workload import Task

SLOWDOWN_MS = 10_000
"""Jobs that run for less count as long as this, so that the slowdown is not that of jobs which hardly run at all: Feitelson,
Metrics for parallel job scheduling and their convergence, 2001."""
CONTENDING = 0.1
"""Groups are compared that had something waiting beside others for so much of the time in which any two had."""

_NO_TERMS: Mapping[str, Terms] = {}


def figures(
    tasks: Sequence[Task], edges: Sequence[Edge], schedule: Schedule, terms: Mapping[str, Terms] = _NO_TERMS
) -> dict[str, Any]:
    """By name. `ofBoundPercent`: how long it takes at least, as the bound says, of how long it took; that is also what part the
    utilization is of the best possible one. `ofBoundBusyPercent`: the same of what was done until the last chunk began, so that
    the end, where there is nothing more to place, does not count."""
    if not schedule.spans:
        return {"jobs": 0, "refused": len(schedule.refused)}
    ends, starts = _by_task(schedule.spans)
    began_ms = min(tasks[number].submit_ms for number in ends)
    took_ms = max(ends.values()) - began_ms
    last_ms = max(starts.values()) - began_ms
    waits_ms = [starts[number] - tasks[number].submit_ms for number in ends]
    slowdowns = [_slowdown(tasks[number], ends[number]) for number in ends]
    return {
        "jobs": len(ends),
        "chunks": len(schedule.spans),
        "refused": len(schedule.refused),
        "makespanS": took_ms / 1000,
        **{f"{name}Percent": part for name, part in _used(tasks, edges, schedule.spans, took_ms).items()},
        "ofBoundPercent": _percent(bound_ms(_whole(tasks, ends, began_ms), edges), took_ms),
        "ofBoundBusyPercent": _percent(bound_ms(_until(tasks, schedule.spans, began_ms, last_ms), edges), last_ms),
        "waitMeanS": round(statistics.fmean(waits_ms) / 1000, 1),
        "waitP95S": _p95(waits_ms) / 1000,
        "slowdownMean": round(statistics.fmean(slowdowns), 2),
        "slowdownP95": round(_p95(slowdowns), 2),
        **fairness(tasks, edges, schedule.spans, terms),
    }


def fairness(
    tasks: Sequence[Task], edges: Sequence[Edge], spans: Sequence[Span], terms: Mapping[str, Terms] = _NO_TERMS
) -> dict[str, float]:
    """While several groups have something waiting, they ought to have dominant shares as their weights are: what each had of
    that, over time. `jain` is Jain's index of these (1: all alike), `unfairPercent` how far the furthest is off. Nothing where
    no two groups waited beside each other."""
    capacity = capacity_of(edges)
    had, due = defaultdict[str, float](float), defaultdict[str, float](float)
    beside_ms = Counter[str]()
    contended_ms = 0
    for moment in _moments(tasks, spans):
        groups = sorted(moment.waiting)
        if len(groups) < 2:
            continue
        contended_ms += moment.lasts_ms
        shares = {group: share(moment.used[group], capacity, 1.0) for group in groups}
        weights = {group: terms[group].weight if group in terms else 1.0 for group in groups}
        for group in groups:
            beside_ms[group] += moment.lasts_ms
            had[group] += shares[group] * moment.lasts_ms
            due[group] += sum(shares.values()) * weights[group] / sum(weights.values()) * moment.lasts_ms
    parts = [had[group] / due[group] for group in due if beside_ms[group] >= CONTENDING * contended_ms and due[group]]
    if len(parts) < 2:
        return {}
    jain = sum(parts) ** 2 / (len(parts) * sum(part**2 for part in parts))
    return {"jain": round(jain, 4), "unfairPercent": round(100 * max(abs(part - 1) for part in parts), 1)}


class _Moment(NamedTuple):
    """What is so for a while: by group, how many chunks wait (of those that have some), and what is in use."""

    lasts_ms: int
    waiting: Mapping[str, int]
    used: Mapping[str, Mapping[str, int]]


def _moments(tasks: Sequence[Task], spans: Sequence[Span]) -> Iterator[_Moment]:
    """One after the other; each holds until the next one is asked for."""
    changes: list[tuple[int, int, int, int]] = []  # when; of which task; more that wait; more that run
    chunks = Counter(span.task for span in spans)
    changes += [(tasks[number].submit_ms, number, count, 0) for number, count in chunks.items()]
    changes += [(span.start_ms, span.task, -1, 1) for span in spans]
    changes += [(span.end_ms, span.task, 0, -1) for span in spans]
    changes.sort(key=lambda change: change[0])
    sizes: dict[int, Signature] = {number: tasks[number].signature for number in chunks}
    waiting = Counter[str]()
    used: dict[str, Counter[str]] = defaultdict(Counter)
    for place, (at_ms, number, more_wait, more_run) in enumerate(changes):
        group = tasks[number].group
        waiting[group] += more_wait
        if not waiting[group]:
            del waiting[group]
        for name, amount in sizes[number] if more_run else ():
            used[group][name] += more_run * amount
        until_ms = changes[place + 1][0] if place + 1 < len(changes) else at_ms
        if until_ms > at_ms:
            yield _Moment(until_ms - at_ms, waiting, used)


def _by_task(spans: Sequence[Span]) -> tuple[dict[int, int], dict[int, int]]:
    """When each task ended, and when its last chunk began."""
    ends: dict[int, int] = {}
    starts: dict[int, int] = {}
    for span in spans:
        ends[span.task] = max(ends.get(span.task, 0), span.end_ms)
        starts[span.task] = max(starts.get(span.task, 0), span.start_ms)
    return ends, starts


def _whole(tasks: Sequence[Task], numbers: Mapping[int, int], began_ms: int) -> list[Work]:
    chosen = [tasks[number] for number in numbers]
    return [Work(task.submit_ms - began_ms, task.run_ms, task.chunks, task.signature) for task in chosen]


def _until(tasks: Sequence[Task], spans: Sequence[Span], began_ms: int, last_ms: int) -> list[Work]:
    """What was done of it until then."""
    found = []
    for span in spans:
        task, start_ms = tasks[span.task], span.start_ms - began_ms
        run_ms = min(span.end_ms - began_ms, last_ms) - start_ms
        found.append(Work(task.submit_ms - began_ms, run_ms, 1, task.signature))
    return found


def _used(tasks: Sequence[Task], edges: Sequence[Edge], spans: Sequence[Span], took_ms: int) -> dict[str, float]:
    """What part of each resource was in use, in percent."""
    used = Counter[str]()
    for span in spans:
        for name, amount in tasks[span.task].signature:
            used[name] += amount * (span.end_ms - span.start_ms)
    return {name: _percent(used[name], has * took_ms) for name, has in capacity_of(edges).items()}


def _slowdown(task: Task, end_ms: int) -> float:
    """How many times as long as it runs it took from its submission to its end."""
    return max(1.0, (end_ms - task.submit_ms) / max(task.run_ms, SLOWDOWN_MS))


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 2) if whole else 100.0


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]
