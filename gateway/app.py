"""The application: what is served, in which order it is tried, and what stands in front of it."""

from collections.abc import Collection
from importlib.metadata import version

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from datamodel.errors import TendrilError
from gateway.backend import Backend
from gateway.compression import Compressed
from gateway.graphql.endpoint import graphql_route
from gateway.graphql.schema import create_schema
from gateway.graphql.socket import socket_route
from gateway.identified import Identified
from gateway.masking import Masked
from gateway.pages import page_routes
from gateway.problem import answer_error, answer_http_error
from gateway.rest.answer import json_answer
from gateway.rest.deletions import deletion_routes
from gateway.rest.health import health_routes
from gateway.rest.kinds import kind_routes
from gateway.rest.nodes import node_routes
from gateway.rest.openapi import openapi_document
from gateway.scheduling import extras_of
from gateway.security import guards
from gateway.settings import FRONTS, Front


def create_app(backend: Backend, fronts: Collection[Front] = FRONTS, origins: Collection[str] = ()) -> FastAPI:
    """The ASGI application over an open backend, with these front ends where the model has what they are of, for programs, its
    own pages, and web pages of these origins. It owns nothing that must be closed."""
    app = FastAPI(
        title="Tendril",
        version=version("tendril"),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=[Middleware(Identified), *guards(origins), Middleware(Masked), Middleware(Compressed)],
        exception_handlers={TendrilError: answer_error, HTTPException: answer_http_error},
    )
    extras = extras_of(backend.model, fronts)
    schema = create_schema(backend.model, extras)
    app.router.routes += [
        *extras.routes(backend),
        *health_routes(backend),
        *deletion_routes(backend),
        *kind_routes(backend),
        *node_routes(backend),
        graphql_route(backend, schema),
        socket_route(backend, schema),
        *page_routes(),
        *extras.last_routes(backend),
    ]
    document = openapi_document(app, backend.model, extras)

    async def openapi(request: Request) -> Response:
        del request
        return json_answer(document)

    app.router.routes.append(Route("/openapi.json", openapi, include_in_schema=False))
    return app
