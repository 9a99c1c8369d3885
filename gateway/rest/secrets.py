"""The verbs of secrets: put, list, delete. There is none that answers a value."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from datamodel.errors import Invalid, NotFound
from datamodel.names import check_name
from datamodel.secrets.value import BODY_LIMIT_BYTES, values_in
from gateway.backend import Backend
from gateway.jobs import group_path
from gateway.page import LIMIT_DEFAULT, after_cursor, checked_limit, cursor_of
from gateway.rest.answer import json_answer
from gateway.rest.body import read_hidden_document
from gateway.rest.query import number_of
from gateway.rest.route import QUERY_PAGE, READING, WRITING, DirectRoute, route
from gateway.secrets import keeping, scope_of

GROUP = "/v1/secrets/{group}"
ONE = f"{GROUP}/{{name}}"


def secret_routes(backend: Backend) -> list[DirectRoute]:
    secrets = _Secrets(backend)
    return [
        route(
            "GET",
            GROUP,
            secrets.list_secrets,
            summary="List a job group's secrets, without their values",
            tag="secrets",
            answer="SecretList",
            parameters=QUERY_PAGE,
            problems=(*READING, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY),
        ),
        route(
            "PUT",
            ONE,
            secrets.put,
            summary="Put a secret, in the place of the one of its name",
            tag="secrets",
            body="SecretDocument",
            answer="Secret",
            problems=(*WRITING, HTTPStatus.FORBIDDEN),
        ),
        route(
            "DELETE",
            ONE,
            secrets.delete,
            summary="Delete a secret",
            tag="secrets",
            status=HTTPStatus.NO_CONTENT,
            problems=(*READING, HTTPStatus.FORBIDDEN),
        ),
    ]


class _Secrets:
    """The handlers."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def list_secrets(self, request: Request) -> Response:
        limit, after = _page(request)
        group = _name(request, "group")
        found = await keeping(self._backend).listed(await scope_of(self._backend, group_path(group)), after, limit + 1)
        listed = found[:limit]
        cursor = cursor_of(f"/{listed[-1].name}") if len(found) > limit else None
        return json_answer({"items": listed, "cursor": cursor})

    async def put(self, request: Request) -> Response:
        group, name = _name(request, "group"), _name(request, "name")
        document, _ = await read_hidden_document(request, BODY_LIMIT_BYTES)
        values = values_in(document)
        scope = await scope_of(self._backend, group_path(group))
        return json_answer(await keeping(self._backend).put(scope, name, values))

    async def delete(self, request: Request) -> Response:
        group, name = _name(request, "group"), _name(request, "name")
        if not await keeping(self._backend).delete(await scope_of(self._backend, group_path(group)), name):
            raise NotFound(f"the group {group} has no secret {name!r}")
        return Response(status_code=HTTPStatus.NO_CONTENT)


def _name(request: Request, part: str) -> str:
    """A part of the address. Raises `NotFound` where nothing can have that name."""
    try:
        return check_name(request.path_params[part])
    except Invalid as error:
        raise NotFound(error.message) from error


def _page(request: Request) -> tuple[int, str]:
    """How many of a list are asked for, and behind which name. Raises `Invalid` naming the parameter."""
    given = request.query_params
    limit = checked_limit(number_of(given["limit"]), "?limit") if "limit" in given else LIMIT_DEFAULT
    return limit, after_cursor(given["cursor"], "?cursor")[1:] if given.get("cursor") else ""
