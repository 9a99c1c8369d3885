"""Learning from an API server that an attempt has changed: one watch of a kind of object, which goes on where it broke off."""

import asyncio
import json
from collections.abc import Callable, Collection
from typing import Any

import structlog

from agents.runtimes.kubernetes.cluster import Cluster, Document, Expired
from agents.runtimes.kubernetes.manifest import SITE_LABEL
from agents.runtimes.kubernetes.report import attempt_in
from datamodel.errors import TendrilError, Transient

_BACKOFF_S = (0.1, 5.0)
_WATCH_S = 240
"""How long the server lets one watch last. Then, as after every break, it goes on from the last version."""
_SILENCE_S = _WATCH_S + 30.0
_EVENT_BYTES = 16 * 2**20

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Watch:
    """Calls `changed(attempt)` for what changes of the objects of one path that bear these edges' labels.

    Where the server does not remember what happened since, everything is listed anew, and each attempt that is there or was
    there counts as changed.
    """

    def __init__(
        self, cluster: Cluster, path: str, site: str, edges: Collection[str], changed: Callable[[str], None]
    ) -> None:
        self._cluster = cluster
        self._path = path
        self._selector = f"{SITE_LABEL}={site}"
        self._edges = edges
        self._changed = changed
        self._version = ""
        self._known: set[str] = set()

    async def run(self) -> None:
        """Watches until it is cancelled."""
        backoff_s = _BACKOFF_S[0]
        while True:
            try:
                if not self._version:
                    await self._list()
                began = self._version
                await self._follow()
                backoff_s = _BACKOFF_S[0] if self._version != began else backoff_s
            except Expired:
                self._version = ""
            except TendrilError as error:
                _log.warning("the API server does not answer", path=self._path, error=error.message, retry_s=backoff_s)
                backoff_s = min(2 * backoff_s, _BACKOFF_S[1])
            await asyncio.sleep(backoff_s)

    async def _list(self) -> None:
        found, version = await self._cluster.items(self._path, self._selector)
        before, self._known = self._known, set()
        for one in found:
            self._tell(one)
        for attempt in sorted(before - self._known):
            self._changed(attempt)
        self._version = version

    async def _follow(self) -> None:
        """Returns when the server ends the watch."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "labelSelector": self._selector,
            "resourceVersion": self._version,
            "timeoutSeconds": _WATCH_S,
        }
        buffer = bytearray()
        async for data in self._cluster.stream(self._path, query, _SILENCE_S):
            buffer += data
            while (end := buffer.find(b"\n")) >= 0:
                line = bytes(buffer[:end])
                del buffer[: end + 1]
                if line:
                    self._take(_event(line))
            if len(buffer) > _EVENT_BYTES:
                raise Expired("an event is too large")

    def _take(self, event: Document) -> None:
        one = event["object"]
        if event["type"] == "ERROR":
            raise Expired(one.get("message", "")) if one.get("code") == 410 else Transient(str(one.get("message", "")))
        self._version = one["metadata"]["resourceVersion"]
        if event["type"] == "BOOKMARK":
            return
        attempt = self._tell(one)
        if event["type"] == "DELETED" and attempt is not None:
            self._known.discard(attempt)

    def _tell(self, one: Document) -> str | None:
        attempt = attempt_in(one["metadata"].get("labels"), self._edges)
        if attempt is not None:  # else another agent's: several may share a namespace
            self._known.add(attempt)
            self._changed(attempt)
        return attempt


def _event(line: bytes) -> Document:
    try:
        found: Any = json.loads(line)
        if isinstance(found, dict) and isinstance(found.get("object"), dict) and "type" in found:
            return found
    except ValueError as error:
        raise Expired(f"an event is no JSON: {error}") from error
    raise Expired("an event has no object")
