"""Policies and orders beside each other on the synthetic traces: how near the edges' utilization comes to a bound on the best
possible, how long jobs wait, and how fair groups' shares are. In virtual time, so it says the same on every machine.
"""

from typing import Any

from datamodel.scheduling.scheduler import ARRIVAL, BEST_FIT, FAIR_SHARE, FIRST_FIT, POWER_AWARE, PRIORITY, SPREAD
from sim.traces.edges import FLEET, edges_of
from sim.traces.figures import figures
from sim.traces.replay import Manner, replay
from sim.traces.shipped import KINDS, trace_of
from sim.traces.workload import JOBS_LIMIT, Shape, workload

BAR_PERCENT = 95.0
"""Of the best possible utilization, with what is chosen where nobody chooses."""
MANNERS = (
    Manner(BEST_FIT, FAIR_SHARE),
    Manner(FIRST_FIT, FAIR_SHARE),
    Manner(SPREAD, FAIR_SHARE),
    Manner(POWER_AWARE, FAIR_SHARE),
    Manner(BEST_FIT, PRIORITY),
    Manner(BEST_FIT, ARRIVAL),
)
TOLD = (
    "cpuPercent",
    "ofBoundPercent",
    "ofBoundBusyPercent",
    "waitMeanS",
    "waitP95S",
    "slowdownMean",
    "jain",
    "unfairPercent",
)


async def compared(jobs: int = JOBS_LIMIT) -> dict[str, Any]:
    """The figures by trace and manner, of the first so many jobs, and whether the bar was held."""
    edges, found = edges_of(FLEET), dict[str, Any]()
    for name in KINDS:
        tasks = workload(trace_of(name), Shape(), limit=jobs).tasks
        groups = {task.group for task in tasks}
        for manner in MANNERS:
            if manner.order != FAIR_SHARE and len(groups) == 1:
                continue  # they all wait in one line then
            made = figures(tasks, edges, replay(tasks, edges, manner))
            found[f"{name}/{manner.policy}/{manner.order}"] = {key: made[key] for key in TOLD if key in made}
        of_bound = found[f"{name}/{BEST_FIT}/{FAIR_SHARE}"]["ofBoundPercent"]
        found[f"{name}/bar"] = {"barPercent": BAR_PERCENT, "held": of_bound >= BAR_PERCENT}
    return found
