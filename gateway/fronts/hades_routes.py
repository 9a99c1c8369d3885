"""`POST /build`."""

from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response

from datamodel.names import last_name
from gateway.backend import Backend
from gateway.fronts.given import read_given
from gateway.fronts.hades import HadesBuild, accepted, build_of
from gateway.fronts.keeping import Builds
from gateway.rest.answer import json_answer
from gateway.rest.jobs import URL
from gateway.rest.replay import KEY, replay_guard
from gateway.rest.route import WRITING, DirectRoute, route


def hades_routes(backend: Backend) -> list[DirectRoute]:
    builds = Builds(backend)

    async def build(request: Request) -> Response:
        given, body = await read_given(request, HadesBuild)
        key, digest = replay_guard(request, body)
        job = await builds.submit(build_of(given, str(uuid4())), key=key, digest=digest)
        name = last_name(job.path)
        return json_answer(accepted(given, name), headers={"Location": f"{URL}/default/{name}"})

    return [
        route(
            "POST",
            "/build",
            build,
            summary="Submit a job in the form of Hades",
            tag="Hades",
            body="HadesBuild",
            answer="HadesBuildAccepted",
            parameters=(KEY,),
            problems=WRITING,
        )
    ]
