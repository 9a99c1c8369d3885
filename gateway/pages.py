"""The explorers' pages, from our own files: Swagger UI at `/docs`, GraphiQL at `/graphql`."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

STATIC = Path(__file__).parent / "static"

# Nothing is loaded from anywhere else. Both explorers write style attributes and use data: images and fonts.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:;"
        " frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def page_routes() -> list[BaseRoute]:
    return [
        Route("/docs", _swagger, include_in_schema=False),
        Route("/graphql", _graphiql, methods=["GET"], include_in_schema=False),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]


async def _swagger(request: Request) -> Response:
    del request
    return FileResponse(STATIC / "swagger" / "index.html", headers=_HEADERS)


async def _graphiql(request: Request) -> Response:
    del request
    return FileResponse(STATIC / "graphiql" / "index.html", headers=_HEADERS)
