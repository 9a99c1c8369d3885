"""`/graphql` as a websocket, with the protocol `graphql-transport-ws`: subscriptions, and any other operation.

The protocol is Strawberry's. What is here keeps its bounds: messages are checked before they are believed, and errors are told
as over HTTP.
"""

import json
import secrets
from datetime import timedelta
from typing import Any, cast

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from strawberry.asgi import ASGIWebSocketAdapter, GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler, Operation
from strawberry.subscriptions.protocols.graphql_transport_ws.types import Message

from datamodel.cause import Cause, present_cause
from gateway.backend import Backend
from gateway.graphql.context import Context
from gateway.graphql.schema import Schema
from gateway.identified import request_id
from gateway.rest.body import decoded

BEGIN_TIMEOUT = timedelta(seconds=10)
"""For the first message of a connection."""
OPERATIONS_LIMIT = 64
"""At the same time on one connection."""
_REASON_BYTES = 123
"""What a close frame has room for (RFC 6455)."""


class _Request(msgspec.Struct, rename="camel"):
    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None


class _Begin(msgspec.Struct, tag_field="type", tag="connection_init"):
    payload: dict[str, Any] | None = None


class _Ping(msgspec.Struct, tag_field="type", tag="ping"):
    payload: dict[str, Any] | None = None


class _Pong(msgspec.Struct, tag_field="type", tag="pong"):
    payload: dict[str, Any] | None = None


class _Subscribe(msgspec.Struct, tag_field="type", tag="subscribe"):
    id: str
    payload: _Request


class _Complete(msgspec.Struct, tag_field="type", tag="complete"):
    id: str


_MESSAGES = _Begin | _Ping | _Pong | _Subscribe | _Complete
"""What a client may send."""


def socket_route(backend: Backend, schema: Schema) -> WebSocketRoute:
    """The route over a schema of the backend's model."""
    return WebSocketRoute("/graphql", _Sockets(backend, schema))


class _Handler(BaseGraphQLTransportWSHandler[Context, None]):
    """One connection."""

    async def handle_message(self, message: Any) -> None:
        try:
            msgspec.convert(message, _MESSAGES)
        except msgspec.ValidationError as error:
            await self.handle_invalid_message(str(error))
        else:
            told = {
                name: member for name, member in message.items() if member is not None
            }  # no payload may be null too
            await super().handle_message(cast("Message", told))

    async def run_operation(self, operation: Operation[Context, None]) -> None:
        """Each operation is a request of its own."""
        own = secrets.token_hex(16)
        request_id.set(own)
        present_cause.set(Cause(f"request:{own}", own))
        await super().run_operation(operation)


class _Adapter(ASGIWebSocketAdapter):
    async def close(self, code: int, reason: str) -> None:
        await super().close(code, reason.encode()[:_REASON_BYTES].decode(errors="ignore"))


class _Sockets(GraphQL[Context, None]):
    """All connections."""

    websocket_adapter_class = _Adapter
    graphql_transport_ws_handler_class = _Handler

    def __init__(self, backend: Backend, schema: Schema) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            allow_queries_via_get=False,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=BEGIN_TIMEOUT,
            max_subscriptions_per_connection=OPERATIONS_LIMIT,
        )
        self._backend = backend

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        del request, response
        return Context(self._backend)

    def decode_json(self, data: str | bytes) -> object:
        try:
            return cast("object", decoded(data.encode() if isinstance(data, str) else data))
        except HTTPException as error:
            raise json.JSONDecodeError(error.detail, "", 0) from error
