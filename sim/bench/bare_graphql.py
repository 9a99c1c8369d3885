"""A hand-written Strawberry schema for one page: jobs of a group with their executions by edge, from the rows that the
gateway's generated schema loads."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec
import strawberry
from strawberry.dataloader import DataLoader

from datamodel.postgres.graph import NODES, PLACEMENTS, PLACES_LINKING
from datamodel.postgres.rows import NODE_COLUMNS

_BETWEEN = "(kind, path) > ($4, $1) AND (kind, path) < ($4, $2)"
BY_KIND = f"SELECT {NODE_COLUMNS} FROM nodes WHERE {_BETWEEN} ORDER BY kind, path LIMIT $3"  # noqa: S608 - constants
"""Nodes of a kind between two paths."""
_EDGES_LIMIT = 1_000
_decode = msgspec.json.Decoder().decode


@strawberry.type
class BareExecution:
    """A job on one edge."""

    site: str
    edge: str
    chunks: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    percent: float = 0.0


class Loading:
    """What the resolvers of one request share."""

    def __init__(self, keyed: "asyncpg.Pool[asyncpg.Record]", of_any: "asyncpg.Pool[asyncpg.Record]") -> None:
        self.keyed, self.of_any = keyed, of_any
        self.executions: DataLoader[str, list[BareExecution]] = DataLoader(self._load)

    async def _load(self, jobs: Sequence[str]) -> list[list[BareExecution]]:
        found: dict[str, dict[str, BareExecution]] = defaultdict(dict)
        progress: dict[tuple[str, str], int] = defaultdict(int)
        for job, place, phase, entries, done, _ in await self.of_any.fetch(PLACEMENTS, jobs):
            execution = found[job].setdefault(place, _at(place))
            execution.chunks += entries
            progress[job, place] += done
            if phase in ("running", "succeeded", "failed"):
                setattr(execution, phase, getattr(execution, phase) + entries)
        for (job, place), done in progress.items():
            found[job][place].percent = round(done / (10 * found[job][place].chunks), 1)
        for job, place in await self.keyed.fetch(PLACES_LINKING, jobs, "job", "Attempt", _EDGES_LIMIT):
            found[job].setdefault(place, _at(place))
        return [[found[job][place] for place in sorted(found[job])] for job in jobs]


Info = strawberry.Info[Loading, None]


@strawberry.type
class BareStatus:
    """What became of a job so far."""

    phase: str
    percent_completed: float


@strawberry.interface
class Node:
    """What every node has."""

    path: str


@strawberry.type
class Job(Node):
    """One of a group's."""

    uid: strawberry.Private[str]
    name: str
    created_at: str
    status: BareStatus

    @strawberry.field
    async def executions(self, info: Info) -> list[BareExecution]:
        return await info.context.executions.load(self.uid)


@strawberry.type
class JobEdge:
    """One job of a page."""

    node: Job


@strawberry.type
class Jobs:
    """A page of jobs."""

    edges: list[JobEdge]


@strawberry.type
class JobGroup(Node):
    """Jobs that belong together."""

    @strawberry.field
    async def jobs(self, info: Info, first: int = 20) -> Jobs:
        path = f"{self.path}/jobs"
        found = await info.context.keyed.fetch(BY_KIND, f"{path}/", f"{path}0", first + 1, "Job")
        return Jobs(edges=[JobEdge(node=_job(row)) for row in found[:first]])


@strawberry.type
class Query:
    """Nodes by path."""

    @strawberry.field
    async def node(self, info: Info, path: str) -> Node | None:
        found = await info.context.keyed.fetch(NODES, [path])
        return JobGroup(path=path) if found else None


SCHEMA = strawberry.Schema(Query, types=[JobGroup, Job])


def _job(row: asyncpg.Record) -> Job:
    status: dict[str, Any] = _decode(row["status"])
    shown = BareStatus(phase=status.get("phase", "pending"), percent_completed=status.get("percentCompleted", 0.0))
    name = row["path"].rpartition("/")[2]
    return Job(path=row["path"], uid=row["uid"], name=name, created_at=_utc(row["created_at"]), status=shown)


def _utc(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _at(place: str) -> BareExecution:
    _, _, _, site, _, edge = place.split("/")
    return BareExecution(site=site, edge=edge)
