"""A small API server over HTTP: as much of lists, watches and logs as the Kubernetes runtime asks for. A test can break it."""

import asyncio
import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

NAMESPACE = "tendril"
JOBS_PATH = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
PODS_PATH = f"/api/v1/namespaces/{NAMESPACE}/pods"


class ApiServer:
    """`objects` by path and name. What happens to them is told to watches from their version on; versions up to `forgotten`
    cannot be watched from. A program that is run in a pod, and is remembered in `runs`, reads what is `given` to it and answers
    with `frames`, each of a channel. `asked` counts lists and watches by path, `sent` the events that watches were told."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.asked: Counter[str] = Counter()
        self.watched_from: list[str] = []
        self.logs: deque[bytes] = deque()
        self.log_queries: list[Mapping[str, str]] = []
        self.forgotten = 0
        self.runs: list[tuple[dict[str, str], list[str]]] = []
        self.given = b""
        self.frames: list[bytes] = []
        self.sent = 0
        self._version = 10
        self._events: list[tuple[int, str, dict[str, Any]]] = []
        self._news = asyncio.Condition()
        self._watches: set[asyncio.Task[Any]] = set()

    async def put(self, path: str, name: str, labels: Mapping[str, str], *, kind: str = "ADDED", **rest: Any) -> None:
        self._version += 1
        metadata = {
            "name": name,
            "labels": dict(labels),
            "resourceVersion": str(self._version),
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        one = {"metadata": metadata, "spec": {}, "status": {}, **rest}
        if kind == "DELETED":
            del self.objects[path, name]
        else:
            self.objects[path, name] = one
        async with self._news:
            self._events.append((self._version, path, {"type": kind, "object": one}))
            self._news.notify_all()

    async def say(self, path: str, event: dict[str, Any]) -> None:
        """Tells the watches of a path something that is no object's change."""
        self._version += 1
        async with self._news:
            self._events.append((self._version, path, event))
            self._news.notify_all()

    async def bookmark(self, path: str) -> str:
        version = str(self._version + 1)
        await self.say(path, {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": version}}})
        return version

    def cut(self) -> None:
        """Every watch breaks off."""
        for task in self._watches:
            task.cancel()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path.endswith("/log"):
            return await self._log(request)
        if path.endswith("/exec"):
            return await self._run(request)
        for (parent, name), one in self.objects.items():
            if path == f"{parent}/{name}":
                return web.json_response(one)
        if path not in (JOBS_PATH, PODS_PATH):
            return web.json_response({"message": "not found", "code": 404}, status=404)
        if request.query.get("watch") == "true":
            return await self._watch(request)
        self.asked[f"list {path}"] += 1
        wanted = dict(pair.split("=") for pair in request.query.get("labelSelector", "").split(",") if pair)
        found = [
            one
            for (parent, _), one in self.objects.items()
            if parent == path and wanted.items() <= one["metadata"]["labels"].items()
        ]
        return web.json_response({"metadata": {"resourceVersion": str(self._version)}, "items": found})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        self.asked[f"watch {request.path}"] += 1
        self.watched_from.append(request.query["resourceVersion"])
        version = int(request.query["resourceVersion"])
        if version < self.forgotten:
            return web.json_response({"message": "too old resource version", "code": 410}, status=410)
        response = web.StreamResponse()
        await response.prepare(request)
        task = asyncio.current_task()
        assert task is not None
        self._watches.add(task)
        try:
            while True:
                news = [event for at, path, event in self._events if at > version and path == request.path]
                version = max([version, *(at for at, _, _ in self._events)])
                for event in news:
                    line = json.dumps(event).encode() + b"\n"
                    await response.write(line[:7])  # whoever reads has to put it together
                    await response.write(line[7:])
                    self.sent += 1
                async with self._news:
                    await self._news.wait_for(self._newer_than(version))
        finally:
            self._watches.discard(task)

    def _newer_than(self, version: int) -> Callable[[], bool]:
        return lambda: any(at > version for at, _, _ in self._events)

    async def _run(self, request: web.Request) -> web.StreamResponse:
        if not self.frames:
            return web.json_response({"message": "forbidden", "code": 403}, status=403)
        socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io",))
        await socket.prepare(request)
        query = {name: value for name, value in request.query.items() if name != "command"}
        self.runs.append((query, request.query.getall("command")))
        while query["stdin"] == "true" and (data := await socket.receive_bytes()) != b"\xff\0":
            self.given += data.removeprefix(b"\0")
        for frame in self.frames:
            await socket.send_bytes(frame)
        await socket.close()
        return socket

    async def _log(self, request: web.Request) -> web.StreamResponse:
        self.log_queries.append(dict(request.query))
        return web.Response(body=self.logs.popleft() if len(self.logs) > 1 else self.logs[0])


@asynccontextmanager
async def serving(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ApiServer]:
    """One on a port of its own, which `KUBECONFIG` names as long as it serves."""
    server = ApiServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address = site._server.sockets[0].getsockname()  # type: ignore[union-attr]
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{address[1]}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (folder / "kubeconfig").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(folder / "kubeconfig"))
    try:
        yield server
    finally:
        server.cut()
        await runner.cleanup()
