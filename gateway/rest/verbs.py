"""The verbs of jobs over REST: of one, and of all that are selected."""

import asyncio
import hashlib
from collections.abc import Iterator
from http import HTTPStatus
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from datamodel.errors import Conflict, Invalid, NotFound
from datamodel.kinds import Document
from datamodel.node import Node
from datamodel.scheduling.jobs import Job
from gateway.backend import Backend
from gateway.rest.answer import json_answer
from gateway.rest.conditions import IF_MATCH, conditions_of, etag_of, expected_version
from gateway.rest.jobs import GROUP, ONE, URL, job_document, path_of, under_group
from gateway.rest.lists import listed_below
from gateway.rest.query import asked_of, flag_of, list_parameters
from gateway.rest.replay import KEY, once_of, replay_guard
from gateway.rest.route import LISTING, READING, DirectRoute, route
from gateway.verbs import SUMMARIES, act

ALL = "all"
EVERY_ONE: Document = {
    "name": ALL,
    "in": "query",
    "schema": {"type": "boolean", "default": False},
    "description": "said where nothing is selected by: then it is done to every job",
}
SELECTIONS = ("group", "labelSelector", "fieldSelector", "phase")


class JobDone(msgspec.Struct, frozen=True):
    """What became of one of the jobs that something was asked of; `detail` says why where it was refused."""

    path: str
    outcome: Literal["changed", "unchanged", "refused"]
    detail: str = ""


def verb_routes(backend: Backend) -> list[DirectRoute]:
    return [made for verb, summary in SUMMARIES.items() for made in _routes_of(backend, verb, summary)]


def _routes_of(backend: Backend, verb: str, summary: str) -> Iterator[DirectRoute]:
    async def one(request: Request) -> Response:
        path, once = path_of(request), once_of(backend, request)
        version = await expected_version(once, request, path)
        with conditions_of(request):
            job, _ = await act(backend, path, verb, expected_version=version, key=once.key, digest=once.digest)
        return json_answer(job_document(job), HTTPStatus.ACCEPTED, etag_of(job))

    async def all_selected(request: Request) -> Response:
        return await _do_to_all(backend, request, verb)

    yield route(
        "POST",
        f"{ONE}/{verb}",
        one,
        summary=summary,
        tag="jobs",
        status=HTTPStatus.ACCEPTED,
        answer="Job",
        parameters=(IF_MATCH, KEY),
        problems=(
            *READING,
            HTTPStatus.CONFLICT,
            HTTPStatus.PRECONDITION_FAILED,
            HTTPStatus.UNPROCESSABLE_ENTITY,
        ),
    )
    yield route(
        "POST",
        f"{URL}:{verb}",
        all_selected,
        summary=f"{summary}: all that are selected, a page of them at a time",
        tag="jobs",
        status=HTTPStatus.ACCEPTED,
        answer="JobsDone",
        parameters=(GROUP, *list_parameters(Job), EVERY_ONE, KEY),
        problems=LISTING,
    )


async def _do_to_all(backend: Backend, request: Request, verb: str) -> Response:
    """Does it to each job of a page, and says what became of each: one that does not admit it keeps no other from it. Raises
    `Invalid` where nothing is selected by."""
    asked = asked_of(request, Job, under=under_group(request))
    given = request.query_params
    if not flag_of(given, ALL) and not any(given.get(name) for name in SELECTIONS):
        raise Invalid(f"select jobs by {', '.join(SELECTIONS)}, or say all=true", field=f"?{ALL}")
    found = await listed_below(backend, asked, "?group")
    key, digest = replay_guard(request)
    items = await asyncio.gather(*(_done(backend, job, verb, key, digest) for job in found.nodes))
    return json_answer({"items": items, "cursor": found.cursor or None}, HTTPStatus.ACCEPTED)


async def _done(backend: Backend, job: Node, verb: str, key: str, digest: str) -> JobDone:
    own = hashlib.sha256(f"{key}\0{job.path}".encode()).hexdigest() if key else ""
    try:
        _, changed = await act(backend, job.path, verb, key=own, digest=digest)
    except (Conflict, Invalid, NotFound) as error:
        return JobDone(job.path, "refused", error.message)
    return JobDone(job.path, "changed" if changed else "unchanged")
