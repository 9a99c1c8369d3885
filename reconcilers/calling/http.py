"""Calls over HTTP: to addresses that were checked, and to no others."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import httpx

from reconcilers.calling.exposure import Exposure
from reconcilers.calling.ports import (
    BROKEN,
    NOT_ALLOWED,
    TIMED_OUT,
    UNREACHABLE,
    UNRESOLVED,
    UNTRUSTED,
    Call,
    Reply,
    Unsent,
)

RESOLVERS = 16
"""Threads that look names up: they are our own, since a name server that does not answer would hold up who else has some."""
ADDRESSES_TRIED = 4
"""Of one name."""

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host, for connections to a port. Raises `OSError`."""


class HttpSender:
    """The port `Sender`. Open it with `async with`.

    A name is looked up once, all of its addresses are checked, and the connection is made to one of those: what a name server
    answers later plays no part. The host's certificate is the one of its name all the same. Every call has a connection of its
    own, since two names may have one address, and what a connection was checked for is its name.
    """

    def __init__(
        self,
        exposure: Exposure,
        *,
        timeout_s: float,
        resolve: Resolve | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """`trust`: without one, the authorities of `SSL_CERT_FILE` or those that httpx brings."""
        self._exposure, self._timeout_s = exposure, timeout_s
        self._threads = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="resolve")
        self._resolve = resolve if resolve is not None else self._looked_up
        self._trust = trust if trust is not None else httpx.create_ssl_context()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def send(self, call: Call) -> Reply:
        refusal = self._exposure.refusal(call.url)
        if refusal is not None:
            return refusal
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._send(call, httpx.URL(call.url))
        except (TimeoutError, httpx.TimeoutException):
            return Unsent(TIMED_OUT, f"it did not answer within {self._timeout_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Unsent(BROKEN, f"the exchange broke off: {type(error).__name__}")

    async def _send(self, call: Call, url: httpx.URL) -> Reply:
        host = url.raw_host.decode("ascii")
        try:
            addresses = await self._resolve(host, url.port or 0)
        except (OSError, UnicodeError):
            addresses = []
        if not addresses:
            return Unsent(UNRESOLVED, "its name has no address")
        if not all(self._exposure.permits(host, address) for address in addresses):
            return Unsent(NOT_ALLOWED, "its address is not allowed")
        for address in addresses[:ADDRESSES_TRIED]:
            try:
                return await self._post(call, url, address)
            except httpx.ConnectError as error:
                if _is_of_trust(error):
                    return Unsent(UNTRUSTED, "its certificate is not that of its name, or of nobody who is trusted")
        return Unsent(UNREACHABLE, "nobody takes a connection there")

    async def _post(self, call: Call, url: httpx.URL, address: str) -> int:
        headers = {
            **call.headers,
            "host": url.netloc.decode("ascii"),
            "content-type": "application/json",
            "user-agent": "tendril",
            "accept-encoding": "identity",
            "connection": "close",
        }
        transport = httpx.AsyncHTTPTransport(verify=self._trust, trust_env=False)
        async with (
            httpx.AsyncClient(
                transport=transport, timeout=self._timeout_s, follow_redirects=False, trust_env=False
            ) as client,
            client.stream(
                "POST",
                url.copy_with(host=address),
                content=call.body,
                headers=headers,
                extensions={"sni_hostname": url.raw_host.decode("ascii")},
            ) as answer,
        ):
            return answer.status_code  # the rest is not read, however much it is

    async def _looked_up(self, host: str, port: int) -> list[str]:
        def look() -> list[str]:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return list(dict.fromkeys(str(address[0]) for *_, address in found))

        return await asyncio.get_running_loop().run_in_executor(self._threads, look)


def _is_of_trust(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
