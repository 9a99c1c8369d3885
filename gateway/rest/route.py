"""Routes: plain handlers of a request, with what the OpenAPI document says of them."""

from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from datamodel.errors import Invalid
from datamodel.kinds import Document
from gateway.page import LIMIT_DEFAULT, LIMIT_MAX
from gateway.problem import MEDIA_TYPE

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

ALWAYS = (HTTPStatus.FORBIDDEN, HTTPStatus.INTERNAL_SERVER_ERROR)
"""Problems of every route: who asks may not come in, or a request crashes."""
READING = (HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
"""Problems of whatever reads a node."""
LISTING = (*READING, HTTPStatus.GONE, HTTPStatus.UNPROCESSABLE_ENTITY)
"""Problems of whatever lists nodes."""
WRITING = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
"""Problems of whatever takes a document."""

LIMIT: Document = {
    "name": "limit",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT},
    "description": "the most that a page has",
}
QUERY_PAGE: tuple[Document, ...] = (
    LIMIT,
    {"name": "cursor", "in": "query", "schema": {"type": "string"}, "description": "the `cursor` of the page before"},
)
_IN_OPERATION_IDS = str.maketrans({"/": "_", "-": "_", ":": "_", "{": None, "}": None})


class DirectRoute(APIRoute):
    """A route whose handler reads the request and makes the answer itself: what it takes is checked once, by the rule
    book's own types, and nothing is prepared for dependencies that it has not. A request with a query parameter that is not
    `declared` never reaches the handler."""

    def __init__(self, path: str, endpoint: Handler, declared: Collection[str] = (), **options: Any) -> None:
        super().__init__(path, endpoint, **options)

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope, receive, send)
            if scope["query_string"]:
                _check_declared(request.query_params, declared)
            answer = await endpoint(request)
            if request.method == "HEAD":  # and what would stream is never begun
                answer = _without_body(answer)
            await answer(scope, receive, send)

        self.app = serve
        self._begins, self._slashes = path.partition("{")[0], path.count("/")
        self._methods = frozenset(self.methods or ())
        self._has_head = "GET" in self._methods

    @property
    def offered(self) -> Collection[str]:
        """The methods that it takes. Where it can be read, its headers alone can, which the OpenAPI document need not say of
        each route."""
        return {*self._methods, "HEAD"} if self._has_head else self._methods

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Most of a hundred routes are told apart by how they begin and how long they are: to match all their expressions took
        a fifth of the time of reading a node."""
        path = scope["path"]
        if not path.startswith(self._begins) or path.count("/") != self._slashes:
            return Match.NONE, {}
        if self._has_head and scope["method"] == "HEAD":
            return super().matches({**scope, "method": "GET"})
        return super().matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] in self.offered:
            await self.app(scope, receive, send)
        else:
            await super().handle(scope, receive, send)


def route(
    method: str,
    path: str,
    handler: Handler,
    *,
    summary: str,
    tag: str,
    status: HTTPStatus = HTTPStatus.OK,
    answer: str = "",
    media_type: str = "application/json",
    other_types: Sequence[str] = (),
    other_answers: Mapping[HTTPStatus, str] = MappingProxyType({}),
    body: str = "",
    bodies: Mapping[str, str] = MappingProxyType({}),
    parameters: Sequence[Document] = (),
    problems: Sequence[HTTPStatus] = (),
    also: HTTPStatus | None = None,
) -> DirectRoute:
    """A route. `answer` and `body` name schemas of the OpenAPI document, `problems` the errors that are to be expected beside
    those of every route, `also` another status of success beside `status`, `other_types` what the answer may be of beside
    `media_type`, `other_answers` the schemas of answers with other statuses, `bodies` those of bodies that are no JSON."""
    problems = sorted({*ALWAYS, *problems})
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    in_path = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    operation: Document = {
        "parameters": [*in_path, *parameters],
        "responses": {
            **{str(int(s)): _success(s, (media_type, *other_types), answer) for s in (status, also) if s is not None},
            **{str(int(s)): _success(s, (media_type,), schema) for s, schema in other_answers.items()},
            **{str(int(p)): {"description": p.phrase, "content": _content(MEDIA_TYPE, "Problem")} for p in problems},
        },
    }
    taken = {**({"application/json": body} if body else {}), **bodies}
    if taken:
        content = {name: part for kind, schema in taken.items() for name, part in _content(kind, schema).items()}
        operation["requestBody"] = {"required": True, "content": content}
    return DirectRoute(
        path,
        handler,
        declared=frozenset(parameter["name"] for parameter in parameters if parameter["in"] == "query"),
        methods=[method],
        summary=summary,
        tags=[tag],
        status_code=status,
        operation_id=f"{method.lower()}{path.translate(_IN_OPERATION_IDS)}",
        response_class=Response,
        openapi_extra=operation,
    )


def _without_body(answer: Response) -> Response:
    bare = Response(status_code=answer.status_code)
    bare.raw_headers = answer.raw_headers
    return bare


def _check_declared(given: QueryParams, declared: Collection[str]) -> None:
    """Raises `Invalid` naming a parameter that nobody declared, or that comes twice."""
    seen = set()
    for name, _ in given.multi_items():
        if name not in declared:
            known = f"there is {', '.join(sorted(declared))}" if declared else "there is none"
            raise Invalid(f"there is no such parameter; {known}", field=f"?{name[:80]}")
        if name in seen:
            raise Invalid("it comes twice", field=f"?{name}")
        seen.add(name)


def _success(status: HTTPStatus, media_types: Sequence[str], schema: str) -> Document:
    described: Document = {"description": status.phrase}
    if status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        return described
    return {
        **described,
        "content": {name: part for kind in media_types for name, part in _content(kind, schema).items()},
    }


def _content(media_type: str, schema: str) -> Document:
    return {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"} if schema else {}}}
