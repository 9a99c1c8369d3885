"""What has failed of a job, read from the ledger: whether the job has by it, and which of its chunks may be tried again."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from datetime import datetime

from datamodel.ledger import Entry, Totals
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.scheduling.attempts import AGAIN, RETRY
from datamodel.scheduling.ending import failures_allowed
from datamodel.scheduling.jobs import FAILED, SUCCEEDED
from datamodel.scheduling.splitting import chunks_of
from datamodel.scheduling.tries import is_final, may_be_refused, policy_of, rest_s
from reconcilers.planning.backlog import Chunk
from reconcilers.planning.failing import Failures, spent, why_failed

PAGE = 1_000


async def failed_for_good(store: Store, job: Node, totals: Totals) -> bool:
    """Whether the job has failed by what has failed of it."""
    return why_failed(job, await failures_of(store, job, totals)) is not None


async def failures_of(store: Store, job: Node, totals: Totals) -> Failures:
    """Chunks that have failed are looked at one by one, since the job's retries may have been raised since; but not where no
    more have failed than may, and others go on."""
    failed, allowed = totals.phases.get(FAILED, 0), failures_allowed(job)
    for_good = again = failures = 0
    if failed > allowed or (failed and failed + totals.phases.get(SUCCEEDED, 0) == chunks_of(job)):
        async for entry, attempt in _examined(store, job, (FAILED,)):
            for_good += is_final(job, entry, attempt)
            if for_good > allowed:
                break
    if policy_of(job.spec).get("budget") is not None and (failed or totals.phases.get(RETRY)):
        # Whatever fails waits in one of these phases until it is looked at: nothing is placed beyond the budget.
        again, failures = spent(job, (await store.placements([job.uid]))[job.uid])
    return Failures(for_good, again, failures)


class Retries:
    """The chunks of jobs that may be tried again, and those that rest before they are. What it remembers of the latter spares
    reading them again, and keeps a clock that is set from making anybody wait twice."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._due_s: dict[str, dict[Chunk, float]] = {}
        """By a job's path, when chunks are over their pause, in the loop's time."""
        self._next_s: dict[str, float] = {}
        """By a job's path, when the next one is."""

    async def of(self, job: Node) -> tuple[Chunk, ...]:
        """Chunks that may be tried again now: `PAGE` or a few more of them, or all that there are."""
        known = self._due_s.get(job.path, {})
        now_s, now = asyncio.get_running_loop().time(), self._clock()
        ready: list[Chunk] = []
        due_s: dict[Chunk, float] = {}
        async for entry, attempt in _examined(self._store, job, AGAIN, known):
            chunk = Chunk(entry.index, entry.epoch + 1)
            if is_final(job, entry, attempt):
                continue
            at_s = known[chunk] if chunk in known else now_s + rest_s(job, entry, attempt, now)
            if entry.phase == RETRY and entry.failures:
                due_s[chunk] = at_s
            if at_s <= now_s:
                ready.append(chunk)
                if len(ready) == PAGE:
                    due_s |= {later: at for later, at in known.items() if later.index > entry.index}
                    break
        self._remember(job.path, due_s, now_s)
        return tuple(ready)

    def due(self) -> list[str]:
        """The jobs of which a chunk has come to the end of its pause since it was asked last."""
        now_s = asyncio.get_running_loop().time()
        paths = [path for path, at_s in self._next_s.items() if at_s <= now_s]
        for path in paths:
            del self._next_s[path]
        return paths

    def rest_s(self) -> float | None:
        """In how many seconds the next one does."""
        if not self._next_s:
            return None
        return max(0.001, min(self._next_s.values()) - asyncio.get_running_loop().time())

    def resting(self) -> list[str]:
        """The jobs with chunks that rest before they are tried again."""
        return list(self._next_s)

    def forget(self, path: str) -> None:
        """Nothing of this job is tried again now."""
        self._remember(path, {}, 0.0)

    def _remember(self, path: str, due_s: dict[Chunk, float], now_s: float) -> None:
        self._due_s.pop(path, None)
        self._next_s.pop(path, None)
        if due_s:
            self._due_s[path] = due_s
        if later := [at_s for at_s in due_s.values() if at_s > now_s]:
            self._next_s[path] = min(later)


async def _examined(
    store: Store, job: Node, phases: Collection[str], known: Collection[Chunk] = ()
) -> AsyncIterator[tuple[Entry, Node | None]]:
    """A job's entries in some phases in order of index, each with the newest attempt at it where that says more; not of those
    that are known."""
    refused, rests = may_be_refused(job.spec), "backoffS" in policy_of(job.spec)
    after = -1
    while entries := await store.entries(job.uid, phases=phases, after=after, limit=PAGE):
        asked = [
            entry.holder
            for entry in entries
            if (refused and entry.phase == FAILED)
            or (rests and entry.phase == RETRY and entry.failures and Chunk(entry.index, entry.epoch + 1) not in known)
        ]
        attempts = await store.nodes(asked) if asked else {}
        for entry in entries:
            yield entry, attempts.get(entry.holder)
        after = entries[-1].index
