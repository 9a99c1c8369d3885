"""A stream from an API server over TLS that is left before its end, while the server has no time to say goodbye."""

import asyncio
import json
import os
import socket
import ssl
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from agents.runtimes.kubernetes.cluster import JOBS, Cluster
from tests.waiting import until

# Of nobody, for these tests.
PEM = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgtZAoURV7t6E4hmN5
9bp5nUEct3mQlzbj4cSVM8KcYkihRANCAARQC48ylF429CLVqic8PG26re6qYZT+
upHCCyBpwAKD2emsfimulwoL7W/z7a0LvSBbBx3GVYxZyO+/4aiHg7BJ
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBfjCCASWgAwIBAgIUTJ1Huv9qkOh3/A+A2HhEIdDFZPkwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjA2MzEyNloYDzIxMjYxMDI5
MDYzMTI2WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARQC48ylF429CLVqic8PG26re6qYZT+upHCCyBpwAKD2emsfimulwoL
7W/z7a0LvSBbBx3GVYxZyO+/4aiHg7BJo1MwUTAdBgNVHQ4EFgQUDN+TM+HkZrH7
hAPdKQYZ3gkZWE8wHwYDVR0jBBgwFoAUDN+TM+HkZrH7hAPdKQYZ3gkZWE8wDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiAPUnhyeWxCiCbsMDF6HMwM
0+e8pIHG+bBnwDU9/sjL8AIgP2pbAD4PFMm0R/XQHIDymxsn/BfUtEvYJ8xcuG8r
O9Q=
-----END CERTIFICATE-----
"""
LIST = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
WATCH = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n"


def serve(listening: socket.socket, context: ssl.SSLContext, kept: list[ssl.SSLSocket]) -> None:
    """Answers the requests of one connection up to a watch, of which it tells the first event, and reads nothing more."""
    with suppress(OSError):
        connection = context.wrap_socket(listening.accept()[0], server_side=True)
        kept.append(connection)
        request = b""
        while b"watch=true" not in request:
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                request += connection.recv(4096)
            connection.sendall(WATCH if b"watch=true" in request else LIST)


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Of such a server, which `KUBECONFIG` names."""
    (tmp_path / "server.pem").write_text(PEM)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server.pem")
    listening = socket.create_server(("127.0.0.1", 0))
    port: int = listening.getsockname()[1]
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "c", "cluster": {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}}
        ],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    kept: list[ssl.SSLSocket] = []
    thread = threading.Thread(target=serve, args=(listening, context, kept))
    thread.start()
    yield port
    listening.shutdown(socket.SHUT_RDWR)
    thread.join()
    for one in (listening, *kept):
        one.close()


def open_to(port: int) -> int:
    """How many of this process' sockets are connected to a port of this host."""
    found = 0
    for fd in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # gone, or not connected
            if stat.S_ISSOCK(fd.stat().st_mode):
                with socket.socket(fileno=os.dup(int(fd.name))) as one:
                    found += one.getpeername()[1:2] == (port,)
    return found


async def test_nothing_of_it_stays_open(port: int) -> None:
    cluster = Cluster("tendril")
    await cluster.open()
    seen = asyncio.Event()

    async def follow() -> None:
        async for _ in cluster.stream(JOBS, {"watch": "true"}, 60.0):
            seen.set()

    task = asyncio.create_task(follow())
    async with asyncio.timeout(30.0):
        await seen.wait()
    assert open_to(port) == 1
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await cluster.close()
    await until(lambda: not open_to(port), timeout_s=5.0)
