"""progress, with a store in memory: what a status says of chunks and of their outputs is of one moment."""

from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime

import pytest

from datamodel.appender import Appender
from datamodel.command import Command, Fence
from datamodel.errors import Conflict
from datamodel.ledger import Entry
from datamodel.memory import MemoryStore
from datamodel.reads import Reads
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from reconcilers.progress import Progress
from tests.graph import SYSTEM, counted_ids, done, new_edge, new_job, place, present, report


class Busy(MemoryStore):
    """Something happens once, while a job's entries are read."""

    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def entries(
        self, owner: str, *, phases: Collection[str] = (), after: int = -1, limit: int = 1000
    ) -> list[Entry]:
        now, self.meanwhile = self.meanwhile, None
        if now is not None:
            await now()
        return await super().entries(owner, phases=phases, after=after, limit=limit)


async def test_a_late_success_is_counted_with_its_outputs_or_not_at_all() -> None:
    store = Busy(MODEL, lambda: datetime.now(UTC), counted_ids())
    await seed(store)
    await new_edge(store)
    job = await new_job(store, "j", chunks=2, outputs={"n": "sum"}, completion={"succeedAfter": 1})
    first, second = [await place(store, job, index) for index in range(2)]
    await report(store, first, phase="succeeded", outputs={"n": 1})
    await done(store, Command("patchSpec", second, {"intent": "abandon"}), actor=SYSTEM)
    async with Appender(store) as appender:
        progress = Progress(store, appender, Reads(store), lambda: datetime.now(UTC))
        fence = Fence("progress/0", (await store.acquire(["progress/0"], "mine", 60.0))["progress/0"])
        await progress.reconcile(job.path, fence)
        assert (await present(store, job.path)).status["ending"]["phase"] == "succeeded"
        store.meanwhile = lambda: report(store, second, phase="succeeded", outputs={"n": 2})
        with pytest.raises(Conflict):
            await progress.reconcile(job.path, fence)
        await progress.reconcile(job.path, fence)
    ended = (await present(store, job.path)).status
    assert (ended["phase"], ended["chunks"], ended["outputs"]) == ("succeeded", {"succeeded": 2}, {"n": 3})
