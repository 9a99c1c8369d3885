"""What changes, told to those who watch: the feed of the process fanned out to its subscribers."""

import asyncio
import contextlib
from collections.abc import Iterator

from datamodel.ports import FeedItem, Message, Synced


class Changes:
    """Wakes the watchers of a node when it has changed.

    A watcher reads the present when it wakes, so a slow one skips what lay between, and nobody's buffer grows. The feed need
    be followed only while there are watchers: one that comes first is woken when the feed has delivered the present.
    """

    def __init__(self) -> None:
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self._watched, self._unwatched = asyncio.Event(), asyncio.Event()
        self._unwatched.set()
        self.closing = asyncio.Event()

    @property
    def closed(self) -> bool:
        """Whether watching has ended, as it does when the gateway stops."""
        return self.closing.is_set()

    def deliver(self, item: FeedItem) -> None:
        """Takes what the feed delivers. After a present was delivered (again) everybody wakes: a deletion may have gone
        unseen."""
        if isinstance(item, Message):
            for wake in self._watchers.get(item.path, ()):
                wake.set()
        elif isinstance(item, Synced):
            self._wake_all()

    @contextlib.contextmanager
    def watch(self, path: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever the node at the path may have changed, and when watching ends."""
        wake = asyncio.Event()
        watchers = self._watchers.setdefault(path, set())
        watchers.add(wake)
        self._unwatched.clear()
        self._watched.set()
        try:
            yield wake
        finally:
            watchers.discard(wake)
            if not watchers and self._watchers.get(path) is watchers:
                del self._watchers[path]
            if not self._watchers:
                self._watched.clear()
                self._unwatched.set()

    async def watched(self) -> None:
        """Returns when somebody watches."""
        await self._watched.wait()

    async def unwatched(self, for_s: float) -> None:
        """Returns when nobody has watched for so long."""
        with contextlib.suppress(TimeoutError):
            while True:
                await self._unwatched.wait()
                async with asyncio.timeout(for_s):
                    await self._watched.wait()

    def close(self) -> None:
        """Ends watching: `closed` is true from now on, and everybody wakes to see it."""
        self.closing.set()
        self._wake_all()

    def _wake_all(self) -> None:
        for watchers in self._watchers.values():
            for wake in watchers:
                wake.set()
