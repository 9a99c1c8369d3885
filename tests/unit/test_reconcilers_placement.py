"""placement, with a store in memory: what happens while it reads everything is not lost on it."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime

import pytest

from datamodel.appender import Appender
from datamodel.command import Command, Fence, Outcome, Unit
from datamodel.errors import Transient
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


class Unsure(MemoryStore):
    """A store of which the next answer to who places is lost."""

    is_lost = False

    async def append(self, units: Sequence[Unit]) -> list[Outcome]:
        outcomes = await super().append(units)
        if self.is_lost and any(unit.fence is not None for unit in units):
            self.is_lost = False
            raise Transient("the connection was lost; it is unknown whether this was done")
        return outcomes


async def test_what_may_have_been_placed_is_looked_for_before_more_is() -> None:
    store = Unsure(MODEL, lambda: datetime.now(UTC), counted_ids())
    await seed(store)
    async with Appender(store) as appender:
        await new_edge(store, "e")
        await done(store, Command("patchStatus", inventory_path("s", "e"), {"phase": "online"}), actor=SYSTEM)
        placement = Placement(store, appender, lambda: datetime.now(UTC))
        fence = Fence("placement/0", (await store.acquire(["placement/0"], "mine", 60.0))["placement/0"])
        await placement.reconcile("scheduler", fence)
        await done(store, job("shy", chunks=3, placement={"arrangement": {"chunks": "apart"}}))
        for change in await store.changes(0, 100):
            if change.kind == "Job":
                tuple(placement.watches[change.kind](change))
        store.is_lost = True
        with pytest.raises(Transient):
            await placement.reconcile("scheduler", fence)
        while await placement.reconcile("scheduler", fence) == 0.0:
            pass
        assert len(await store.list_nodes("Attempt")) == 1


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
