"""Who may come in: until people are authenticated, only programs of this machine, and no web page of another origin."""

import re
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.problem import problem

_LOOPBACK = re.compile(rb"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)


class LoopbackOnly:
    """Refuses requests that a web page could have made through a name of its own (DNS rebinding: `Host` must be a loopback
    name) or from another site (`Origin`, where there is one, must be the very host that is asked)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

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
        elif any(origin.lower() != b"http://" + hosts[0].lower() for origin in origins):
            detail = "requests from web pages of another origin are refused"
        else:
            await self._app(scope, receive, send)
            return
        await problem(HTTPStatus.FORBIDDEN, detail, scope["path"])(scope, receive, send)
