"""Copies what steps write from the API server to the edge, while they run and before their pods are removed."""

import asyncio
import contextlib
import math
import shutil
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from agents.runtimes.kubernetes.cluster import PODS, Cluster, Document
from agents.runtimes.kubernetes.lines import LineReader
from agents.runtimes.kubernetes.manifest import step_container
from agents.runtimes.kubernetes.report import container_begun, container_ended, container_told
from agents.runtimes.kubernetes.spool import Spool, is_done, page
from agents.runtimes.protocol import LogPage
from datamodel.errors import Invalid, NotFound, TendrilError, Transient

FOLLOWED_LIMIT = 200
"""Logs that are followed at a time; each holds a connection. Of others, what is not followed yet is read later."""

_BACKOFF_S = (0.1, 5.0)
_SILENCE_S = 3600.0
_WHOLE_S = 20.0
SETTLE_S = 5.0
"""How long after a step's end its log may still come, where no mark in it says that it is whole."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger()

FindPod = Callable[[str], Awaitable[Document | None]]


class Followers:
    """One for each step whose log somebody asks for, until all of it has been copied to `state_dir/<attempt>`."""

    def __init__(self, cluster: Cluster, state_dir: Path, find_pod: FindPod, *, settle_s: float = SETTLE_S) -> None:
        self._cluster = cluster
        self._state_dir = state_dir
        self._find_pod = find_pod
        self._settle_s = settle_s
        self._places = asyncio.Semaphore(FOLLOWED_LIMIT)
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._ended: set[tuple[str, int]] = set()

    async def logs(self, attempt: str, index: int, after: str, limit_bytes: int) -> LogPage:
        """Some of what a step wrote. Of one that has ended, all is there: raises `Transient` where that takes too long."""
        directory = self._state_dir / attempt
        if not is_done(directory, index):
            pod = await self._find_pod(attempt)
            if pod is not None and container_begun(pod, step_container(index)):
                task = self._follow(attempt, index)
                if container_ended(pod, step_container(index)):
                    self._ended.add((attempt, index))
                    await self._whole(attempt, task)
        try:
            return page(directory, index, after, limit_bytes)
        except OSError as error:
            raise Transient(f"{attempt}: its output cannot be read: {error}") from error

    async def forget(self, attempt: str) -> None:
        """Stops following an attempt and removes what was copied of it."""
        await self._end([key for key in self._tasks if key[0] == attempt])
        await asyncio.to_thread(shutil.rmtree, self._state_dir / attempt, ignore_errors=True)

    async def close(self) -> None:
        await self._end(list(self._tasks))

    async def _end(self, keys: list[tuple[str, int]]) -> None:
        tasks = [self._tasks.pop(key) for key in keys]
        self._ended.difference_update(keys)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _follow(self, attempt: str, index: int) -> "asyncio.Task[None]":
        task = self._tasks.get((attempt, index))
        if task is None or task.done():
            task = self._tasks[attempt, index] = asyncio.create_task(self._run(attempt, index), name=f"log {attempt}")
        return task

    async def _whole(self, attempt: str, task: "asyncio.Task[None]") -> None:
        await asyncio.wait({task}, timeout=_WHOLE_S)
        if not task.done() or task.cancelled() or task.exception() is not None:
            raise Transient(f"{attempt}: its output is still being read")

    async def _run(self, attempt: str, index: int) -> None:
        async with self._places:
            spool = Spool(self._state_dir / attempt, index)
            try:
                is_whole = await self._copy_all(spool, attempt, index)
            except BaseException:
                spool.close()
                raise
            spool.finish(is_whole=is_whole)

    async def _copy_all(self, spool: Spool, attempt: str, index: int) -> bool:
        """Reads until what began after the step's end has been read whole: to the marks of its end; where these do not come,
        once it has had some time. False where they should have come."""
        backoff_s, container = _BACKOFF_S[0], step_container(index)
        settled_s, is_told, now_s = math.inf, False, asyncio.get_running_loop().time
        while True:
            begun_s = now_s()
            try:
                pod = await self._find_pod(attempt)
                if pod is None:
                    return True
                if is_last := container_ended(pod, container):
                    settled_s, is_told = min(settled_s, begun_s + self._settle_s), container_told(pod, container)
                path = f"{PODS}/{pod['metadata']['name']}/log"
                reader = await self._copy(spool, path, container, following=None if is_last else (attempt, index))
                if is_last and reader.is_whole:
                    return True
                if begun_s >= settled_s:
                    for line in reader.end():
                        spool.add(line)
                    return not is_told
                backoff_s = 2 * backoff_s if is_last else _BACKOFF_S[0]
            except (NotFound, Invalid) as error:  # it has not begun for its kubelet, or is gone
                _log.debug("a log cannot be read", attempt=attempt, step=index, error=error.message)
                if begun_s >= settled_s:
                    return not is_told
                backoff_s = min(2 * backoff_s, _BACKOFF_S[1])
            except TendrilError as error:
                _log.info("a log breaks off", attempt=attempt, step=index, error=error.message)
                backoff_s = min(2 * backoff_s, _BACKOFF_S[1])
            await asyncio.sleep(backoff_s)

    async def _copy(self, spool: Spool, path: str, container: str, *, following: tuple[str, int] | None) -> LineReader:
        """Reads a log to its end; a line without its end stays with the reader. One that is followed comes line by line, and is
        left as soon as its step is known to have ended: the rest is there then, and comes faster."""
        query = {"container": container, "timestamps": "true", "follow": "false" if following is None else "true"}
        if spool.last_ns:
            since = datetime.fromtimestamp(spool.last_ns // 10**9, UTC)
            query["sinceTime"] = since.strftime("%Y-%m-%dT%H:%M:%SZ")
        reader = LineReader()
        spool.begin()
        async with contextlib.aclosing(self._cluster.stream(path, query, _SILENCE_S)) as stream:
            async for data in stream:
                for line in reader.feed(data):
                    spool.add(line)
                if following in self._ended:
                    break
        return reader
