"""placement, with a store in memory: what happens while it reads everything is not lost on it, and what edges say counts."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from datamodel.appender import Appender
from datamodel.command import Command, Fence, Outcome, Unit
from datamodel.errors import Transient
from datamodel.memory import MemoryStore
from datamodel.node import Node
from datamodel.scheduling.edges import inventory_path, place_of
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from reconcilers.placement import Placement
from tests.graph import EDGE, JOBS, STEPS, SYSTEM, counted_ids, done, job, new_edge, present


class Busy(MemoryStore):
    """A store in which something happens when the last of what placement reads is asked for, or the first of the jobs."""

    meanwhile: Callable[[], Awaitable[None]] | None = None
    at_first = False

    async def list_nodes(
        self, kind: str, *, under: str = "", after: str = "", limit: int = 100, phases: Collection[str] = ()
    ) -> list[Node]:
        if kind == "Job" and (after or self.at_first) and self.meanwhile is not None:
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


@pytest.mark.parametrize("was_there", [True, False])
async def test_a_job_that_comes_while_all_is_read_goes_only_where_its_group_may(*, was_there: bool) -> None:
    store, group = Busy(MODEL, lambda: datetime.now(UTC), counted_ids()), "/config/job-groups/away"
    await seed(store)
    async with Appender(store) as appender:
        await new_edge(store, "e")
        await done(store, Command("patchStatus", inventory_path("s", "e"), {"phase": "online"}), actor=SYSTEM)
        if was_there:
            await done(store, Command("create", group, {"sites": ["s"]}))

        async def come() -> None:
            await done(store, Command("apply", group, {"sites": ["elsewhere"]}))
            await done(store, Command("create", f"{group}/jobs/j", {"steps": STEPS}))

        store.meanwhile, store.at_first = come, True
        placement = Placement(store, appender, lambda: datetime.now(UTC))
        fence = Fence("placement/0", (await store.acquire(["placement/0"], "mine", 60.0))["placement/0"])
        while await placement.reconcile("scheduler", fence) == 0.0:
            pass
        assert store.meanwhile is None
        assert await store.list_nodes("Attempt") == []


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


class Placer:
    """Placement over a store, which hears of all that is written."""

    def __init__(self, store: MemoryStore, appender: Appender) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=UTC)
        self._store = store
        self._placement = Placement(store, appender, lambda: self.now)
        self._position = 0

    async def round(self) -> float | None:
        """Places what can be; in how many seconds it looks again."""
        for change in await self._store.changes(self._position, 1_000):
            self._position = change.position
            if change.kind in self._placement.watches:
                tuple(self._placement.watches[change.kind](change))
        fence = Fence("placement/0", (await self._store.acquire(["placement/0"], "mine", 60.0))["placement/0"])
        while (rest_s := await self._placement.reconcile("scheduler", fence)) == 0.0:
            pass
        return rest_s

    async def placed(self) -> list[str]:
        """The edges of all attempts."""
        attempts = await self._store.list_nodes("Attempt", limit=1_000)
        return sorted(place_of(attempt.path)[1] for attempt in attempts)


@pytest_asyncio.fixture
async def store() -> MemoryStore:
    store = MemoryStore(MODEL, lambda: datetime.now(UTC), counted_ids())
    await seed(store)
    return store


@pytest_asyncio.fixture
async def placer(store: MemoryStore) -> AsyncIterator[Placer]:
    async with Appender(store) as appender:
        yield Placer(store, appender)


async def online(store: MemoryStore, name: str, **spec: Any) -> None:
    await new_edge(store, name)
    path = inventory_path("s", name)
    await done(store, Command("patchStatus", path, {"phase": "online"}), actor=SYSTEM)
    if spec:
        await done(store, Command("patchSpec", path, spec), actor=EDGE)


async def test_chunks_have_the_labels_that_their_job_has_when_they_are_placed(
    store: MemoryStore, placer: Placer
) -> None:
    await done(store, job("j"))
    await placer.round()
    await done(store, Command("patchSpec", f"{JOBS}/j", {}, labels={"team": "blue"}))
    await online(store, "e")
    await placer.round()
    (attempt,) = await store.list_nodes("Attempt")
    assert attempt.spec["labels"] == {"team": "blue"}


async def test_a_job_goes_first_where_its_images_are_and_else_anywhere(store: MemoryStore, placer: Placer) -> None:
    await online(store, "e")
    await online(store, "f", images=["docker.io/library/busybox:latest"])
    await done(store, job("first", chunks=5))
    await placer.round()
    assert await placer.placed() == ["e", "f", "f", "f", "f"], "there is room for four"
    await done(store, job("second", steps=[{"name": "run", "image": "elsewhere/other"}]))
    await placer.round()
    assert await placer.placed() == ["e", "e", "f", "f", "f", "f"]


async def test_images_that_come_later_count_for_jobs_that_come_then(store: MemoryStore, placer: Placer) -> None:
    await online(store, "e")
    await online(store, "f")
    await placer.round()
    await done(
        store,
        Command("patchSpec", inventory_path("s", "f"), {"images": ["docker.io/library/busybox:latest"]}),
        actor=EDGE,
    )
    await placer.round()
    await done(store, job("j", chunks=2))
    await placer.round()
    assert await placer.placed() == ["f", "f"]


async def test_no_more_power_is_counted_on_than_is_expected_within_the_horizon(
    store: MemoryStore, placer: Placer
) -> None:
    await done(store, Command("patchSpec", "/config/scheduler", {"forecastHorizonS": 60}))
    ahead = [{"at": (placer.now + timedelta(seconds=s)).isoformat(), "powerW": w} for s, w in ((30, 2.0), (40, 10.0))]
    await online(store, "e", forecast=ahead)
    await done(store, job("j", chunks=4))
    rest_s = await placer.round()
    assert rest_s is not None
    assert rest_s <= 30.0, "then something else is expected"
    assert len(await placer.placed()) == 2
    placer.now += timedelta(seconds=30)
    rest_s = await placer.round()
    assert rest_s is not None
    assert rest_s <= 10.0
    assert len(await placer.placed()) == 4, "the power that there is now is what the edge says"


async def test_an_edge_that_shrinks_gets_nothing_new_until_it_has_grown(store: MemoryStore, placer: Placer) -> None:
    await online(store, "e")
    await done(store, job("j", chunks=2), Command("patchSpec", "/config/scheduler", {"policy": "powerAware"}))
    await placer.round()
    path = inventory_path("s", "e")

    async def has(power_w: float) -> None:
        capacity = (await present(store, path)).spec["capacity"] | {"powerW": power_w}
        await done(store, Command("patchSpec", path, {"capacity": capacity}), actor=EDGE)

    await has(1.0)
    await done(store, job("k"))
    await placer.round()
    assert len(await placer.placed()) == 2
    await has(0.0)
    await placer.round()
    assert len(await placer.placed()) == 2
    await has(3.0)
    await placer.round()
    assert len(await placer.placed()) == 3
