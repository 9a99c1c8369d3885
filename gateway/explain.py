"""Why a job is as it is: what its chunks wait for, why no edge takes them, and what has failed."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from datamodel.errors import NotFound
from datamodel.kinds import Document
from datamodel.ledger import Entry, Totals
from datamodel.node import Node
from datamodel.ports import Placement
from datamodel.scheduling.answers import EDGES_LIMIT, Asked, Described, EdgesThat, answers, beside, described
from datamodel.scheduling.attempts import PLACED, RETRY, WHY_GIVEN_UP
from datamodel.scheduling.counts import RETRYING, chunk_counts, is_over
from datamodel.scheduling.edges import ONLINE, inventory_path, place_of
from datamodel.scheduling.ending import is_ending
from datamodel.scheduling.forecasts import Foresight
from datamodel.scheduling.groups import group_path
from datamodel.scheduling.jobs import FAILED, FINISHED, PENDING, RUN, RUNNING
from datamodel.scheduling.scheduler import SCHEDULER
from datamodel.scheduling.tries import is_final, rest_s
from gateway.backend import Backend
from gateway.explanation import (
    Explanation,
    FailedChunk,
    Unheard,
    summary,
    waits_for,
)

PAGE = 1_000
FAILURES_SHOWN = 10


async def explained(backend: Backend, path: str) -> Explanation:
    """The explanation of a job as it is now. Raises `NotFound`."""
    found = await explanations(backend, [path])
    if path not in found:
        raise NotFound(f"{path} does not exist")
    return found[path]


async def explanations(backend: Backend, paths: Collection[str]) -> dict[str, Explanation]:
    """By path, those of the jobs that there are at these paths, by as many reads for many as for one."""
    nodes = await backend.store.nodes(paths)
    known = await backend.store.totals([job.uid for job in nodes.values()])
    jobs = [(job, known.get(job.uid, Totals())) for job in nodes.values()]
    edges = await _edges_of(backend, [job for job, totals in jobs if _waits(job, totals)])
    failures = await _failures(backend, jobs)
    unheard = await _unheard(backend, [job for job, of in jobs if of.phases.get(PLACED) or of.phases.get(RUNNING)])
    return {
        job.path: _explanation(job, totals, edges.get(job.uid, []), failures.get(job.uid, []), unheard.get(job.uid, []))
        for job, totals in jobs
    }


def _explanation(
    job: Node, totals: Totals, edges: list[EdgesThat], failures: list[FailedChunk], unheard: list[Unheard]
) -> Explanation:
    counts = chunk_counts(job, job.phase, totals)
    return Explanation(
        path=job.path,
        phase=job.phase or PENDING,
        intent=job.spec.get("intent", RUN),
        summary=summary(job, counts, edges, failures, unheard),
        chunks=counts,
        edges=edges,
        failures=failures,
        unheard=unheard,
    )


def _waits(job: Node, totals: Totals) -> bool:
    """Whether chunks of a job wait for an edge."""
    counts = chunk_counts(job, job.phase, totals)
    if job.phase in FINISHED or is_ending(job) or job.deletion_requested_at is not None:
        return False
    is_to_run = job.spec.get("intent", RUN) == RUN
    return is_to_run and bool(counts.get(PENDING) or counts.get(RETRYING)) and waits_for(job) is None


async def _edges_of(backend: Backend, jobs: Sequence[Node]) -> dict[str, list[EdgesThat]]:
    """By uid, what all edges say to these jobs. Each edge is read once, and asked once for all jobs that ask for the same."""
    if not jobs:
        return {}
    above = await backend.store.nodes({SCHEDULER, *(group_path(job.path) for job in jobs)})
    edges = await _all_edges(backend, Foresight.of(above.get(SCHEDULER), datetime.now(UTC)))
    asked = {job.uid: Asked.by(job, above.get(group_path(job.path))) for job in jobs}
    told: dict[Asked, list[EdgesThat]] = {}
    for of in asked.values():
        if of not in told:
            told[of] = answers(edges, of)
            await asyncio.sleep(0)  # others have their turn, between one fleet of edges and the next
    return {uid: told[of] for uid, of in asked.items()}


async def _all_edges(backend: Backend, foresight: Foresight) -> list[Described]:
    found: list[Described] = []
    after = ""
    while len(found) < EDGES_LIMIT and (edges := await backend.store.list_nodes("Edge", after=after, limit=PAGE)):
        nodes = await backend.store.nodes(beside(edges))
        pools = await backend.store.pools([edge.path for edge in edges])
        found += described(edges, nodes, pools, foresight)
        after = edges[-1].path
    return found


async def _failures(backend: Backend, jobs: Sequence[tuple[Node, Totals]]) -> dict[str, list[FailedChunk]]:
    """By uid, chunks that have failed, first those that are not tried again; and chunks that their edges have given up."""
    found: dict[str, list[Entry]] = {}
    for phase in (FAILED, RETRY):
        owners = [job.uid for job, totals in jobs if totals.phases.get(phase)]
        entries = await backend.store.first_entries(owners, phase, FAILURES_SHOWN) if owners else {}
        for owner, of in entries.items():
            found[owner] = [*found.get(owner, ()), *of][:FAILURES_SHOWN]
    holders = [entry.holder for of in found.values() for entry in of]
    attempts = await backend.store.nodes(holders) if holders else {}
    now = datetime.now(UTC)
    return {
        job.uid: [
            _failed(entry, job, attempts.get(entry.holder), now)
            for entry in found.get(job.uid, ())
            if entry.failures or _is_given_up(attempts.get(entry.holder))
        ]
        for job, _ in jobs
    }


def _is_given_up(attempt: Node | None) -> bool:
    return attempt is not None and "intentReason" in attempt.spec


def _failed(entry: Entry, job: Node, attempt: Node | None, now: datetime) -> FailedChunk:
    status: Document = attempt.status if attempt is not None and attempt.phase == FAILED else {}
    site, edge = place_of(entry.holder)
    given_up: str = attempt.spec.get("intentReason", "") if attempt is not None else ""
    over = is_over(job, job.phase) or is_ending(job)
    goes_on = not over if entry.phase == RETRY else not is_final(job, entry, attempt)
    pause_s = rest_s(job, entry, attempt, now) if goes_on else 0.0
    return FailedChunk(
        index=entry.index,
        failures=entry.failures,
        goes_on=goes_on,
        site=site,
        edge=edge,
        reason=status.get("reason") or given_up,
        message=status.get("message", WHY_GIVEN_UP.get(given_up, "")),
        exit_codes=tuple(status.get("exitCodes", ())),
        again_at=(now + timedelta(seconds=pause_s)).isoformat(timespec="seconds") if pause_s else "",
    )


async def _unheard(backend: Backend, jobs: Sequence[Node]) -> dict[str, list[Unheard]]:
    """By uid, edges with chunks in flight that are not online."""
    if not jobs:
        return {}
    placements = await backend.store.placements([job.uid for job in jobs])
    chunks = {owner: _in_flight(of) for owner, of in placements.items()}
    edges = await backend.store.nodes({path for of in chunks.values() for path in of})
    return {
        owner: [
            Unheard(*place_of(path), edge.phase, edge.status.get("since", ""), of[path])
            for path in sorted(of)
            if (edge := edges.get(path)) is not None and edge.phase != ONLINE
        ]
        for owner, of in chunks.items()
    }


def _in_flight(placements: Sequence[Placement]) -> dict[str, int]:
    """By path of an edge, how many chunks are placed there or run."""
    chunks: dict[str, int] = {}
    for placement in placements:
        if placement.phase in (PLACED, RUNNING):
            path = inventory_path(*place_of(placement.place))
            chunks[path] = chunks.get(path, 0) + placement.entries
    return chunks
