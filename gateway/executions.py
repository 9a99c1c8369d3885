"""Executions: every edge where a job ran or runs, and how far it is there. A query, never a stored list."""

from collections.abc import Collection, Iterable

import msgspec

from datamodel.ports import Placement, Store
from datamodel.scheduling.edges import DISCONNECTED, LOST, inventory_path, place_of
from datamodel.scheduling.jobs import FAILED, RUNNING, SUCCEEDED

EDGES_LIMIT = 1_000


class Execution(msgspec.Struct):
    """A job on one edge. `chunks` are those whose newest attempt is or was there; an edge whose attempts were all replaced
    has none. `percent` is the mean progress of its chunks. Where the edge is not `heard` from, how those in flight are is
    unknown, and this is what was told last."""

    site: str
    edge: str
    chunks: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    percent: float = 0.0
    heard: bool = True


async def executions_of(store: Store, jobs: Collection[str]) -> dict[str, list[Execution]]:
    """By uid, the executions of these jobs in order of site and edge, of at most 1,000 edges each."""
    placements, places = await store.placements(jobs), await places_of(store, jobs)
    found = {job: _executions(placements[job], places[job]) for job in jobs}
    every = [execution for executions in found.values() for execution in executions]
    edges = await store.nodes({inventory_path(execution.site, execution.edge) for execution in every})
    for execution in every:
        edge = edges.get(inventory_path(execution.site, execution.edge))
        execution.heard = edge is not None and edge.phase not in (DISCONNECTED, LOST)
    return found


async def places_of(store: Store, jobs: Collection[str]) -> dict[str, list[str]]:
    """By uid, the paths of the edges that have attempts of these jobs, current ones or not."""
    return await store.places_linking("Attempt", "job", jobs, limit=EDGES_LIMIT)


def _executions(placements: Iterable[Placement], places: Iterable[str]) -> list[Execution]:
    executions: dict[str, Execution] = {}
    progress: dict[str, int] = {}
    for placement in placements:
        execution = executions.setdefault(placement.place, _at(placement.place))
        _count(execution, placement)
        progress[placement.place] = progress.get(placement.place, 0) + placement.progress
    for place, per_mille in progress.items():
        executions[place].percent = round(per_mille / (10 * executions[place].chunks), 1)
    for place in places:
        executions.setdefault(place, _at(place))
    return [executions[place] for place in sorted(executions)]


def _at(place: str) -> Execution:
    site, edge = place_of(place)
    return Execution(site, edge)


def _count(execution: Execution, placement: Placement) -> None:
    execution.chunks += placement.entries
    if placement.phase in (RUNNING, SUCCEEDED, FAILED):
        setattr(execution, placement.phase, getattr(execution, placement.phase) + placement.entries)
