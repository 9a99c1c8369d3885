"""`POST /graphql`: one operation a request, as JSON."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from datamodel.errors import Invalid
from datamodel.kinds import Document
from gateway.backend import Backend
from gateway.graphql.context import Context
from gateway.graphql.errors import public
from gateway.graphql.schema import Schema
from gateway.rest.answer import json_answer
from gateway.rest.body import read_document
from gateway.rest.route import WRITING, DirectRoute, route

_MEMBERS: dict[str, tuple[type, ...]] = {
    "query": (str,),
    "operationName": (str, type(None)),
    "variables": (dict, type(None)),
    "extensions": (dict, type(None)),
}


def graphql_route(backend: Backend, schema: Schema) -> DirectRoute:
    """The endpoint over a schema of the backend's model."""

    async def execute(request: Request) -> Response:
        document, _ = await read_document(request)
        _check(document)
        try:
            result = await schema.execute(
                document["query"],
                variable_values=document.get("variables"),
                context_value=Context(backend),
                operation_name=document.get("operationName"),
                allowed_operation_types=(OperationType.QUERY, OperationType.MUTATION),
            )
        except CannotGetOperationTypeError as error:
            raise Invalid(
                "the query has no such operation, or several and none is named", field="/operationName"
            ) from error
        except InvalidOperationTypeError as error:
            raise Invalid("a subscription takes a websocket, at the same address", field="/query") from error
        answer: Document = {"data": result.data}
        if result.errors:
            answer["errors"] = [public(error).formatted for error in result.errors]
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
