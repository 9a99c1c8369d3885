"""The routes of the small scheduler on Redis: of the jobs in the group `default`, of all edges, and of the totals."""

from http import HTTPStatus
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response

from datamodel.errors import Invalid, NotFound
from datamodel.kinds import Document
from datamodel.names import check_name
from datamodel.plan import Query
from datamodel.pool import Pool
from datamodel.scheduling.edges import ONLINE
from datamodel.scheduling.scheduler import SCHEDULER
from datamodel.selectors import Requirement, Selector
from gateway.backend import Backend
from gateway.executions import executions_of
from gateway.fronts import jobscheduler as shown
from gateway.fronts.given import read_given
from gateway.fronts.pointers import naming
from gateway.jobs import GROUP_DEFAULT, group_path, job_path, submit
from gateway.page import LIMIT_MAX, PHASE
from gateway.rest.answer import json_answer
from gateway.rest.lists import listed
from gateway.rest.query import Asked
from gateway.rest.replay import KEY, replay_guard
from gateway.rest.route import LISTING, READING, WRITING, DirectRoute, route
from gateway.verbs import act

TAG = "Redis scheduler"
STATUS: Document = {
    "name": "status_filter",
    "in": "query",
    "schema": {"enum": [*shown.PHASES]},
    "description": "jobs of this status only",
}
CURSOR: Document = {
    "name": "cursor",
    "in": "query",
    "schema": {"type": "string"},
    "description": f"the `cursor` of the page before, which had {LIMIT_MAX} at most",
}


def jobscheduler_routes(backend: Backend) -> list[DirectRoute]:
    jobs, edges = _Jobs(backend), _Edges(backend)
    aborting = (*READING, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)
    return [
        route(
            "POST",
            "/jobs",
            jobs.submit,
            summary="Submit a job",
            tag=TAG,
            status=HTTPStatus.CREATED,
            body="RedisSubmission",
            answer="RedisJob",
            parameters=(KEY,),
            problems=WRITING,
        ),
        route(
            "GET",
            "/jobs",
            jobs.list_jobs,
            summary="List jobs",
            tag=TAG,
            answer="RedisJobList",
            parameters=(STATUS, CURSOR),
            problems=LISTING,
        ),
        route("GET", "/jobs/{id}", jobs.get, summary="Read a job", tag=TAG, answer="RedisJob", problems=READING),
        route(
            "POST",
            "/jobs/{id}/abort",
            jobs.abort,
            summary="Abort a job",
            tag=TAG,
            status=HTTPStatus.ACCEPTED,
            answer="RedisJob",
            problems=aborting,
        ),
        *(
            route(
                "GET",
                address,
                handler,
                summary=summary,
                tag=TAG,
                answer="RedisExecutorList",
                parameters=(CURSOR,),
                problems=LISTING,
            )
            for address, handler, summary in (
                ("/executors", edges.list_all, "List edges"),
                ("/executors/healthy", edges.list_online, "List the edges that are online"),
            )
        ),
        route("GET", "/stats", edges.stats, summary="Count jobs", tag=TAG, answer="RedisStats", problems=READING),
    ]


class _Jobs:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def submit(self, request: Request) -> Response:
        given, body = await read_given(request, shown.RedisSubmission)
        key, digest = replay_guard(request, body)
        document = shown.document_of(given, str(uuid4()))
        with naming(shown.PLACES):
            job = await submit(self._backend, document, key=key, digest=digest)
        return json_answer(shown.job_of(job), HTTPStatus.CREATED)

    async def list_jobs(self, request: Request) -> Response:
        status = request.query_params.get("status_filter")
        if status is not None and status not in shown.PHASES:
            raise Invalid(f"there is no such status; there are {', '.join(shown.PHASES)}", field="?status_filter")
        phases = [Requirement(PHASE, "in", (shown.PHASES[status],))] if status is not None else []
        query = Query("Job", group_path(GROUP_DEFAULT), fields=Selector(tuple(phases)), limit=LIMIT_MAX)
        found = await listed(self._backend, Asked(query, request.query_params.get("cursor", "")))
        jobs = [shown.job_of(job) for job in found.nodes]
        return json_answer(
            shown.RedisJobList([job for job in jobs if status in (None, job.status)], found.cursor or None)
        )

    async def get(self, request: Request) -> Response:
        job = await self._backend.node(_path(request))
        return json_answer(shown.job_of(job, (await executions_of(self._backend.store, [job.uid]))[job.uid]))

    async def abort(self, request: Request) -> Response:
        job, _ = await act(self._backend, _path(request), "abort")
        return json_answer(
            shown.job_of(job, (await executions_of(self._backend.store, [job.uid]))[job.uid]), HTTPStatus.ACCEPTED
        )


class _Edges:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def list_all(self, request: Request) -> Response:
        return await self._list(request, Selector())

    async def list_online(self, request: Request) -> Response:
        return await self._list(request, Selector((Requirement(PHASE, "in", (ONLINE,)),)))

    async def stats(self, request: Request) -> Response:
        del request  # it has nothing to say
        return json_answer(shown.stats_of(await self._backend.node(SCHEDULER)))

    async def _list(self, request: Request, fields: Selector) -> Response:
        query = Query("Edge", fields=fields, limit=LIMIT_MAX)
        found = await listed(self._backend, Asked(query, request.query_params.get("cursor", "")))
        pools = await self._backend.store.pools([edge.path for edge in found.nodes])
        executors = [shown.executor_of(edge, pools.get(edge.path, Pool())) for edge in found.nodes]
        return json_answer(shown.RedisExecutorList(executors, found.cursor or None))


def _path(request: Request) -> str:
    """The path of the job that the address names. Raises `NotFound` where no job can have that name."""
    try:
        return job_path(GROUP_DEFAULT, check_name(request.path_params["id"]))
    except Invalid as error:
        raise NotFound(error.message) from error
