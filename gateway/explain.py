"""Why a job is as it is: what its chunks wait for, why no edge takes them, and what has failed."""

from collections.abc import AsyncIterator, Mapping

import msgspec

from datamodel.kinds import Document
from datamodel.ledger import Entry, Totals
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.scheduling.attempts import PLACED, RETRY
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


async def explained(backend: Backend, path: str) -> Explanation:
    """The explanation of a job as it is now. Raises `NotFound`."""
    job = await backend.node(path)
    totals = await backend.reads.totals(job.uid)
    counts = _counts(job, totals)
    is_to_run = job.spec.get("intent", RUN) == RUN and job.phase not in FINISHED and job.deletion_requested_at is None
    waits = is_to_run and bool(counts.get("pending") or counts.get("retrying"))
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


def _counts(job: Node, totals: Totals) -> dict[str, int]:
    counts = {("retrying" if phase == RETRY else phase): count for phase, count in sorted(totals.phases.items())}
    pending = job.spec["chunks"] - totals.entries
    return {"pending": pending, **counts} if pending else counts


async def _edges(backend: Backend, job: Node) -> list[EdgesThat]:
    """What all edges say to a chunk of the job: who takes it first, then the most frequent reasons."""
    asked = amounts(job.spec["requests"])
    group = (await backend.store.nodes([group_path(job.path)])).get(group_path(job.path))
    rules = Rules.of(job.spec, group.spec if group is not None else {})
    found: dict[str, EdgesThat] = {}
    async for edge, desired, pool, labels in _all_edges(backend):
        reason, message = _answer(edge, desired, pool, labels, asked, rules)
        before = found.get(reason)
        found[reason] = (
            msgspec.structs.replace(before, edges=before.edges + 1)
            if before is not None
            else EdgesThat(reason, message, 1, "/".join(place_of(edge.path)))
        )
    return sorted(found.values(), key=lambda some: (some.reason != HAS_ROOM, -some.edges, some.reason))


async def _all_edges(backend: Backend) -> AsyncIterator[tuple[Node, Node | None, Pool | None, Mapping[str, str]]]:
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
        goes_on=entry.phase == RETRY or entry.failures <= job.spec["retries"],
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
