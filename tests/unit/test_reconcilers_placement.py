"""placement, with a store in memory: what happens while it reads everything is not lost on it."""

from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime

import pytest

from datamodel.appender import Appender
from datamodel.command import Command, Fence
from datamodel.memory import MemoryStore
from datamodel.node import Node
from datamodel.scheduling.edges import inventory_path
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from reconcilers.placement import Placement
from tests.graph import JOBS, SYSTEM, counted_ids, done, job, new_edge


class Busy(MemoryStore):
    """A store in which something happens when the last of what placement reads is asked for."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def list_nodes(
        self, kind: str, *, under: str = "", after: str = "", limit: int = 100, phases: Collection[str] = ()
    ) -> list[Node]:
        if kind == "DesiredEdge" and self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return await super().list_nodes(kind, under=under, after=after, limit=limit, phases=phases)


@pytest.mark.parametrize("is_new", [True, False])
async def test_a_job_of_which_the_end_is_decided_while_it_is_read_or_noted_is_not_placed(*, is_new: bool) -> None:
    store = Busy(MODEL, lambda: datetime.now(UTC), counted_ids())
    await seed(store)
    async with Appender(store) as appender:
        await new_edge(store, "e")
        await done(store, Command("patchStatus", inventory_path("s", "e"), {"phase": "online"}), actor=SYSTEM)
        placement = Placement(store, appender, lambda: datetime.now(UTC))
        fence = Fence("placement/0", (await store.acquire(["placement/0"], "mine", 60.0))["placement/0"])

        async def heard(*commands: Command) -> None:
            before = (await store.head()).position
            await done(store, *commands, actor=SYSTEM)
            for change in await store.changes(before, 10):
                tuple(placement.watches[change.kind](change))

        async def decide() -> None:
            ending = {"phase": "failed", "reason": "DeadlineExceeded", "message": "it had not ended after 5 s"}
            await heard(Command("patchStatus", f"{JOBS}/over", {"ending": ending}))

        if is_new:
            await placement.reconcile("scheduler", fence)
            await heard(job("over"), job("other"))
            await decide()
        else:
            await done(store, job("over"), job("other"))
            store.meanwhile = decide
        await placement.reconcile("scheduler", fence)
        assert [attempt.spec["job"] for attempt in await store.list_nodes("Attempt")] == [f"{JOBS}/other"]
