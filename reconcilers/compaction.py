"""compaction: what is older in the log than it has to be is folded into the base and dropped, and there is room at its end."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from datamodel.command import Fence
from datamodel.keeping.compact import compact
from datamodel.ports import Store
from datamodel.segments import SEGMENT_POSITIONS
from reconcilers.runtime.controller import Watch

KEY = "log"
EVERY_S = 600.0
_log = structlog.get_logger("compaction")


class Compaction:
    """Keeps what is younger than `keep`, and with a `directory` the rest as files there. Nobody has to have read what it drops:
    whoever follows the log and is that far behind gets `Gone`, and begins anew with what is present."""

    name = "compaction"
    shards = 1
    resync_s = 300.0
    watches: Mapping[str, Watch] = {}

    def __init__(self, store: Store, keep: timedelta, directory: Path | None, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._keep = keep
        self._directory = directory
        self._clock = clock

    async def keys(self) -> list[str]:
        return [KEY]

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        del key  # there is only one
        await self._store.extend(SEGMENT_POSITIONS)
        before = self._clock() - self._keep
        await compact(self._store, before, f"{fence.lease}/{fence.token}", directory=self._directory, told=_log.info)
        return EVERY_S
