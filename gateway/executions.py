"""Executions: every edge where a job ran or runs, and how far it is there. A query, never a stored list."""

import msgspec

from datamodel.node import Node
from datamodel.ports import Placement, Store
from datamodel.scheduling.edges import place_of
from datamodel.scheduling.jobs import FAILED, RUNNING, SUCCEEDED

EDGES_LIMIT = 1_000
_ATTEMPTS = "/attempts/"


class Execution(msgspec.Struct):
    """A job on one edge. `chunks` are those whose newest attempt is or was there; an edge whose attempts were all replaced
    has none. `percent` is the mean progress of its chunks."""

    site: str
    edge: str
    chunks: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    percent: float = 0.0


async def executions_of(store: Store, job: Node) -> list[Execution]:
    """The executions of a job in order of site and edge, of at most 1,000 edges."""
    executions: dict[str, Execution] = {}
    progress: dict[str, int] = {}
    for placement in await store.placements(job.uid):
        execution = executions.setdefault(placement.place, _at(placement.place))
        _count(execution, placement)
        progress[placement.place] = progress.get(placement.place, 0) + placement.progress
    for place, per_mille in progress.items():
        executions[place].percent = round(per_mille / (10 * executions[place].chunks), 1)
    for place in await places_of(store, job):
        executions.setdefault(place, _at(place))
    return [executions[place] for place in sorted(executions)]


async def places_of(store: Store, job: Node) -> list[str]:
    """The paths of the edges that have attempts of the job, current ones or not, 1,000 at most: after each edge's first
    attempt the search goes on behind the edge, so it reads one row an edge and not one an attempt."""
    places: list[str] = []
    after = ""
    while len(places) < EDGES_LIMIT and (first := await store.linked("Attempt", "job", job.uid, after=after, limit=1)):
        place = first[0].path.partition(_ATTEMPTS)[0]
        places.append(place)
        after = f"{place}/attempts0"  # "0" is the character after "/": behind every attempt of the edge
    return places


def _at(place: str) -> Execution:
    site, edge = place_of(place)
    return Execution(site, edge)


def _count(execution: Execution, placement: Placement) -> None:
    execution.chunks += placement.entries
    if placement.phase in (RUNNING, SUCCEEDED, FAILED):
        setattr(execution, placement.phase, getattr(execution, placement.phase) + placement.entries)
