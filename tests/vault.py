"""A small HTTP server that speaks the part of Vault's KV version 2 that Tendril uses, as its API documentation says."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

TOKEN = "hvs.test"


@dataclass
class Kv:
    """One mount, `secret`. `status` is answered to everything, where it is set."""

    url: str = ""
    status: int | None = None
    versions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    times: dict[str, tuple[str, str]] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, token: str, body: bytes) -> tuple[int, Any]:
        self.seen.append(f"{method} {path}")
        if self.status is not None:
            return self.status, {"errors": [body.decode()]}
        if token != TOKEN:
            return 403, {"errors": ["permission denied"]}
        _, _, mount, part, *words = path.split("/")
        if mount != "secret":
            return 404, {"errors": []}
        verbs: dict[str, Callable[[str, bytes], tuple[int, Any]]] = {
            "POST data": self._post_data,
            "GET data": self._get_data,
            "GET metadata": self._get_metadata,
            "LIST metadata": self._list_metadata,
            "DELETE metadata": self._delete_metadata,
        }
        return verbs[f"{method} {part}"]("/".join(words), body)

    def _post_data(self, name: str, body: bytes) -> tuple[int, Any]:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        self.versions.setdefault(name, []).append(json.loads(body)["data"])
        self.times[name] = (self.times.get(name, (now, ""))[0], now)
        version = {"version": len(self.versions[name]), "created_time": now, "deletion_time": "", "destroyed": False}
        return 200, {"request_id": "1", "data": version}

    def _get_data(self, name: str, _: bytes) -> tuple[int, Any]:
        if name not in self.versions:
            return 404, {"errors": []}
        return 200, {"data": {"data": self.versions[name][-1], "metadata": {"version": len(self.versions[name])}}}

    def _get_metadata(self, name: str, _: bytes) -> tuple[int, Any]:
        if name not in self.versions:
            return 404, {"errors": []}
        created, updated = self.times[name]
        known = {"current_version": len(self.versions[name]), "created_time": created, "updated_time": updated}
        return 200, {"data": {**known, "versions": {}, "custom_metadata": None}}

    def _list_metadata(self, name: str, _: bytes) -> tuple[int, Any]:
        prefix = f"{name.rstrip('/')}/"
        below = {path[len(prefix) :] for path in self.versions if path.startswith(prefix)}
        keys = sorted({word if "/" not in word else f"{word.partition('/')[0]}/" for word in below})
        return (200, {"data": {"keys": keys}}) if keys else (404, {"errors": []})

    def _delete_metadata(self, name: str, _: bytes) -> tuple[int, Any]:
        self.versions.pop(name, None)
        self.times.pop(name, None)
        return 204, None


@asynccontextmanager
async def vault() -> AsyncIterator[Kv]:
    """It listens on a port of its own."""
    kv = Kv()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := (await reader.readline()).decode():
                method, path, _ = line.split(" ")
                headers: dict[str, str] = {}
                while header := (await reader.readline()).decode().strip():
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                status, document = kv.answer(method, path, headers.get("x-vault-token", ""), body)
                content = json.dumps(document).encode() if document is not None else b""
                writer.write(f"HTTP/1.1 {status} Told\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        kv.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield kv
    finally:
        server.close()
