"""What the gateway's server does where it cannot serve."""

import socket

import pytest
from starlette.types import Receive, Scope, Send

from datamodel.errors import Conflict
from gateway.server import Server


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("nobody asks")


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = Server(_nothing, "127.0.0.1", port, stopping=lambda: None)
        with pytest.raises(Conflict, match=f"nobody can listen at 127.0.0.1:{port}; TENDRIL_PORT sets another port"):
            await server.serve()
