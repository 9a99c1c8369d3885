"""Word that the log has grown, for those who watch a part of the graph: one look at its end for all of them."""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator

from datamodel.errors import Transient
from datamodel.ports import Store
from datamodel.walk import END, Span
from gateway.shared import Shared

LOOK_S = 0.1
"""Between two looks where no word comes."""
SOON_S = 0.01
"""Between two looks at least, however often word comes: it comes with every commit."""
WAKE_S = 50e-6
"""And for each watcher so much: where many are woken at a time, they have to read meanwhile."""
PATHS = 1_000
"""Found in one look; after more, everybody is woken."""

_Part = tuple[str, str]
"""Nodes of a kind below a path, which is empty for anywhere."""


class Growth:
    """Looks at the log's end while somebody waits for it to move, at once where word comes that it has, and wakes those whose
    part of the graph has changed. A wake too many costs its watcher a look."""

    def __init__(self, store: Store, look_s: float = LOOK_S) -> None:
        self._store = store
        self.reads = Shared(store)
        """For those who are woken together."""
        self._look_s = look_s
        self._waiting: dict[_Part, set[asyncio.Event]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._poked = asyncio.Event()

    def poked(self) -> None:
        """Somebody says that the log has grown."""
        self._poked.set()

    @contextlib.contextmanager
    def watch(self, kind: str, under: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever nodes of a kind below a path (empty: anywhere) may have changed."""
        grown = asyncio.Event()
        self._waiting.setdefault((kind, under), set()).add(grown)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="growth")
        try:
            yield grown
        finally:
            self._waiting[kind, under].discard(grown)
            if not self._waiting[kind, under]:
                del self._waiting[kind, under]
            if not self._waiting and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def _look(self) -> None:
        known = 0
        while True:
            with contextlib.suppress(Transient):
                end = (await self._store.head()).position
                parts: Iterable[_Part] = ()
                if end > known > 0:
                    changed = await self._store.changed(Span(), known, end, PATHS)
                    parts = self._parts(changed.paths) if changed.through == END else list(self._waiting)
                elif end != known:  # just begun, or it was put back
                    parts = list(self._waiting)
                known = end
                for part in parts:
                    for grown in self._waiting.get(part, ()):
                        grown.set()
            await self._rest()

    async def _rest(self) -> None:
        """Until the log has grown, or may have without a word."""
        soon_s = min(self._look_s, SOON_S + WAKE_S * sum(map(len, self._waiting.values())))
        await asyncio.sleep(soon_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._look_s - soon_s):
                await self._poked.wait()
        self._poked.clear()

    def _parts(self, paths: Iterable[str]) -> set[_Part]:
        """The parts that these paths are in."""
        found: set[_Part] = set()
        for path in paths:
            kind = self._store.model.locate(path)[0].__name__
            above = path
            while above:
                above = above.rpartition("/")[0]
                found.add((kind, above))
        return found
