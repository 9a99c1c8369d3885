"""expiry: jobs that say how long they stay once they have ended → deleted when that time is over."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Fence, Unit
from datamodel.kinds import SYSTEM
from datamodel.ports import Change, Store
from datamodel.reads import Reads
from datamodel.scheduling.jobs import FINISHED
from reconcilers.planning.ends import stays_s
from reconcilers.runtime.controller import Wake, Watch

PAGE = 500
NOTICED_S = 10.0
"""For how long at least a job stays after it was first found to have ended: who waits for its end sees it, also after a time
when nobody looked."""
ACTOR = Actor("expiry", SYSTEM)


class Expiry:
    """Deletes what has served its time, as somebody would: retention removes its attempts. The key is the job's path."""

    name = "expiry"
    shards = 1
    resync_s = 300.0

    def __init__(self, store: Store, appender: Appender, reads: Reads, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._appender = appender
        self._reads = reads
        self._clock = clock
        self._found_s: dict[tuple[str, str], float] = {}
        """By uid and time of its end, when a job was found to have ended, on the clock of the loop."""

    @property
    def watches(self) -> Mapping[str, Watch]:
        return {"Job": _on_job}

    async def keys(self) -> list[str]:
        keys: list[str] = []
        known: dict[tuple[str, str], float] = {}
        after = ""
        while jobs := await self._store.list_nodes("Job", after=after, limit=PAGE, phases=FINISHED):
            for job in jobs:
                if stays_s(job, self._clock()) is not None:
                    keys.append(job.path)
                    end = job.uid, job.status["finishedAt"]
                    if end in self._found_s:
                        known[end] = self._found_s[end]
            after = jobs[-1].path
        self._found_s = known
        return keys

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        job = await self._reads.node(key)
        rest_s = stays_s(job, self._clock()) if job is not None else None
        if job is None or rest_s is None:
            return None
        end, now_s = (job.uid, job.status["finishedAt"]), asyncio.get_running_loop().time()
        rest_s = max(rest_s, self._found_s.setdefault(end, now_s) + NOTICED_S - now_s)
        if rest_s > 0:
            return rest_s
        # What was asked of it meanwhile, as to try it again, makes it another version.
        delete = Command("delete", key, expected_version=job.version)
        await self._appender.write(Unit((delete,), ACTOR, fence=fence))
        self._found_s.pop(end, None)
        return None


def _on_job(change: Change) -> Iterable[Wake]:
    job = change.node
    if job is None or job.phase not in FINISHED or "ttlAfterFinishS" not in job.spec:
        return ()
    return (Wake(change.path),)
