"""The verbs of jobs: submit, list, read with executions, delete, watch."""

import hashlib
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from datamodel.errors import Invalid, NotFound
from datamodel.kinds import Document
from datamodel.names import check_name
from datamodel.node import Node
from datamodel.scheduling.jobs import Job
from gateway.backend import Backend
from gateway.executions import executions_of
from gateway.jobs import group_path, job_path, job_status, submit
from gateway.page import list_page
from gateway.rest.answer import json_answer, metadata
from gateway.rest.body import read_document
from gateway.rest.events import job_events
from gateway.rest.query import page_of
from gateway.rest.route import QUERY_PAGE, QUERY_PHASE, READING, WRITING, DirectRoute, route

URL = "/v1/jobs"
ONE = f"{URL}/{{group}}/{{name}}"
_KEY: Document = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "maxLength": 255},
    "description": "a request that is sent again with its key creates nothing again, for 24 hours",
}
_GROUP: Document = {"name": "group", "in": "query", "schema": {"type": "string"}}


def job_routes(backend: Backend) -> list[DirectRoute]:
    """Submitting stands first: the router tries routes in order, and this is the busy one."""
    jobs = _Jobs(backend)
    return [
        route(
            "POST",
            URL,
            jobs.submit,
            summary="Submit a job",
            tag="jobs",
            status=HTTPStatus.ACCEPTED,
            body="JobDocument",
            answer="Job",
            parameters=(_KEY,),
            problems=WRITING,
        ),
        route(
            "GET",
            URL,
            jobs.list_jobs,
            summary="List jobs",
            tag="jobs",
            answer="JobList",
            parameters=(_GROUP, *QUERY_PAGE, QUERY_PHASE),
            problems=(*READING, HTTPStatus.UNPROCESSABLE_ENTITY),
        ),
        route(
            "GET", ONE, jobs.get, summary="Read a job with its executions", tag="jobs", answer="Job", problems=READING
        ),
        route(
            "DELETE",
            ONE,
            jobs.delete,
            summary="Delete a job",
            tag="jobs",
            status=HTTPStatus.ACCEPTED,
            answer="Job",
            problems=(*READING, HTTPStatus.CONFLICT),
        ),
        route(
            "GET",
            f"{ONE}/events",
            jobs.events,
            summary="Watch a job's status",
            tag="jobs",
            media_type="text/event-stream",
            problems=READING,
        ),
    ]


class _Jobs:
    """The handlers."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def submit(self, request: Request) -> Response:
        document, body = await read_document(request)
        key = request.headers.get("idempotency-key", "")
        digest = hashlib.sha256(body).hexdigest() if key else ""
        job = await submit(self._backend, document, cause=f"POST {URL}", key=key, digest=digest)
        _, _, _, group, _, name = job.path.split("/")
        return json_answer(_document(job), HTTPStatus.ACCEPTED, {"Location": f"{URL}/{group}/{name}"})

    async def list_jobs(self, request: Request) -> Response:
        page = page_of(request, Job, others=("group",))
        group = request.query_params.get("group")
        under = group_path(check_name(group, "?group")) if group is not None else ""
        listed = await list_page(self._backend.store, Job, page, under=under)
        if group is not None and not listed.nodes:
            await self._backend.node(under)
        return json_answer({"items": [_document(job) for job in listed.nodes], "cursor": listed.cursor})

    async def get(self, request: Request) -> Response:
        job = await self._backend.node(_path(request))
        document = _document(job)
        document["status"]["executions"] = await executions_of(self._backend.store, job)
        return json_answer(document)

    async def delete(self, request: Request) -> Response:
        job = await self._backend.delete(_path(request), cause=f"DELETE {request.scope['path']}")
        if job is None:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        return json_answer(_document(job), HTTPStatus.ACCEPTED)

    async def events(self, request: Request) -> Response:
        job = await self._backend.node(_path(request))
        return job_events(self._backend, job, request.headers.get("last-event-id", ""))


def _document(job: Node) -> Document:
    return {"metadata": metadata(job), "spec": job.spec, "status": job_status(job)}


def _path(request: Request) -> str:
    """The path of the job that the address names. Raises `NotFound` where no job can have that name."""
    group, name = request.path_params["group"], request.path_params["name"]
    try:
        return job_path(check_name(group), check_name(name))
    except Invalid as error:
        raise NotFound(error.message) from error
