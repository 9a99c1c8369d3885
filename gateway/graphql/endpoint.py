"""`POST /graphql`: one operation a request, as JSON."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from strawberry.exceptions import MissingQueryError
from strawberry.types.graphql import OperationType

from datamodel.errors import Invalid
from datamodel.kinds import Document
from gateway.backend import Backend
from gateway.graphql.context import Context
from gateway.graphql.errors import REFUSALS, public, refusal
from gateway.graphql.schema import Schema
from gateway.rest.answer import json_answer
from gateway.rest.body import read_document
from gateway.rest.route import WRITING, DirectRoute, route

_MEMBERS: dict[str, tuple[tuple[type, ...], str]] = {
    "query": ((str,), "it is a string"),
    "operationName": ((str, type(None)), "it is a string, or null"),
    "variables": ((dict, type(None)), "it is an object, or null"),
    "extensions": ((dict, type(None)), "it is an object, or null"),
}
"""Of a request's members, what they may be, and how that is said."""


def graphql_route(backend: Backend, schema: Schema) -> DirectRoute:
    """The endpoint over a schema of the backend's model."""

    async def execute(request: Request) -> Response:
        document, _ = await read_document(request)
        if "idempotency-key" in request.headers:
            raise Invalid("here a key is `idempotencyKey` of a mutation's input", field="Idempotency-Key")
        _check(document)
        try:
            result = await schema.execute(
                document["query"],
                variable_values=document.get("variables"),
                context_value=Context(backend),
                operation_name=document.get("operationName"),
                allowed_operation_types=(OperationType.QUERY, OperationType.MUTATION),
            )
        except tuple(REFUSALS) as error:
            raise refusal(error) from error
        answer: Document = {"data": result.data}
        if result.errors:
            answer["errors"] = [public(error).formatted for error in result.errors]
        refused = result.data is None and not any(error.path for error in result.errors or ())
        return json_answer(answer, HTTPStatus.BAD_REQUEST if refused else HTTPStatus.OK)

    made = route(
        "POST",
        "/graphql",
        execute,
        summary="Run a GraphQL operation",
        tag="graphql",
        body="GraphQLRequest",
        answer="GraphQLAnswer",
        problems=WRITING,
    )
    assert made.openapi_extra is not None, "it was described"
    told = made.openapi_extra["responses"]
    told["400"]["content"] |= told["200"][
        "content"
    ]  # a query that is none is told of as GraphQL does, no JSON as a problem
    return made


def _check(document: Document) -> None:
    """Raises `Invalid` naming the member of the request that is wrong."""
    for name, value in document.items():
        if name not in _MEMBERS:
            raise Invalid(f"there is no such member; a request has {', '.join(_MEMBERS)}", field=f"/{name[:80]}")
        types, told = _MEMBERS[name]
        if not isinstance(value, types):
            raise Invalid(told, field=f"/{name}")
    if "query" not in document:
        raise refusal(MissingQueryError())
