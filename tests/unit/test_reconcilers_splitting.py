"""placement of jobs that are to be split, with a store in memory: what is chosen is written with the first attempts, once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from datamodel.appender import Appender
from datamodel.command import Command, Fence
from datamodel.memory import MemoryStore
from datamodel.node import Node
from datamodel.reads import Reads
from datamodel.scheduling.edges import inventory_path
from datamodel.scheduling.jobs import FAILED, SUCCEEDED
from datamodel.seeds import seed
from datamodel.verify import verify
from reconcilers import placement as placing
from reconcilers.placement import Placement
from reconcilers.progress import Progress
from tests.graph import SYSTEM, done, memory_store, new_edge, new_job, present, report

SPLIT: dict[str, Any] = {"maxChunks": 9, "workWs": 90.0}


class Replica:
    """One that decides, and hears of what others write."""

    def __init__(self, store: MemoryStore, appender: Appender, fence: Fence) -> None:
        self._store, self._fence, self._heard = store, fence, 0
        self._placement = Placement(store, appender, lambda: datetime.now(UTC))

    async def listen(self) -> None:
        while changes := await self._store.changes(self._heard, 1_000):
            for change in changes:
                if change.kind in self._placement.watches:
                    tuple(self._placement.watches[change.kind](change))
                self._heard = change.position

    async def decide(self) -> None:
        """Rounds, until there is nothing to decide."""
        while await self._placement.reconcile("scheduler", self._fence) == 0.0:
            pass


class Hub:
    """A store with an edge of four places, and replicas of placement at it."""

    def __init__(self, store: MemoryStore, appender: Appender) -> None:
        self.store, self.appender = store, appender
        self._tokens = 0

    async def replica(self) -> Replica:
        """One that has the lease now, whoever had it before."""
        self._tokens += 1
        await self.store.release(["placement/0"], f"holder-{self._tokens - 1}")
        token = (await self.store.acquire(["placement/0"], f"holder-{self._tokens}", 60.0))["placement/0"]
        return Replica(self.store, self.appender, Fence("placement/0", token))

    async def attempts(self, one: Node) -> list[tuple[int, int, int]]:
        """Index, epoch and count of each."""
        found = await self.store.list_nodes("Attempt", limit=1_000)
        return sorted(
            (node.spec["index"], int(node.path.rpartition("-")[2]), node.spec["count"])
            for node in found
            if node.spec["job"] == one.path
        )

    async def edge(self, name: str, cpu: float = 1.0) -> None:
        await new_edge(self.store, name, cpu=cpu)
        await done(self.store, Command("patchStatus", inventory_path("s", name), {"phase": "online"}), actor=SYSTEM)

    async def progress(self, one: Node) -> Node:
        told = Progress(self.store, self.appender, Reads(self.store), lambda: datetime.now(UTC))
        token = (await self.store.acquire(["progress/0"], "teller", 60.0))["progress/0"]
        await told.reconcile(one.path, Fence("progress/0", token))
        return await present(self.store, one.path)


@pytest_asyncio.fixture
async def hub() -> AsyncIterator[Hub]:
    async with started() as hub:
        yield hub


@asynccontextmanager
async def started() -> AsyncIterator[Hub]:
    store = memory_store()
    await seed(store)
    async with Appender(store) as appender:
        hub = Hub(store, appender)
        await hub.edge("e")
        yield hub
    assert (await verify(store)).clean


async def test_a_job_has_as_many_chunks_as_there_is_room_for_at_its_turn(hub: Hub) -> None:
    one, replica = await new_job(hub.store, **SPLIT), await hub.replica()
    await replica.decide()
    split = await present(hub.store, one.path)
    assert split.status["split"] == {"chunks": 4}
    assert await hub.attempts(one) == [(index, 1, 4) for index in range(4)]
    events = await hub.store.changes(one.version, 100)
    assert [change.kind for change in events] == ["Job", *["Attempt"] * 4], "in one transaction, the number first"
    await hub.edge("f", cpu=4.0)
    await replica.listen()
    await replica.decide()
    assert len(await hub.attempts(one)) == 4


async def test_it_is_one_row_until_something_fits(hub: Hub) -> None:
    requests = {"cpu": 2.0, "memoryBytes": 1, "powerW": 1.0}
    one = await new_job(hub.store, **SPLIT, requests=requests)
    replica, before = await hub.replica(), (await hub.store.head()).position
    await replica.decide()
    assert (await hub.store.head()).position == before
    await hub.edge("f", cpu=5.0)
    await replica.listen()
    await replica.decide()
    assert (await present(hub.store, one.path)).status["split"] == {"chunks": 2}
    assert len(await hub.attempts(one)) == 2


async def test_who_is_late_splits_it_no_other_way(hub: Hub) -> None:
    """Two have read it, and one of them has lost its lease without knowing it."""
    late = await hub.replica()
    await late.decide()
    one = await new_job(hub.store, **SPLIT)
    await late.listen()
    early = await hub.replica()
    await early.decide()
    assert (await present(hub.store, one.path)).status["split"] == {"chunks": 4}
    await hub.edge("f", cpu=1.0)
    await late.listen()
    await late.decide()
    await early.listen()
    await early.decide()
    assert (await present(hub.store, one.path)).status["split"] == {"chunks": 4}
    assert await hub.attempts(one) == [(index, 1, 4) for index in range(4)]


async def test_what_is_asked_of_it_meanwhile_holds_and_nothing_is_chosen(hub: Hub) -> None:
    replica = await hub.replica()
    await replica.decide()
    one = await new_job(hub.store, **SPLIT)
    await replica.listen()
    await done(hub.store, Command("patchSpec", one.path, {"intent": "suspend"}))
    await replica.decide()
    await replica.listen()
    await replica.decide()
    assert ((await present(hub.store, one.path)).status, await hub.attempts(one)) == ({}, [])
    await done(hub.store, Command("patchSpec", one.path, {"intent": "run"}))
    await replica.listen()
    await replica.decide()
    assert len(await hub.attempts(one)) == 4


async def test_a_change_of_its_status_meanwhile_delays_it_and_no_more(hub: Hub) -> None:
    replica = await hub.replica()
    await replica.decide()
    one = await new_job(hub.store, **SPLIT)
    await replica.listen()
    told = await hub.progress(one)
    await done(hub.store, Command("patchStatus", one.path, {"startedAt": "2030-01-01T00:00:00Z"}), actor=SYSTEM)
    assert told.status.get("split") is None
    await replica.decide()
    await replica.decide()
    assert len(await hub.attempts(one)) == 4


async def test_the_next_replica_goes_on_with_the_number_that_was_chosen(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one before it has come no further than its first round."""
    monkeypatch.setattr(placing, "ROUND", 2)
    one, first = await new_job(hub.store, **SPLIT), await hub.replica()
    await first._placement.reconcile("scheduler", first._fence)
    assert await hub.attempts(one) == [(0, 1, 4), (1, 1, 4)]
    await report(hub.store, (await hub.store.list_nodes("Attempt"))[0].path, phase="interrupted")
    await hub.edge("f", cpu=2.0)
    await (await hub.replica()).decide()
    assert await hub.attempts(one) == [(0, 1, 4), (0, 2, 4), (1, 1, 4), (2, 1, 4), (3, 1, 4)]


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ({"maxChunks": 3}, 3),
        ({"minChunkWs": 40.0}, 2),
        ({"maxParallel": 2}, 2),
        ({"allOrNothing": True}, 4),
        ({"placement": {"arrangement": {"chunks": "apart"}}}, 1),
    ],
)
async def test_no_more_than_it_says(hub: Hub, asked: dict[str, Any], chosen: int) -> None:
    one, replica = await new_job(hub.store, **(SPLIT | asked)), await hub.replica()
    await replica.decide()
    assert (await present(hub.store, one.path)).status["split"] == {"chunks": chosen}
    assert await hub.attempts(one) == [(index, 1, chosen) for index in range(chosen)]


@pytest.mark.parametrize(
    ("completion", "fails", "phase"),
    [
        ({}, 0, SUCCEEDED),
        ({}, 1, FAILED),
        ({"maxFailedChunks": 8}, 3, SUCCEEDED),
        ({"maxFailedChunks": 8}, 4, FAILED),
        ({"succeedAfter": 9}, 0, SUCCEEDED),
        ({"succeedAfter": 2}, 0, SUCCEEDED),
    ],
)
async def test_it_ends_by_the_number_that_was_chosen(
    hub: Hub, completion: dict[str, int], fails: int, phase: str
) -> None:
    asked: dict[str, Any] = {"completion": completion} if completion else {}
    one, replica = await new_job(hub.store, **SPLIT, retries=0, outputs={"n": "sum"}, **asked), await hub.replica()
    await replica.decide()
    for number, attempt in enumerate(await hub.store.list_nodes("Attempt")):
        how = FAILED if number < fails else SUCCEEDED
        await report(hub.store, attempt.path, phase=how, **({} if how == FAILED else {"outputs": {"n": 1}}))
    ended = await hub.progress(one)
    assert (ended.phase, ended.status["split"], ended.status.get("outputs")) == (
        phase,
        {"chunks": 4},
        {"n": 4 - fails} if phase == SUCCEEDED else None,
    )


async def test_an_array_runs_as_many_at_a_time_as_it_says_and_each_has_its_index(hub: Hub) -> None:
    one, replica = await new_job(hub.store, array="7,10-30:10%2"), await hub.replica()
    await replica.decide()
    assert await hub.attempts(one) == [(0, 1, 4), (1, 1, 4)]
    for _ in range(2):
        for attempt in await hub.store.list_nodes("Attempt"):
            await report(hub.store, attempt.path, phase="succeeded")
        await replica.listen()
        await replica.decide()
    found = await hub.store.list_nodes("Attempt")
    assert {(node.spec["index"], node.spec["arrayIndex"]) for node in found} == {(0, 7), (1, 10), (2, 20), (3, 30)}
