"""Why a job is as it is: what its chunks wait for, why no edge takes them, and what has failed."""

from datetime import UTC, datetime, timedelta

from datamodel.kinds import Document
from datamodel.ledger import Entry, Totals
from datamodel.node import Node
from datamodel.scheduling.answers import Answers, EdgesThat
from datamodel.scheduling.attempts import PLACED, RETRY
from datamodel.scheduling.edges import ONLINE, desired_path, inventory_path, place_of
from datamodel.scheduling.jobs import FAILED, FINISHED, PENDING, RUN, RUNNING
from datamodel.scheduling.resources import amounts
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
    """What all edges say to a chunk of the job."""
    answers, after, seen = Answers(amounts(job.spec["requests"])), "", 0
    while seen < EDGES_LIMIT and (edges := await backend.store.list_nodes("Edge", after=after, limit=PAGE)):
        places = {edge.path: desired_path(*place_of(edge.path)) for edge in edges}
        desired = await backend.store.nodes(places.values())
        pools = await backend.store.pools(places)
        answers.add((edge, desired.get(places[edge.path]), pools.get(edge.path)) for edge in edges)
        after, seen = edges[-1].path, seen + len(edges)
    return answers.in_order()


async def _failures(backend: Backend, job: Node, totals: Totals) -> list[FailedChunk]:
    """Chunks that have failed: first those that are not tried again."""
    found: list[Entry] = []
    for phase in (FAILED, RETRY):
        if totals.phases.get(phase) and len(found) < FAILURES_SHOWN:
            found += await backend.store.entries(job.uid, phases=(phase,), limit=FAILURES_SHOWN - len(found))
    failed = [entry for entry in found if entry.failures]
    attempts = await backend.store.nodes([entry.holder for entry in failed])
    now = datetime.now(UTC)
    return [_failed(entry, job, attempts.get(entry.holder), now) for entry in failed]


def _failed(entry: Entry, job: Node, attempt: Node | None, now: datetime) -> FailedChunk:
    status: Document = attempt.status if attempt is not None and attempt.phase == FAILED else {}
    site, edge = place_of(entry.holder)
    pause_s = rest_s(job, entry, attempt, now)
    return FailedChunk(
        index=entry.index,
        failures=entry.failures,
        goes_on=not is_final(job, entry, attempt),
        site=site,
        edge=edge,
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        exit_codes=tuple(status.get("exitCodes", ())),
        again_at=(now + timedelta(seconds=pause_s)).isoformat(timespec="seconds") if pause_s else "",
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
