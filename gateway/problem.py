"""Problem documents (RFC 9457): the one form of every error that is answered."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import msgspec
from msgspec import structs
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from datamodel.errors import Conflict, Forbidden, Gone, Invalid, NotFound, TendrilError, Transient
from gateway.identified import request_id
from gateway.unmet import Unmet

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1

STATUSES: tuple[tuple[type[TendrilError], HTTPStatus], ...] = (
    (Unmet, HTTPStatus.PRECONDITION_FAILED),
    (Invalid, HTTPStatus.UNPROCESSABLE_ENTITY),
    (NotFound, HTTPStatus.NOT_FOUND),
    (Conflict, HTTPStatus.CONFLICT),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (Gone, HTTPStatus.GONE),
    (Transient, HTTPStatus.SERVICE_UNAVAILABLE),
)
"""How each class of error is answered: the first one that it is of."""

UNAVAILABLE = "what is stored cannot be reached just now; after a write, look whether it happened before trying again"

_encode = msgspec.json.Encoder().encode


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong. `pointer` is a JSON pointer into the document that was sent; query parameters are named
    `?name`."""

    pointer: str
    message: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The document. `type` is a URN of the class of error, `requestId` what the answer's `X-Request-Id` tells too. Of
    what is not kept any more, `oldest` is the oldest position that can be read, and `cursor` where a list goes on now."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: Sequence[Finding] = ()
    request_id: str = msgspec.field(name="requestId", default="")
    oldest: int = 0
    cursor: str = ""


def findings(error: TendrilError) -> tuple[Finding, ...]:
    """What an error names, as findings."""
    if isinstance(error, Invalid):
        return tuple(Finding(pointer, message) for pointer, message in error.details)
    return (Finding(error.field, error.message),) if error.field else ()


def detail_of(error: TendrilError) -> str:
    """One sentence on the error, without what the inside of the system has to say."""
    if isinstance(error, Transient):
        return UNAVAILABLE
    if isinstance(error, Invalid):
        pointer, message = error.details[0]
        return f"{pointer}: {message}" if pointer else message
    return error.message


async def answer_error(request: Request, error: Exception) -> Response:
    """The answer to an error of ours."""
    assert isinstance(error, TendrilError)
    status = next(status for kind, status in STATUSES if isinstance(error, kind))
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return _answer(document_of(error, status, request.url.path), headers)


def document_of(error: TendrilError, status: HTTPStatus, instance: str) -> Problem:
    """The problem that an error of ours is."""
    document = _document(status, detail_of(error), instance, findings(error))
    if isinstance(error, Gone):
        return structs.replace(document, oldest=error.oldest, cursor=error.cursor)
    return document


async def answer_http_error(request: Request, error: Exception) -> Response:
    """The answer to what never reached the graph: no route, a wrong method, a body that cannot be read."""
    assert isinstance(error, HTTPException)
    headers, detail = dict(error.headers or {}), error.detail
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(_allowed(request)))
        detail = f"{request.method} is not possible here; {headers['Allow']} would be"
    elif error.status_code == HTTPStatus.NOT_FOUND:
        detail = "nothing is served at this address"
    return problem(HTTPStatus(error.status_code), detail, request.url.path, (), headers)


def problem(
    status: HTTPStatus,
    detail: str,
    instance: str,
    errors: Sequence[Finding] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer that carries a problem document."""
    return _answer(_document(status, detail, instance, errors), headers)


def _document(status: HTTPStatus, detail: str, instance: str, errors: Sequence[Finding]) -> Problem:
    """Without anything more exact, it is the whole of what was sent that an error is about."""
    kind = f"urn:tendril:problem:{_word(status)}"
    found = errors or (Finding("", detail),)
    return Problem(kind, status.phrase, status, detail, instance, found, request_id.get())


def _answer(document: Problem, headers: Mapping[str, str] | None) -> Response:
    return Response(_encode(document), document.status, headers, MEDIA_TYPE)


def _word(status: HTTPStatus) -> str:
    return status.phrase.lower().replace(" ", "-")


def _allowed(request: Request) -> set[str]:
    """All methods that some route offers at the request's path: the router itself reports one route's only."""
    path = request.scope["path"]
    return {
        method
        for route in request.app.routes
        if getattr(route, "path_regex", None) is not None and route.path_regex.match(path)
        for method in getattr(route, "offered", None) or getattr(route, "methods", None) or ()
    }
