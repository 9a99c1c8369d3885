"""Jobs and edges for tests of placement's plan, and the plan itself with what most of them leave as it is."""

from collections.abc import Mapping, Sequence

from datamodel.scheduling.placing import ANYWHERE, Rules
from datamodel.scheduling.scheduler import ARRIVAL, FIRST_FIT, PRIORITY_DEFAULT
from reconcilers.planning.backlog import Arranged, Backlog, Chunk, PendingJob, wanted_of
from reconcilers.planning.decisions import Decision, Plan
from reconcilers.planning.fleet import Fleet
from reconcilers.planning.placement import plan
from reconcilers.planning.turns import Terms
from reconcilers.planning.usage import Held, Usage
from reconcilers.planning.views import Edge

MIB = 2**20


def pending(
    order: int,
    *,
    chunks: int = 1,
    cpu: int = 1000,
    begun: int = 0,
    retries: Sequence[Chunk] = (),
    group: str = "default",
    rank: float = 0.0,
    rules: Rules = ANYWHERE,
    room: int | None = None,
    arrangement: Arranged | None = None,
    together: bool = False,
    asks: Mapping[str, int] | None = None,
    priority: int = PRIORITY_DEFAULT,
    most: int | None = None,
) -> PendingJob:
    """A job that waits: amounts are those of pools."""
    signature = tuple(sorted({"cpu": cpu, "memory": MIB, "power": 1_000, **(asks or {})}.items()))
    path = f"/config/job-groups/{group}/jobs/j{order}"
    return PendingJob(
        path,
        f"{order:032x}",
        order,
        chunks,
        wanted_of(signature, rules),
        begun,
        tuple(retries),
        rank,
        room,
        arrangement,
        together,
        priority=priority,
        most=most,
    )


def backlog(*jobs: PendingJob) -> Backlog:
    waiting = Backlog()
    for one in jobs:
        waiting.put(one)
    return waiting


def place(number: int, site: str = "s") -> str:
    return f"/desired-config/sites/{site}/edges/e{number}"


def edge(
    number: int,
    cpu: int = 1000,
    *,
    site: str = "s",
    labels: Mapping[str, str] | None = None,
    carbon: float | None = None,
    more: Mapping[str, int] | None = None,
) -> tuple[Edge, Mapping[str, int]]:
    """An edge of which nothing is in use."""
    has = {"cpu": cpu, "memory": 100 * MIB, "power": 100_000, **(more or {})}
    known = {"tendril/site": site, "tendril/edge": f"e{number}", "tendril/runtime": "docker", **(labels or {})}
    return Edge(place(number, site), site, known, has, carbon), has


def fleet(*edges: tuple[Edge, Mapping[str, int]], policy: str = FIRST_FIT) -> Fleet:
    there = Fleet(policy)
    for one, free in edges:
        there.put(one, free)
    return there


def holding(*attempts: tuple[PendingJob, str]) -> Usage:
    """What so many attempts at chunks of these jobs hold, on these edges."""
    usage = Usage()
    for number, (job, where) in enumerate(attempts):
        usage.add(f"{where}/attempts/{number}", Held(job.path, where, job.signature, job.priority))
    return usage


def planned(
    waiting: Backlog,
    there: Fleet,
    *,
    usage: Usage | None = None,
    groups: Mapping[str, Terms] | None = None,
    order: str = ARRIVAL,
    limit: int = 100,
) -> Plan:
    with there.draft():
        return plan(waiting, there, usage or Usage(), groups or {}, order=order, limit=limit)


def told(decisions: Sequence[Decision]) -> list[tuple[int, int, int, str]]:
    """Of each decision the job's order, the chunk's index and epoch, and the edge's name."""
    return [(d.job.order, d.chunk.index, d.chunk.epoch, d.edge.rpartition("/")[2]) for d in decisions]


def carried_out(found: Plan, waiting: Backlog, there: Fleet, usage: Usage) -> None:
    """Makes what was decided so."""
    for decision in found.decisions:
        job = waiting.get(decision.job.path)
        assert job is not None, "it waited"
        usage.add(decision.attempt, Held(job.path, decision.edge, job.signature, job.priority))
        there.take(decision.edge, job.signature)
        waiting.put(job.without([decision.chunk]))
