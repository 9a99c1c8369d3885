"""Who may come in: until people are authenticated, only programs of this machine, and web pages of no origin but the gateway's
own and those that its operator names."""

import re
from collections.abc import Collection
from http import HTTPStatus

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from gateway.problem import problem

_LOOPBACK = re.compile(rb"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)


_METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE")
_ASKED = ("Content-Type", "If-Match", "If-None-Match", "Idempotency-Key", "Last-Event-ID", "Range", "If-Range")
_TRACED = ("X-Request-Id", "X-Correlation-Id", "traceparent")
_TOLD = ("Allow", "Content-Range", "ETag", "Link", "Location", "Retry-After", "X-Request-Id")


def guards(origins: Collection[str]) -> list[Middleware]:
    """What stands before the application, in order, where web pages of these origins may use it too."""
    only = Middleware(LoopbackOnly, origins=origins)
    if not origins:
        return [only]
    return [
        only,
        Middleware(
            CORSMiddleware,
            allow_origins=[*origins],
            allow_methods=_METHODS,
            allow_headers=(*_ASKED, *_TRACED),
            allow_private_network=True,
            expose_headers=_TOLD,
        ),
    ]


class LoopbackOnly:
    """Refuses requests that a web page could have made through a name of its own (DNS rebinding: `Host` must be a loopback
    name) or from another site (`Origin`, where there is one, must be the very host that is asked, or one of `origins`)."""

    def __init__(self, app: ASGIApp, origins: Collection[str] = ()) -> None:
        self._app = app
        self._origins = frozenset(origin.encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        hosts, origins = [], []
        for name, value in scope["headers"]:
            if name == b"host":
                hosts.append(value)
            elif name == b"origin":
                origins.append(value)
        if len(hosts) != 1 or _LOOPBACK.fullmatch(hosts[0]) is None:
            detail = "the Host header must be a loopback name or address: localhost, 127.0.0.1 or [::1]"
        elif not {origin.lower() for origin in origins} <= {b"http://" + hosts[0].lower(), *self._origins}:
            detail = "requests from web pages of another origin are refused"
        else:
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":  # answered by the server: after an answer of ours it says that there was none
            await WebSocketClose()(scope, receive, send)
        else:
            await problem(HTTPStatus.FORBIDDEN, detail, scope["path"])(scope, receive, send)
