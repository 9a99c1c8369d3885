"""The HTTP server: uvicorn with the settings that this program needs."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import structlog
import uvicorn
from starlette.types import ASGIApp

from datamodel.errors import Conflict
from gateway.rest.body import LIMIT_BYTES

SHUTDOWN_TIMEOUT_S = 1
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_log = structlog.get_logger("gateway")


class Server(uvicorn.Server):
    """Serves one application. On SIGINT or SIGTERM it calls `stopping()`, which must end what would stream for ever, and
    gives requests a second to finish. Raises `Conflict` where the port is not to be had."""

    def __init__(self, app: ASGIApp, host: str, port: int, *, stopping: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                loop="uvloop",
                http="httptools",
                ws="websockets-sansio",
                ws_max_size=LIMIT_BYTES,
                ws_per_message_deflate=False,
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
            )
        )
        self._stopping = stopping

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ends serving at a signal and leaves it at that: uvicorn would raise the signal again, and the process would be
        gone before what it waits to write is written."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets=sockets)
        except SystemExit:  # why, it has logged
            where = f"{self.config.host}:{self.config.port}"
            raise Conflict(f"nobody can listen at {where}; TENDRIL_PORT sets another port") from None
        for server in self.servers:
            for listening in server.sockets:
                _log.info("serving", address=listening.getsockname()[:2])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping()
        await super().shutdown(sockets=sockets)
