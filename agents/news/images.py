"""Which images an engine has, for placement to go by."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import structlog

from agents.news.ports import Changes, Tell
from agents.runtimes.images import told
from datamodel.errors import TendrilError

READ_S = 60.0
"""How often an engine is asked at least: people pull and remove images themselves."""
SOONEST_S = 5.0
"""How soon after it was asked it is asked again, whatever is pulled."""
PATIENCE_S = 2.0
"""How long an edge waits for that before it registers."""
_log = structlog.get_logger("images")


@runtime_checkable
class ImageHolder(Protocol):
    """A runtime whose engine has images that it can list."""

    @property
    def pulled(self) -> asyncio.Event:
        """Set whenever an image has come."""
        ...

    async def images(self) -> list[str]:
        """The names that the engine has for its images, those of the newest first. Raises `Transient`."""
        ...


class DeclaredImages:
    """Those that an edge without an engine is said to have."""

    def __init__(self, names: Sequence[str]) -> None:
        self.pulled = asyncio.Event()
        self._names = list(names)

    async def images(self) -> list[str]:
        return self._names


class ImageNews:
    """Tells what the one engine of these edges has."""

    def __init__(self, holder: ImageHolder, edges: Sequence[str]) -> None:
        self._holder = holder
        self._edges = tuple(edges)
        self._told: tuple[str, ...] | None = None

    async def first(self) -> Changes:
        """Nothing where the engine is busy: what registers an edge does not wait for that."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                self._told = told(await self._holder.images())
        except (TendrilError, TimeoutError):
            return {}
        return self._changes(self._told)

    async def run(self, tell: Tell) -> None:
        while True:
            self._holder.pulled.clear()
            is_told = await self._look(tell)
            await asyncio.sleep(SOONEST_S)
            if is_told:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(READ_S - SOONEST_S):
                        await self._holder.pulled.wait()

    async def _look(self, tell: Tell) -> bool:
        """Whether what there is has been told."""
        try:
            found = told(await self._holder.images())
            if found != self._told:
                await tell(self._changes(found))
                self._told = found
        except TendrilError as error:
            _log.info("which images there are could not be told", error=error.message)
            return False
        return True

    def _changes(self, images: tuple[str, ...]) -> Changes:
        return {edge: {"images": images} for edge in self._edges}
