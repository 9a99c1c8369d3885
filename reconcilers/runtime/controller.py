"""One controller runs one reconciler: it wakes keys, gives each to one worker, retries, and resyncs.

Events only wake. What is right is computed from the present at every run, so that missing every event costs latency and
nothing else: a slow, jittered resync of all keys, and one whenever a shard becomes ours, make up for them.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

import structlog

from datamodel.backoff import Backoff
from datamodel.cause import MESSAGE, RESYNC, Cause, present_cause
from datamodel.command import Fence
from datamodel.errors import Conflict, TendrilError, Transient
from datamodel.keyqueue import KeyQueue
from datamodel.ports import Change
from reconcilers.runtime.causes import Causes
from reconcilers.runtime.metrics import Metrics
from reconcilers.runtime.shards import Shards, lease_name, shard_of

BACKOFF_S = (0.02, 10.0)
GOES_ON_S = 1.0
"""Who looks again so soon, and has written nothing yet, still acts on what woke it; later, it is time that made it look."""


class Wake(NamedTuple):
    """A key that may have work to do, now or after a while at the latest."""

    key: str
    after_s: float = 0.0


Watch = Callable[[Change], Iterable[Wake]]
"""Whom a change of a node wakes."""


class Reconciler(Protocol):
    """What a reconciler is to the runtime."""

    @property
    def name(self) -> str: ...

    @property
    def shards(self) -> int:
        """Into how many leases its keys are divided."""
        ...

    @property
    def resync_s(self) -> float: ...

    @property
    def watches(self) -> Mapping[str, Watch]:
        """By kind, for those that concern it."""
        ...

    async def keys(self) -> list[str]:
        """All keys that there are, for the resync."""
        ...

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        """Makes the fact of one key follow the intent; seconds until it should look again, or None. Every append carries
        the fence. Raises `Conflict` and `Transient` to be called again after a backoff."""
        ...


class Controller:
    """The runtime of one reconciler in one replica."""

    def __init__(self, reconciler: Reconciler, shards: Shards, metrics: Metrics, workers: int = 32) -> None:
        self.reconciler = reconciler
        self.queue = KeyQueue()
        self.causes = Causes()
        self._shards = shards
        self._metrics = metrics
        self._workers = workers
        self.backoff = Backoff(*BACKOFF_S)
        self._resync = asyncio.Event()
        self._log = structlog.get_logger(reconciler.name)
        self._leases = [lease_name(reconciler.name, shard) for shard in range(reconciler.shards)]
        shards.want(reconciler.name, reconciler.shards, lambda _: self._resync.set())

    def wake(self, key: str, after_s: float = 0.0, *, change: Change | None = None, cause: str = MESSAGE) -> bool:
        """Makes the key due, because of a change, or else of `cause`. Keys of other replicas' shards are dropped (False): their
        holder wakes them."""
        if self._fence(key) is None:
            return False
        if change is not None:
            self.causes.put(key, change)
        else:
            self.causes.put_other(key, cause)
        if after_s:
            self.queue.add_after(key, after_s)
        else:
            self.queue.add(key)
        return True

    def holds(self, key: str) -> bool:
        """Whether the key is of a shard of this replica's."""
        return self._fence(key) is not None

    def resync(self) -> None:
        """All keys may have work to do: something was missed, or the log is another one."""
        self.causes.restart()
        self._resync.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            name = self.reconciler.name
            group.create_task(self._keep_resyncing(), name=f"{name} resync")
            group.create_task(self.queue.serve(self._reconcile, self._workers, name), name=name)

    async def _reconcile(self, key: str) -> None:
        cause, fence = self.causes.take(key), self._fence(key)
        if fence is None:
            self.backoff.over(key)
            return
        present_cause.set(cause)  # of this worker's task, until its next key
        name = self.reconciler.name
        try:
            again = await self.reconciler.reconcile(key, fence)
        except (Conflict, Transient) as error:
            self._metrics.count(name, type(error).__name__.lower())
            self._log.info("again", key=key, error=error.message)
            self._retry(key, cause)
        except TendrilError as error:
            self._metrics.count(name, "refused")
            self._log.warning("refused", key=key, error=error.message, field=error.field)
            self._retry(key, cause)
        except Exception:  # noqa: BLE001 - one key's bug must not stop the others; it is logged with its trace
            self._metrics.count(name, "crashed")
            self._log.exception("a reconciliation crashed", key=key)
            self._retry(key, cause)
        else:
            self._metrics.count(name, "done")
            self.backoff.over(key)
            if again is not None:
                if again == 0 or (again <= GOES_ON_S and not cause.has_led):
                    self.causes.put_back(key, cause)
                self.queue.add_after(key, again)

    def _retry(self, key: str, cause: Cause) -> None:
        self.causes.put_back(key, cause)
        self.queue.add_after(key, self.backoff.failed(key))

    def _fence(self, key: str) -> Fence | None:
        leases = self._leases
        return self._shards.fence(leases[shard_of(key, len(leases))] if len(leases) > 1 else leases[0])

    async def _keep_resyncing(self) -> None:
        while True:
            pause = self.reconciler.resync_s * random.uniform(0.8, 1.2)  # noqa: S311 - spreads the replicas
            try:
                async with asyncio.timeout(pause):
                    await self._resync.wait()
            except TimeoutError:
                pass
            self._resync.clear()
            try:
                for key in await self.reconciler.keys():
                    self.wake(key, cause=RESYNC)
            except TendrilError as error:
                self._log.warning("resync failed", error=error.message)
                await asyncio.sleep(BACKOFF_S[1] * random.uniform(0.05, 0.1))  # noqa: S311 - a bounded retry
                self._resync.set()
