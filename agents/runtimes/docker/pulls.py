"""Pulls under way: each image once at a time, in slots that nobody who looks at containers waits for."""

import asyncio
import threading
from pathlib import Path

from agents.runtimes.docker.engine import Engine
from agents.runtimes.docker.pull import STALL_S, PullFailure, pull_image


class Pulls:
    """`credentials` is a file in the format of docker's `config.json`, read anew for each pull. One that the engine tells
    nothing of for `stall_s` has failed."""

    def __init__(self, engine: Engine, credentials: Path | None, stall_s: float = STALL_S) -> None:
        self._engine = engine
        self._credentials = credentials
        self._stall_s = stall_s
        self._closing = threading.Event()
        self._running: dict[str, asyncio.Task[PullFailure | None]] = {}
        self.pulled = asyncio.Event()
        """Set when one has ended."""

    def begin(self, image: str) -> "asyncio.Task[PullFailure | None]":
        """The pull of the image that is under way, or a new one. It is never cancelled; it may raise `Transient`."""
        task = self._running.get(image)
        if task is None:
            task = self._running[image] = asyncio.create_task(self._pull(image), name=f"pull {image}")
            task.add_done_callback(_heard)
        return task

    async def close(self) -> None:
        """Leaves what is under way as soon as the engine says something more."""
        self._closing.set()
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pull(self, image: str) -> PullFailure | None:
        try:
            return await self._engine.pull(pull_image, image, self._credentials, self._stall_s, self._closing)
        finally:
            del self._running[image]
            self.pulled.set()


def _heard(task: "asyncio.Task[PullFailure | None]") -> None:
    """Whoever asked may have lost interest; then nobody asks how it ended."""
    if not task.cancelled():
        task.exception()
