"""How fast placement decides, alone on one core: without a store, a feed or an edge."""

import time
from collections.abc import Mapping
from random import Random
from typing import Any

from datamodel.scheduling.scheduler import BEST_FIT, FAIR_SHARE, FIRST_FIT, POWER_AWARE, PRIORITY, SPREAD
from reconcilers.placement import ROUND
from reconcilers.planning.backlog import Backlog, PendingJob, Signature, wanted_of
from reconcilers.planning.fleet import Fleet
from reconcilers.planning.placement import plan
from reconcilers.planning.usage import Usage
from reconcilers.planning.views import Edge
from sim.bench.report import latencies
from sim.yard import Yard

EDGES, SITES = 10_000, 100
GROUPS = 20
SIZES = 50
CHUNKS = 100_000
OF_A_JOB = 100
PENDING = 1_000_000
URGENT = 300
MIB = 2**20


async def planned() -> dict[str, Any]:
    """100,000 chunks of 50 sizes for 10,000 edges with each policy, all at once and in rounds as placement has them: decisions
    a second of one core, what comes of them not counted. And how long it takes to decide on a job that goes before a million
    others, none of which has room."""
    found: dict[str, Any] = {}
    for policy in (BEST_FIT, FIRST_FIT, SPREAD, POWER_AWARE):
        for name, limit in (("", CHUNKS), ("Rounds", ROUND)):
            yard = Yard(_backlog(CHUNKS // OF_A_JOB, OF_A_JOB), _fleet(policy), Usage())
            count, seconds = _rounds(yard, limit)
            found[f"{policy}{name}PerS"] = round(count / seconds)
            found[f"{policy}{name}Placed"] = count
    return {"planner": found, "plannerUrgentMs": latencies(_urgent())}


def _fleet(policy: str) -> Fleet:
    dice, fleet = Random(EDGES), Fleet(policy)  # noqa: S311 - figures that can be repeated
    for number in range(EDGES):
        site = f"s{number % SITES:03}"
        memory_gib, power_w = dice.choice((16, 32, 64)), dice.choice((37, 100, 200))
        has = {"cpu": dice.choice((8, 16, 32)) * 1_000, "memory": memory_gib * 1_024 * MIB, "power": power_w * 1_000}
        labels = {"tendril/site": site, "tendril/edge": f"e{number:05}", "tendril/runtime": "simulated"}
        fleet.put(Edge(f"/desired-config/sites/{site}/edges/e{number:05}", site, labels, has), has)
    return fleet


def _sizes() -> list[Signature]:
    dice = Random(SIZES)  # noqa: S311 - as above
    return [
        (
            ("cpu", dice.randrange(100, 4_000, 100)),
            ("memory", dice.randrange(64, 4_096, 64) * MIB),
            ("power", dice.randrange(500, 8_000, 500)),
        )
        for _ in range(SIZES)
    ]


def _backlog(jobs: int, chunks: int) -> Backlog:
    backlog, sizes = Backlog(), _sizes()
    for order in range(jobs):
        backlog.put(_job(order, chunks, sizes[order % SIZES]))
    return backlog


def _job(order: int, chunks: int, size: Signature, rank: float = 0.0) -> PendingJob:
    path = f"/config/job-groups/g{order % GROUPS:02}/jobs/j{order}"
    return PendingJob(path, f"{order:032x}", order, chunks, wanted_of(size), 0, rank=rank)


def _rounds(yard: Yard, limit: int) -> tuple[int, float]:
    """How many chunks were placed until nothing had room, and how long the deciding took of a core."""
    count, seconds = 0, 0.0
    while True:
        start_s = time.process_time()
        found = plan(yard.backlog, yard.fleet, yard.usage, {}, order=FAIR_SHARE, limit=limit)
        seconds += time.process_time() - start_s
        yard.carry_out(found)
        if not found.decisions:
            return count, seconds
        count += len(found.decisions)


def _urgent() -> list[float]:
    """Seconds from the job to the decision. Each time something ends on some edge, and the job gets what it leaves."""
    yard = Yard(_backlog(PENDING, 1), _fleet(BEST_FIT), Usage())
    _rounds(yard, ROUND)
    dice, sizes, taken = Random(PENDING), _sizes(), []  # noqa: S311 - as above
    for number in range(URGENT):
        path = dice.choice(list(yard.fleet.edges))
        size = sizes[number % SIZES]
        yard.fleet.set_free(path, _more(yard.fleet.free(path), dict(size)))
        start_s = time.perf_counter()
        yard.backlog.put(_job(PENDING + number, 1, size, rank=-1.0))
        found = plan(yard.backlog, yard.fleet, yard.usage, {}, order=PRIORITY, limit=ROUND)
        taken.append(time.perf_counter() - start_s)
        assert found.decisions[0].job.order == PENDING + number, "it goes before all others"
        yard.carry_out(found)
    return taken


def _more(free: Mapping[str, int], amounts: Mapping[str, int]) -> dict[str, int]:
    return {name: amount + amounts.get(name, 0) for name, amount in free.items()}
