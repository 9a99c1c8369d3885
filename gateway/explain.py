"""Why a job is as it is: what its chunks wait for, why no edge takes them, and what has failed."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

import msgspec

from datamodel.errors import NotFound
from datamodel.kinds import Document
from datamodel.ledger import Entry, Totals
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.ports import Placement
from datamodel.scheduling.attempts import PLACED, RETRY
from datamodel.scheduling.counts import RETRYING, chunk_counts, is_over
from datamodel.scheduling.edges import ONLINE, desired_path, inventory_path, place_of
from datamodel.scheduling.fitting import hindrance
from datamodel.scheduling.jobs import FAILED, FINISHED, PENDING, RUN, RUNNING
from datamodel.scheduling.resources import CPU, MEMORY, POWER, amounts
from gateway.backend import Backend
from gateway.explanation import (
    FULL,
    HAS_ROOM,
    TOO_SMALL,
    EdgesThat,
    Explanation,
    FailedChunk,
    Unheard,
    summary,
    waits_for,
)

PAGE = 1_000
EDGES_LIMIT = 10_000
"""Of more edges, the rest is not looked at."""
FAILURES_SHOWN = 10
_UNITS = {CPU: (1_000, "cores"), MEMORY: (1, "bytes of memory"), POWER: (1_000, "watts")}
"""Of each resource, how many of a pool's integers are one of people's, and how they name them."""


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
    is_to_run = job.spec.get("intent", RUN) == RUN and job.phase not in FINISHED and job.deletion_requested_at is None
    return is_to_run and bool(counts.get(PENDING) or counts.get(RETRYING)) and waits_for(job) is None


async def _edges_of(backend: Backend, jobs: Sequence[Node]) -> dict[str, list[EdgesThat]]:
    """By uid, what all edges say to these jobs. Each edge is read once, and asked once for all jobs that ask for the same."""
    fleet = [edge async for edge in _all_edges(backend)] if jobs else []
    answers: dict[bytes, list[EdgesThat]] = {}
    for job in jobs:
        if _asked(job) not in answers:
            answers[_asked(job)] = _edges(fleet, job)
            await asyncio.sleep(0)  # others have their turn, between one fleet of edges and the next
    return {job.uid: answers[_asked(job)] for job in jobs}


def _asked(job: Node) -> bytes:
    """All of a job that `_edges` looks at."""
    return msgspec.json.encode(job.spec["requests"], order="sorted")


def _edges(fleet: Sequence[tuple[Node, Node | None, Pool | None]], job: Node) -> list[EdgesThat]:
    """What all edges say to a chunk of the job: who takes it first, then the most frequent reasons."""
    asked = amounts(job.spec["requests"])
    found: dict[str, EdgesThat] = {}
    for edge, desired, pool in fleet:
        reason, message = _answer(edge, desired, pool, asked)
        before = found.get(reason)
        found[reason] = (
            msgspec.structs.replace(before, edges=before.edges + 1)
            if before is not None
            else EdgesThat(reason, message, 1, "/".join(place_of(edge.path)))
        )
    return sorted(found.values(), key=lambda some: (some.reason != HAS_ROOM, -some.edges, some.reason))


async def _all_edges(backend: Backend) -> AsyncIterator[tuple[Node, Node | None, Pool | None]]:
    after, seen = "", 0
    while seen < EDGES_LIMIT and (edges := await backend.store.list_nodes("Edge", after=after, limit=PAGE)):
        places = {edge.path: desired_path(*place_of(edge.path)) for edge in edges}
        desired = await backend.store.nodes(places.values())
        pools = await backend.store.pools(places)
        for edge in edges:
            yield edge, desired.get(places[edge.path]), pools.get(edge.path)
        after, seen = edges[-1].path, seen + len(edges)


def _answer(edge: Node, desired: Node | None, pool: Pool | None, asked: Mapping[str, int]) -> tuple[str, str]:
    stands = hindrance(edge, desired, pool)
    if stands is not None:
        return stands
    assert pool is not None, "else it is a hindrance"
    small = next((name for name in sorted(asked) if asked[name] > pool.capacity.get(name, 0)), None)
    if small is not None:
        return TOO_SMALL, f"has {_amount(small, pool.capacity)}, and a chunk asks for {_amount(small, asked)}"
    lacking = pool.lacking(asked)
    if lacking is not None:
        free = {lacking: max(0, pool.free[lacking])}
        return FULL, f"has {_amount(lacking, free)} left, and a chunk asks for {_amount(lacking, asked)}"
    return HAS_ROOM, "has room"


def _amount(resource: str, of: Mapping[str, int]) -> str:
    unit, name = _UNITS[resource]
    return f"{of.get(resource, 0) / unit:g} {name}" if unit > 1 else f"{of.get(resource, 0)} {name}"


async def _failures(backend: Backend, jobs: Sequence[tuple[Node, Totals]]) -> dict[str, list[FailedChunk]]:
    """By uid, chunks that have failed: first those that are not tried again."""
    found: dict[str, list[Entry]] = {}
    for phase in (FAILED, RETRY):
        owners = [job.uid for job, totals in jobs if totals.phases.get(phase)]
        entries = await backend.store.first_entries(owners, phase, FAILURES_SHOWN) if owners else {}
        for owner, of in entries.items():
            found[owner] = [*found.get(owner, ()), *(entry for entry in of if entry.failures)][:FAILURES_SHOWN]
    holders = [entry.holder for of in found.values() for entry in of]
    attempts = await backend.store.nodes(holders) if holders else {}
    return {
        job.uid: [_failed(entry, job, attempts.get(entry.holder)) for entry in found.get(job.uid, ())]
        for job, _ in jobs
    }


def _failed(entry: Entry, job: Node, attempt: Node | None) -> FailedChunk:
    status: Document = attempt.status if attempt is not None and attempt.phase == FAILED else {}
    site, edge = place_of(entry.holder)
    return FailedChunk(
        index=entry.index,
        failures=entry.failures,
        goes_on=not is_over(job, job.phase) if entry.phase == RETRY else entry.failures <= job.spec["retries"],
        site=site,
        edge=edge,
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        exit_codes=tuple(status.get("exitCodes", ())),
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
