"""The verbs of jobs: submit, list, read with executions, delete, watch."""

from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from datamodel.errors import Invalid, NotFound
from datamodel.kinds import Document
from datamodel.names import check_name
from datamodel.node import Node
from datamodel.scheduling.jobs import Job
from gateway.backend import Backend
from gateway.executions import executions_of
from gateway.explain import explained
from gateway.jobs import group_path, job_path, job_status, submit, submit_all
from gateway.labels import escaped
from gateway.rest import artifacts, chunks
from gateway.rest.answer import json_answer, metadata
from gateway.rest.artifacts import get_artifact, list_artifacts
from gateway.rest.body import read_document
from gateway.rest.chunks import list_chunks
from gateway.rest.conditions import etag_of
from gateway.rest.events import job_events
from gateway.rest.lists import answer_list
from gateway.rest.logs import PARAMETERS, job_logs
from gateway.rest.query import (
    AS_OF,
    RESUME,
    SEEN,
    WATCH,
    asked_of,
    flag_of,
    list_parameters,
    moment_of,
    naming_parameters,
)
from gateway.rest.replay import KEY, replay_guard
from gateway.rest.route import LISTING, READING, WRITING, DirectRoute, route
from gateway.rest.writing import DELETING, DELETING_PROBLEMS, DRY_RUN, Writing

URL = "/v1/jobs"
BATCH = f"{URL}:batch"
BATCH_LIMIT = 500
"""The most jobs of one batch."""
BATCH_LIMIT_BYTES = 8 * 1024 * 1024
ONE = f"{URL}/{{group}}/{{name}}"
GROUP: Document = {
    "name": "group",
    "in": "query",
    "schema": {"type": "string"},
    "description": "jobs of the group of this name only",
}


def job_routes(backend: Backend) -> list[DirectRoute]:
    """Submitting stands first: the router tries routes in order, and these are the busy ones."""
    jobs = _Jobs(backend)
    return [
        *_submit_routes(jobs),
        route(
            "GET",
            URL,
            jobs.list_jobs,
            summary="List jobs",
            tag="jobs",
            answer="JobList",
            other_types=("text/event-stream",),
            parameters=(GROUP, *list_parameters(Job), WATCH, RESUME),
            problems=LISTING,
        ),
        route(
            "GET", ONE, jobs.get, summary="Read a job with its executions", tag="jobs", answer="Job", problems=READING
        ),
        route(
            "DELETE",
            ONE,
            Writing(backend, path_of, job_document).delete,
            summary="Delete a job",
            tag="jobs",
            status=HTTPStatus.ACCEPTED,
            also=HTTPStatus.NO_CONTENT,
            other_answers={HTTPStatus.OK: "DeletePreview"},
            answer="Job",
            parameters=DELETING,
            problems=DELETING_PROBLEMS,
        ),
        *_telling_routes(jobs),
        *_chunk_routes(jobs),
    ]


def _telling_routes(jobs: "_Jobs") -> list[DirectRoute]:
    return [
        route(
            "GET",
            f"{ONE}/events",
            jobs.events,
            summary="Watch a job's status",
            tag="jobs",
            media_type="text/event-stream",
            also=HTTPStatus.NO_CONTENT,
            parameters=(SEEN,),
            problems=READING,
        ),
        route(
            "GET",
            f"{ONE}/logs",
            jobs.logs,
            summary="Read what an attempt at a chunk wrote, also while it runs",
            tag="jobs",
            media_type="text/plain",
            other_types=("application/x-ndjson", "text/event-stream"),
            also=HTTPStatus.NO_CONTENT,
            parameters=(*PARAMETERS, SEEN),
            problems=(*READING, HTTPStatus.GONE, HTTPStatus.UNPROCESSABLE_ENTITY),
        ),
        route(
            "GET",
            f"{ONE}/explain",
            jobs.explain,
            summary="Say why a job is as it is: what its chunks wait for, and what has failed",
            tag="jobs",
            answer="Explanation",
            parameters=(AS_OF,),
            problems=LISTING,
        ),
    ]


def _chunk_routes(jobs: "_Jobs") -> list[DirectRoute]:
    return [
        route(
            "GET",
            f"{ONE}/chunks",
            jobs.chunks,
            summary="List a job's chunks: where each is, in which try, and how far",
            tag="jobs",
            answer="ChunkList",
            parameters=chunks.PARAMETERS,
            problems=(*READING, HTTPStatus.UNPROCESSABLE_ENTITY),
        ),
        route(
            "GET",
            f"{ONE}/artifacts",
            jobs.list_artifacts,
            summary="List the files that a job's chunks have left",
            tag="jobs",
            answer="ArtifactList",
            parameters=artifacts.PARAMETERS,
            problems=(*READING, HTTPStatus.UNPROCESSABLE_ENTITY),
        ),
        route(
            "GET",
            f"{ONE}/artifacts/{{chunk}}/{{artifact}}",
            jobs.artifact,
            summary="Fetch a file that a chunk has left, or a part of it",
            tag="jobs",
            media_type="application/octet-stream",
            also=HTTPStatus.PARTIAL_CONTENT,
            other_answers={HTTPStatus.NOT_MODIFIED: ""},
            parameters=artifacts.HEADERS,
            problems=(*READING, HTTPStatus.GONE, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE),
        ),
    ]


def _submit_routes(jobs: "_Jobs") -> list[DirectRoute]:
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
            also=HTTPStatus.OK,
            parameters=(DRY_RUN, KEY),
            problems=WRITING,
        ),
        route(
            "POST",
            BATCH,
            jobs.submit_batch,
            summary=f"Submit up to {BATCH_LIMIT} jobs, all or none",
            tag="jobs",
            status=HTTPStatus.ACCEPTED,
            body="JobBatch",
            answer="JobBatchAccepted",
            also=HTTPStatus.OK,
            parameters=(DRY_RUN, KEY),
            problems=WRITING,
        ),
    ]


class _Jobs:
    """The handlers."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def submit(self, request: Request) -> Response:
        document, body = await read_document(request)
        key, digest = replay_guard(request, body)
        dry_run = flag_of(request.query_params, "dryRun")
        job = await submit(self._backend, document, key=key, digest=digest, dry_run=dry_run)
        if dry_run:
            return json_answer(job_document(job), HTTPStatus.OK, etag_of(job))
        _, _, _, group, _, name = job.path.split("/")
        headers = {"Location": f"{URL}/{group}/{name}", **etag_of(job)}
        return json_answer(job_document(job), HTTPStatus.ACCEPTED, headers)

    async def submit_batch(self, request: Request) -> Response:
        document, body = await read_document(request, BATCH_LIMIT_BYTES)
        documents = _documents(document)
        key, digest = replay_guard(request, body)
        dry_run = flag_of(request.query_params, "dryRun")
        jobs = await submit_all(self._backend, documents, key=key, digest=digest, dry_run=dry_run)
        return json_answer(
            {"items": [job_document(job) for job in jobs]}, HTTPStatus.OK if dry_run else HTTPStatus.ACCEPTED
        )

    async def list_jobs(self, request: Request) -> Response:
        asked = asked_of(request, Job, under=under_group(request))
        return await answer_list(self._backend, request, asked, job_document, "?group")

    async def get(self, request: Request) -> Response:
        job = await self._backend.node(path_of(request))
        document = job_document(job)
        document["status"]["executions"] = (await executions_of(self._backend.store, [job.uid]))[job.uid]
        return json_answer(document)

    async def explain(self, request: Request) -> Response:
        moment = moment_of(request.query_params, "asOf")
        with naming_parameters():
            return json_answer(await explained(self._backend, path_of(request), moment))

    async def events(self, request: Request) -> Response:
        job = await self._backend.node(path_of(request))
        return job_events(self._backend, job, request.headers.get("last-event-id", ""))

    async def chunks(self, request: Request) -> Response:
        job = await self._backend.node(path_of(request))
        return await list_chunks(self._backend, job, request)

    async def list_artifacts(self, request: Request) -> Response:
        job = await self._backend.node(path_of(request))
        return await list_artifacts(self._backend, job, request)

    async def artifact(self, request: Request) -> Response:
        job = await self._backend.node(path_of(request))
        return await get_artifact(self._backend, job, request)

    async def logs(self, request: Request) -> Response:
        job = await self._backend.node(path_of(request))
        return await job_logs(self._backend, job, request)


def _documents(batch: Document) -> list[Any]:
    """The jobs of a batch. Raises `Invalid` naming what is wrong with it."""
    for name in batch:
        if name != "jobs":
            raise Invalid("a batch has `jobs`", field=f"/{escaped(name)}")
    documents = batch.get("jobs")
    if not isinstance(documents, list) or not 1 <= len(documents) <= BATCH_LIMIT:
        raise Invalid(f"a batch is a list of 1 to {BATCH_LIMIT} jobs", field="/jobs")
    return documents


def job_document(job: Node) -> Document:
    """A job without its executions."""
    return {"metadata": metadata(job), "spec": job.encodable_spec, "status": job_status(job)}


def under_group(request: Request) -> str:
    """The path of the group that is asked for, empty where none is. Raises `Invalid`."""
    group = request.query_params.get("group")
    return group_path(check_name(group, "?group")) if group is not None else ""


def path_of(request: Request) -> str:
    """The path of the job that the address names. Raises `NotFound` where no job can have that name."""
    group, name = request.path_params["group"], request.path_params["name"]
    try:
        return job_path(check_name(group), check_name(name))
    except Invalid as error:
        raise NotFound(error.message) from error
