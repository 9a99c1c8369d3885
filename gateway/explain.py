"""Why a job is as it is: what its chunks wait for, why no edge takes them, and what has failed."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import NamedTuple, Self

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
from datamodel.scheduling.fitting import hindrance, unfit
from datamodel.scheduling.groups import group_path
from datamodel.scheduling.jobs import FAILED, FINISHED, PENDING, RUN, RUNNING
from datamodel.scheduling.placing import Rules, labels_of
from datamodel.scheduling.resources import amounts
from datamodel.scheduling.service import config_paths
from gateway.backend import Backend
from gateway.explanation import (
    HAS_ROOM,
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

_Known = tuple[Node, Node | None, Pool | None, Mapping[str, str]]
"""An edge, its place in the desired plane, what there is of it, and its labels."""


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
    if not jobs:
        return {}
    groups = await backend.store.nodes({group_path(job.path) for job in jobs})
    fleet = [edge async for edge in _all_edges(backend)]
    asked = {job.uid: _Asked.by(job, groups.get(group_path(job.path))) for job in jobs}
    answers: dict[_Asked, list[EdgesThat]] = {}
    for of in asked.values():
        if of not in answers:
            answers[of] = _edges(fleet, of)
            await asyncio.sleep(0)  # others have their turn, between one fleet of edges and the next
    return {uid: answers[of] for uid, of in asked.items()}


class _Asked(NamedTuple):
    """All of a job that edges answer to."""

    amounts: tuple[tuple[str, int], ...]
    rules: Rules

    @classmethod
    def by(cls, job: Node, group: Node | None) -> Self:
        rules = Rules.of(job.spec, group.spec if group is not None else {})
        return cls(tuple(sorted(amounts(job.spec["requests"]).items())), rules)


def _edges(fleet: Sequence[_Known], asked: _Asked) -> list[EdgesThat]:
    """What all edges say to a chunk of a job: who takes it first, then the most frequent reasons."""
    wanted, found = dict(asked.amounts), dict[str, EdgesThat]()
    for edge, desired, pool, labels in fleet:
        reason, message = _answer(edge, desired, pool, labels, wanted, asked.rules)
        before = found.get(reason)
        found[reason] = (
            msgspec.structs.replace(before, edges=before.edges + 1)
            if before is not None
            else EdgesThat(reason, message, 1, "/".join(place_of(edge.path)))
        )
    return sorted(found.values(), key=lambda some: (some.reason != HAS_ROOM, -some.edges, some.reason))


async def _all_edges(backend: Backend) -> AsyncIterator[_Known]:
    after, seen = "", 0
    while seen < EDGES_LIMIT and (edges := await backend.store.list_nodes("Edge", after=after, limit=PAGE)):
        names = {edge.path: place_of(edge.path) for edge in edges}
        wanted = {
            path for site, edge in names.values() for path in (desired_path(site, edge), *config_paths(site, edge))
        }
        nodes = await backend.store.nodes(wanted)
        pools = await backend.store.pools(names)
        for edge in edges:
            site, config = (nodes.get(path) for path in config_paths(*names[edge.path]))
            desired = nodes.get(desired_path(*names[edge.path]))
            yield edge, desired, pools.get(edge.path), labels_of(edge, site, config)
        after, seen = edges[-1].path, seen + len(edges)


def _answer(
    edge: Node,
    desired: Node | None,
    pool: Pool | None,
    labels: Mapping[str, str],
    asked: Mapping[str, int],
    rules: Rules,
) -> tuple[str, str]:
    stands = hindrance(edge, desired, pool)
    if stands is not None:
        return stands
    assert pool is not None, "else it is a hindrance"
    return unfit(labels, pool.capacity, pool.free, asked, rules) or (HAS_ROOM, "has room")


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
