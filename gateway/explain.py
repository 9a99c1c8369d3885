"""Why a job is as it is: what its chunks wait for, why no edge takes them, and what has failed."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from datamodel.errors import NotFound
from datamodel.kinds import Document
from datamodel.ledger import Entry, Totals
from datamodel.moments import Moment
from datamodel.node import Node
from datamodel.ports import Placement
from datamodel.scheduling.attempts import PLACED, RETRY
from datamodel.scheduling.counts import chunk_counts, is_over
from datamodel.scheduling.deciding import decided
from datamodel.scheduling.edges import ONLINE, inventory_path, place_of
from datamodel.scheduling.ending import is_ending
from datamodel.scheduling.giving_up import WHY_GIVEN_UP
from datamodel.scheduling.jobs import FAILED, PENDING, RUN, RUNNING
from datamodel.scheduling.splitting import array_index
from datamodel.scheduling.starting import Start
from datamodel.scheduling.tries import is_final, rest_s
from datamodel.scheduling.waiting import RETRIES
from gateway.backend import Backend
from gateway.explanation import (
    Explanation,
    FailedChunk,
    PlacedChunk,
    Unheard,
    rests,
    summary,
    waits_for,
)
from gateway.queue import Waits, waiting_of, waits_of
from gateway.seeing import Now, Seen, seen_at
from gateway.together import Together

FAILURES_SHOWN = 10
PLACED_SHOWN = 10


async def explained(backend: Backend, path: str, moment: Moment | None = None, field: str = "/asOf") -> Explanation:
    """The explanation of a job as it is now, or was at a moment. Raises `NotFound`, and what is wrong with the moment, naming
    `field`."""
    if moment is None:
        found = await explanations(backend, [path])
    else:
        seen = await seen_at(backend.store, Together(backend.store), moment, field)
        found = await _explanations(seen, [path])
    if path not in found:
        raise NotFound(f"{path} does not exist" + ("" if moment is None else " then"))
    return found[path]


async def explanations(backend: Backend, paths: Collection[str]) -> dict[str, Explanation]:
    """By path, those of the jobs that there are at these paths, by as many reads for many as for one."""
    return await _explanations(Now(backend.store, datetime.now(UTC)), paths)


async def explanations_at(
    backend: Backend, asked: Collection[tuple[Moment, str]]
) -> dict[tuple[Moment, str], Explanation]:
    """The same of jobs at moments."""
    found: dict[tuple[Moment, str], Explanation] = {}
    for moment in dict.fromkeys(moment for moment, _ in asked):
        seen = await seen_at(backend.store, Together(backend.store), moment, "/asOf")
        of = await _explanations(seen, [path for other, path in asked if other == moment])
        found |= {(moment, path): explanation for path, explanation in of.items()}
    return found


async def _explanations(seen: Seen, paths: Collection[str]) -> dict[str, Explanation]:
    nodes = await seen.nodes(paths)
    known = await seen.totals(list(nodes.values()))
    jobs = [(job, known.get(job.uid, Totals())) for job in nodes.values()]
    begun = [job.uid for job, of in jobs if of.phases.get(PLACED) or of.phases.get(RUNNING)]
    placements = await seen.placements(begun) if begun else {}
    waits = await waits_of(seen, [(job, totals) for job, totals in jobs if waiting_of(job, totals)], placements)
    failures = await _failures(seen, jobs)
    unheard = await _unheard(seen, placements)
    placed = await _placed(seen, jobs)
    return {
        job.path: _explanation(
            job,
            totals,
            waits.get(job.uid),
            failures.get(job.uid, []),
            unheard.get(job.uid, []),
            placed.get(job.uid, []),
        )
        for job, totals in jobs
    }


def _explanation(
    job: Node,
    totals: Totals,
    waits: Waits | None,
    failures: list[FailedChunk],
    unheard: list[Unheard],
    placed: list[PlacedChunk],
) -> Explanation:
    counts = chunk_counts(job, job.phase, totals)
    resting = rests(counts, failures)
    if resting:
        waits = None
    return Explanation(
        path=job.path,
        phase=job.phase or PENDING,
        intent=job.spec.get("intent", RUN),
        summary=summary(job, counts, waits.reason if waits else None, waits.edges if waits else [], failures, unheard),
        chunks=counts,
        edges=waits.edges if waits else [],
        failures=failures,
        unheard=unheard,
        reason=RETRIES if resting else waits.reason.reason if waits else "",
        queue=waits.ahead if waits else None,
        changes=waits.changes if waits else [],
        start=Start(resting, "the pause after its failure") if resting else waits.start if waits else _held_start(job),
        placed=placed,
    )


def _held_start(job: Node) -> Start | None:
    """Of a job that waits for more than an edge."""
    if waits_for(job) is None or is_over(job, job.phase) or is_ending(job):
        return None
    if "startAt" in job.spec and "after" not in job.spec and "inputs" not in job.spec:
        return Start(job.spec["startAt"], "its startAt, and who goes before it then")
    return Start("", "it is not known when what it waits for ends")


async def _placed(seen: Seen, jobs: Sequence[tuple[Node, Totals]]) -> dict[str, list[PlacedChunk]]:
    """By uid, the first chunks in flight, and why they were placed where they are."""
    found: dict[str, list[Entry]] = {}
    for phase in (PLACED, RUNNING):
        owners = [job.uid for job, totals in jobs if totals.phases.get(phase)]
        entries = await seen.first_entries(owners, phase, PLACED_SHOWN) if owners else {}
        for owner, of in entries.items():
            found[owner] = [*found.get(owner, ()), *of][:PLACED_SHOWN]
    holders = [entry.holder for of in found.values() for entry in of]
    attempts = await seen.nodes(holders) if holders else {}
    return {
        owner: [
            PlacedChunk(
                entry.index, *place_of(entry.holder), attempt.created_at.isoformat(timespec="seconds"), _why(attempt)
            )
            for entry in of
            if (attempt := attempts.get(entry.holder)) is not None
        ]
        for owner, of in found.items()
    }


def _why(attempt: Node) -> str:
    """Empty of one that was placed before decisions were kept."""
    return decided(attempt.spec["decision"]) if "decision" in attempt.spec else ""


async def _failures(seen: Seen, jobs: Sequence[tuple[Node, Totals]]) -> dict[str, list[FailedChunk]]:
    """By uid, chunks that have failed, first those that are not tried again; and chunks that their edges have given up."""
    found: dict[str, list[Entry]] = {}
    for phase in (FAILED, RETRY):
        owners = [job.uid for job, totals in jobs if totals.phases.get(phase)]
        entries = await seen.first_entries(owners, phase, FAILURES_SHOWN) if owners else {}
        for owner, of in entries.items():
            found[owner] = [*found.get(owner, ()), *of][:FAILURES_SHOWN]
    holders = [entry.holder for of in found.values() for entry in of]
    attempts = await seen.nodes(holders) if holders else {}
    now = seen.at
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
        array_index=array_index(job, entry.index),
        again_at=(now + timedelta(seconds=pause_s)).isoformat(timespec="seconds") if pause_s else "",
    )


async def _unheard(seen: Seen, placements: Mapping[str, Sequence[Placement]]) -> dict[str, list[Unheard]]:
    """By uid, edges with chunks in flight that are not online."""
    chunks = {owner: _in_flight(of) for owner, of in placements.items()}
    paths = {path for of in chunks.values() for path in of}
    edges = await seen.nodes(paths) if paths else {}
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
