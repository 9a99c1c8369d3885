"""`POST /graphql`: one operation a request, as JSON."""

from http import HTTPStatus
from typing import Any

from graphql import GraphQLError
from starlette.requests import Request
from starlette.responses import Response

from datamodel.errors import Gone, Invalid, TendrilError
from datamodel.kinds import Document
from gateway.backend import Backend
from gateway.extras import Extras
from gateway.graphql.context import Context
from gateway.graphql.schema import create_schema, is_unexpected, is_unreadable
from gateway.problem import detail_of, findings
from gateway.rest.answer import json_answer
from gateway.rest.body import read_document
from gateway.rest.route import WRITING, DirectRoute, route

_MEMBERS: dict[str, tuple[type, ...]] = {
    "query": (str,),
    "operationName": (str, type(None)),
    "variables": (dict, type(None)),
    "extensions": (dict, type(None)),
}


def graphql_route(backend: Backend, extras: Extras) -> DirectRoute:
    """The endpoint over the schema of the backend's model and of what there is beside it."""
    schema = create_schema(backend.model, extras)

    async def execute(request: Request) -> Response:
        document, _ = await read_document(request)
        _check(document)
        result = await schema.execute(
            document["query"],
            variable_values=document.get("variables"),
            context_value=Context(backend),
            operation_name=document.get("operationName"),
        )
        answer: Document = {"data": result.data}
        if result.errors:
            answer["errors"] = [_public(error) for error in result.errors]
        refused = result.data is None and not any(error.path for error in result.errors or ())
        return json_answer(answer, HTTPStatus.BAD_REQUEST if refused else HTTPStatus.OK)

    return route("POST", "/graphql", execute, summary="Run a GraphQL operation", tag="graphql", problems=WRITING)


def _check(document: Document) -> None:
    """Raises `Invalid` naming the member of the request that is wrong."""
    for name, value in document.items():
        if not isinstance(value, _MEMBERS.get(name, ())):
            raise Invalid("a request has `query`, `operationName` and `variables`", field=f"/{name[:80]}")
    if "query" not in document:
        raise Invalid("a query is required", field="/query")


def _public(error: GraphQLError) -> Any:
    """An error as the client may see it."""
    shown: dict[str, Any] = dict(error.formatted)
    original = error.original_error
    if is_unexpected(error):
        shown["message"] = "something went wrong inside; the log of the gateway says what"
    elif is_unreadable(error):
        shown["message"] = "a value in the query cannot be read: it is too long"
    elif isinstance(original, TendrilError):
        shown["message"] = detail_of(original)
        shown["extensions"] = {"errors": findings(original)}
        if isinstance(original, Gone):
            shown["extensions"] |= {"oldest": original.oldest, "cursor": original.cursor or None}
    return shown
