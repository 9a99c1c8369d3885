"""What happens where a request crashes: the log gets the trace, the client a masked answer."""

from http import HTTPStatus

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.problem import problem

_log = structlog.get_logger("gateway")


class Masked:
    """Logs what nobody expected and answers without a word about the inside."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def note_start(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, note_start)
        except ClientDisconnect:
            return  # nobody is left to be answered
        except Exception:
            if scope["type"] != "http":
                raise
            _log.exception("a request crashed", method=scope["method"], path=scope["path"])
            if started:
                raise  # the connection is cut: an answer that has begun cannot be taken back
            detail = "something went wrong inside; the log of the gateway says what"
            await problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail, scope["path"])(scope, receive, send)
