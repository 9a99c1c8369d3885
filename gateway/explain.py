"""Why a job is as it is: what its chunks wait for, why no edge takes them, and what has failed."""

from collections.abc import AsyncIterator, Mapping

import msgspec

from datamodel.kinds import Document
from datamodel.ledger import Entry, Totals
from datamodel.node import Node
from datamodel.pool import Pool
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
    job = await backend.node(path)
    totals = await backend.reads.totals(job.uid)
    counts = chunk_counts(job, job.phase, totals)
    is_to_run = job.spec.get("intent", RUN) == RUN and job.phase not in FINISHED and job.deletion_requested_at is None
    waits = is_to_run and bool(counts.get(PENDING) or counts.get(RETRYING))
    edges = await _edges(backend, job) if waits and waits_for(job) is None else []
    failures = await _failures(backend, job, totals)
    unheard = await _unheard(backend, job) if totals.phases.get(PLACED) or totals.phases.get(RUNNING) else []
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


async def _edges(backend: Backend, job: Node) -> list[EdgesThat]:
    """What all edges say to a chunk of the job: who takes it first, then the most frequent reasons."""
    asked = amounts(job.spec["requests"])
    found: dict[str, EdgesThat] = {}
    async for edge, desired, pool in _all_edges(backend):
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


async def _failures(backend: Backend, job: Node, totals: Totals) -> list[FailedChunk]:
    """Chunks that have failed: first those that are not tried again."""
    found: list[Entry] = []
    for phase in (FAILED, RETRY):
        if totals.phases.get(phase) and len(found) < FAILURES_SHOWN:
            found += await backend.store.entries(job.uid, phases=(phase,), limit=FAILURES_SHOWN - len(found))
    failed = [entry for entry in found if entry.failures]
    attempts = await backend.store.nodes([entry.holder for entry in failed])
    return [_failed(entry, job, attempts.get(entry.holder)) for entry in failed]


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


async def _unheard(backend: Backend, job: Node) -> list[Unheard]:
    """Edges with chunks in flight that are not online."""
    chunks: dict[str, int] = {}
    for placement in (await backend.store.placements([job.uid]))[job.uid]:
        if placement.phase in (PLACED, RUNNING):
            path = inventory_path(*place_of(placement.place))
            chunks[path] = chunks.get(path, 0) + placement.entries
    edges = await backend.store.nodes(chunks)
    return [
        Unheard(*place_of(path), edge.phase, edge.status.get("since", ""), chunks[path])
        for path in sorted(chunks)
        if (edge := edges.get(path)) is not None and edge.phase != ONLINE
    ]
