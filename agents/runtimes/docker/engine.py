"""Calls to a Docker engine: off the event loop, bounded, and with errors that are ours."""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar

import docker
import requests
from docker.errors import APIError, DockerException
from docker.utils import kwargs_from_env

from datamodel.errors import TendrilError, Transient

_TIMEOUT_S = 60

_P = ParamSpec("_P")
_R = TypeVar("_R")


def connect(*, timeout_s: int = _TIMEOUT_S, connections: int = 1) -> docker.APIClient:
    """A client of the engine that the environment names (`DOCKER_HOST`, …), else of the local socket.

    Raises `DockerException` or `RequestException` where none answers.
    """
    return docker.APIClient(version="auto", timeout=timeout_s, max_pool_size=connections, **kwargs_from_env())


def engine_answers(timeout_s: int) -> bool:
    """Whether there is an engine; blocks for up to about `timeout_s` seconds."""
    try:
        client = connect(timeout_s=timeout_s)
    except (DockerException, requests.RequestException):
        return False
    client.close()
    return True


def is_refusal(error: APIError) -> bool:
    """Whether the engine answered that this can never be done, rather than that it has trouble."""
    return error.is_client_error()


class Engine:
    """One client and the threads that may use it: most for short calls, some for pulls, which may last for minutes."""

    def __init__(self, threads: int = 8, pulls: int = 2) -> None:
        self._connections = threads + pulls
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="docker")
        self._pulls = ThreadPoolExecutor(pulls, thread_name_prefix="docker-pull")
        self._client: docker.APIClient | None = None

    async def open(self) -> None:
        """Raises `Transient` where no engine answers."""
        self._client = await self._run(self._pool, functools.partial(connect, connections=self._connections))

    async def close(self) -> None:
        for pool in (self._pool, self._pulls):
            pool.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    async def call(
        self, work: Callable[Concatenate[docker.APIClient, _P], _R], *args: _P.args, **kwargs: _P.kwargs
    ) -> _R:
        """Runs `work(client, …)` in a thread. An engine that fails or does not answer raises `Transient`."""
        assert self._client is not None, "opened before it is used"
        return await self._run(self._pool, functools.partial(work, self._client, *args, **kwargs))

    async def pull(
        self, work: Callable[Concatenate[docker.APIClient, _P], _R], *args: _P.args, **kwargs: _P.kwargs
    ) -> _R:
        """As `call`, in a thread that short calls never wait for."""
        assert self._client is not None, "opened before it is used"
        return await self._run(self._pulls, functools.partial(work, self._client, *args, **kwargs))

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[], _R]) -> _R:
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, work)
        except TendrilError:
            raise
        except (DockerException, requests.RequestException) as error:
            raise Transient(f"the container engine: {error}") from error
