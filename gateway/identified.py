"""The ids of requests: each has one, by which the answer, the problem, the log of events and whoever asked speak of it."""

import re
import secrets
from collections.abc import Iterable
from contextvars import ContextVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from datamodel.cause import CORRELATION_LIMIT, Cause, present_cause

_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:+=@/-]{{0,{CORRELATION_LIMIT - 1}}}")
_TRACE = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""A `traceparent` (W3C Trace Context); its first part is the trace's own id."""
_HEADERS = {b"x-request-id": "request", b"x-correlation-id": "correlation", b"traceparent": "trace"}

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that is being answered."""


class Identified:
    """Gives every request an id: its `X-Request-Id`, else its `traceparent`, where they are well-formed, else a new one. What
    it writes has the request as its cause, and as its correlation `X-Correlation-Id`, else the trace, else the request. The
    answer has `X-Request-Id`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        own, correlation = _ids(scope["headers"])
        header = (b"x-request-id", own.encode())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        request_id.set(own)
        present_cause.set(Cause(f"request:{own}", correlation))
        await self._app(scope, receive, send_with_id)


def _ids(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, str]:
    """The request's id and its correlation."""
    told: dict[str, str] = {}
    for name, value in headers:
        if (what := _HEADERS.get(name)) is not None:
            told.setdefault(what, value.decode("latin-1"))
    trace = _TRACE.fullmatch(told.get("trace", ""))
    own = _checked(told.get("request")) or (trace.group() if trace is not None else secrets.token_hex(16))
    return own, _checked(told.get("correlation")) or (trace.group(1) if trace is not None else own)


def _checked(text: str | None) -> str:
    """An id as it is, or nothing where it is none."""
    return text if text is not None and _ID.fullmatch(text) is not None else ""
