"""Health: whether the process lives, and whether it can serve."""

import asyncio
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from datamodel.errors import NotMigrated, TendrilError
from gateway.backend import Backend
from gateway.problem import problem
from gateway.rest.answer import json_answer
from gateway.rest.route import DirectRoute, route

TIMEOUT_S = 2.0


def health_routes(backend: Backend) -> list[DirectRoute]:
    health = _Health(backend)
    return [
        route("GET", "/livez", health.live, summary="Whether the process lives", tag="health", answer="Health"),
        route(
            "GET",
            "/readyz",
            health.ready,
            summary="Whether the database and NATS are reached",
            tag="health",
            answer="Health",
            problems=(HTTPStatus.SERVICE_UNAVAILABLE,),
        ),
    ]


class _Health:
    """The handlers."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def live(self, request: Request) -> Response:
        del request
        return json_answer({"status": "live"})

    async def ready(self, request: Request) -> Response:
        lacks = await self._database_lacks()
        missing = [f"the database {lacks}"] if lacks else []
        if not self._backend.feed_connected():
            missing.append("NATS is not connected")
        if missing:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "; ".join(missing), request.url.path)
        return json_answer({"status": "ready"})

    async def _database_lacks(self) -> str:
        """What the database lacks, empty where it serves: it must answer in time and have what a migrated one has."""
        roots = [plane.root for plane in self._backend.model.planes]
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._backend.store.head()
                present = await self._backend.store.nodes(roots)
        except NotMigrated:
            return "is not migrated"
        except (TendrilError, TimeoutError):
            return "does not answer"
        return "" if len(present) == len(roots) else "is not migrated"
