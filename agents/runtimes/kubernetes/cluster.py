"""Calls to an API server, with errors that are ours. What it answers stays as documents: the conversions are pure."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import aiohttp
from kubernetes.aio import client
from kubernetes.aio.stream import WsApiClient

from agents.runtimes.kubernetes import running
from agents.runtimes.kubernetes.login import login
from datamodel.errors import Conflict, Invalid, NotFound, Transient

Document = dict[str, Any]

JOBS = "/apis/batch/v1/namespaces/{namespace}/jobs"
PODS = "/api/v1/namespaces/{namespace}/pods"
NODES = "/api/v1/nodes"

CONNECTIONS = 256
"""Of one client. Logs that are followed hold one each, and there are fewer of those."""

_TIMEOUT_S = 30
_PAGE = 500
_CHUNK_BYTES = 32 * 1024  # a line takes some microseconds, and others wait meanwhile
_REFUSED = {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY}
_FAILURES = (aiohttp.ClientError, TimeoutError, OSError, ValueError)


class Expired(Transient):
    """The server does not remember any more what a watch or a list would go on from."""


class Cluster:
    """A client of the cluster that the environment names, and of one namespace there."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._client: Any = None
        self._sockets: Any = None

    async def open(self) -> None:
        """Raises `Transient` where no API server answers, `Invalid` where nothing says how to log in."""
        configuration = await login()
        configuration.connection_pool_maxsize = CONNECTIONS
        self._client = client.ApiClient(configuration)
        self._sockets = WsApiClient(configuration)
        await self.call("GET", JOBS, {"limit": 1})

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            await self._sockets.close()

    async def call(
        self, method: str, path: str, query: Mapping[str, object] | None = None, body: Document | None = None
    ) -> Document:
        """What the server answers. Raises `Conflict` (it exists, or has changed), `Invalid` (it can never be done, or not by
        us), `NotFound` (what the path names is not there), `Transient` for everything else."""
        async with self._answer(method, path, query, body, aiohttp.ClientTimeout(total=_TIMEOUT_S)) as answer:
            try:
                found = json.loads(await answer.read())
            except _FAILURES as error:
                raise Transient(f"the API server: {error!r}") from error
        if not isinstance(found, dict):
            raise Transient("the API server's answer is no object")
        return found

    async def find(self, path: str) -> Document | None:
        """One object; None where there is none."""
        try:
            return await self.call("GET", path)
        except NotFound:
            return None

    async def items(self, path: str, selector: str = "") -> tuple[list[Document], str]:
        """All objects that a selector of labels finds, and the version of the list, from which a watch goes on. Raises
        `Expired` where that took too long."""
        found: list[Document] = []
        query: dict[str, object] = {"labelSelector": selector, "limit": _PAGE}
        while True:
            page = await self.call("GET", path, query)
            found += page["items"] or ()
            if not (more := page["metadata"].get("continue")):
                return found, page["metadata"].get("resourceVersion", "")
            query["continue"] = more

    async def text(self, path: str, query: Mapping[str, object]) -> bytes:
        """A log as it is now. Raises `NotFound` and `Invalid` as `call`: also where the container has not begun."""
        async with self._answer("GET", path, query, None, aiohttp.ClientTimeout(total=_TIMEOUT_S)) as answer:
            try:
                content: bytes = await answer.read()
            except _FAILURES as error:
                raise Transient(f"the API server: {error!r}") from error
        return content

    async def stream(self, path: str, query: Mapping[str, object], silence_s: float) -> AsyncGenerator[bytes, None]:
        """The bytes of a watch, or of a log that is followed, as they come, until the server ends it. Raises as `call`;
        `Transient` also where it says nothing for so long."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_TIMEOUT_S, sock_read=silence_s)
        async with self._answer("GET", path, query, None, timeout) as answer:
            try:
                async for data in answer.content.iter_chunked(_CHUNK_BYTES):
                    yield data
            except _FAILURES as error:
                raise Transient(f"the API server: {error!r}") from error

    async def run(
        self,
        pod: str,
        container: str,
        command: Sequence[str],
        given: AsyncIterator[bytes] | None = None,
        *,
        limit_bytes: int = 0,
    ) -> bytes:
        """What a program writes to stdout, so much at most, that is run in a container which runs. It is `given` something to
        read. Raises `NotFound` where there is no such pod, `Invalid` where we may not, `Transient` as `running.run`."""
        streams = [("stdin", given is not None), ("stdout", True), ("stderr", True)]
        said = [(name, str(is_open).lower()) for name, is_open in streams]
        try:
            serialized = await self._sockets.param_serialize(
                method="GET",
                resource_path=f"{PODS.format(namespace=self._namespace)}/{pod}/exec",
                query_params=[("container", container), *said, *(("command", word) for word in command)],
                header_params={"sec-websocket-protocol": running.PROTOCOL},
                auth_settings=["BearerToken"],
            )
            answer = await self._sockets.call_api(*serialized, _preload_content=False)
            async with asyncio.timeout(_TIMEOUT_S):
                socket = await answer.response
        except aiohttp.WSServerHandshakeError as error:
            raise running.refused(error) from error
        except _FAILURES as error:
            raise Transient(f"the API server does not answer: {error!r}") from error
        async with socket:
            return await running.run(socket, given, limit_bytes)

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None,
        body: Document | None,
        times: aiohttp.ClientTimeout,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._client is not None, "opened before it is used"
        content_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
        try:
            serialized = await self._client.param_serialize(
                method=method,
                resource_path=path.format(namespace=self._namespace),
                query_params=list((query or {}).items()),
                header_params={"Accept": "application/json, */*", "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
            )
            response: aiohttp.ClientResponse = (
                await self._client.call_api(*serialized, _request_timeout=times)
            ).response
        except _FAILURES as error:
            raise Transient(f"the API server does not answer: {error!r}") from error
        async with response:
            try:
                if response.status >= HTTPStatus.BAD_REQUEST:
                    raise await _error(response)
                yield response
            finally:
                if response.connection is not None and response.connection.transport is not None:
                    # Left before its end: nobody would wait for the server's goodbye, and what waits for it stays open.
                    response.connection.transport.abort()


async def _error(response: aiohttp.ClientResponse) -> Exception:
    try:
        message = json.loads(await response.read()).get("message", "")
    except (*_FAILURES, AttributeError):
        message = ""
    message = message or f"{response.status} {response.reason}"
    match response.status:
        case HTTPStatus.NOT_FOUND:
            return NotFound(message)
        case HTTPStatus.CONFLICT:
            return Conflict(message)
        case HTTPStatus.GONE:
            return Expired(message)
        case status if status in _REFUSED:
            return Invalid(message)
        case _:
            return Transient(f"the API server: {message}")
