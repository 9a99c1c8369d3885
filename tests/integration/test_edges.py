"""edges with all reconcilers and short thresholds: silence is judged, and what a lost edge held goes elsewhere."""

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from datamodel.command import Command
from datamodel.feed.bus import Bus
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.edges import desired_path, inventory_path
from datamodel.scheduling.model import MODEL
from datamodel.scheduling.service import config_path
from tests.graph import EDGE, done, edge_spec, new_edge, new_job, present, report
from tests.hub import attempts_when, heard, node_when, running_hub
from tests.services import PrivateNats

EDGE_E, EDGE_F = inventory_path("s", "e"), inventory_path("s", "f")
SHORT: dict[str, Any] = {"suspect_after_s": 0.5, "disconnected_after_s": 1.0, "lost_after_s": 1.5}


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(database_url, MODEL) as store:
        yield store


async def phase(store: PostgresStore, path: str, wanted: str) -> None:
    await node_when(store, path, lambda node: node.phase == wanted)


async def test_an_edge_goes_and_comes_back(
    store: PostgresStore, bus: Bus, server: PrivateNats, database_url: str
) -> None:
    await new_edge(store)
    async with running_hub(database_url, server.access(), **SHORT):
        async with heard(bus, "e"):
            await phase(store, EDGE_E, "online")
        for wanted in ("suspect", "disconnected", "lost"):
            await phase(store, EDGE_E, wanted)
        async with heard(bus, "e"):
            await phase(store, EDGE_E, "online")
    phases = [
        event.part["status"]["phase"]
        for event in await store.events(0, 1000)
        if event.path == EDGE_E and event.op == "statusChanged"
    ]
    assert phases == ["online", "suspect", "disconnected", "lost", "online"], "heartbeats themselves are no facts"


async def test_an_edge_that_registers_gets_a_place_in_the_desired_plane(
    store: PostgresStore, bus: Bus, server: PrivateNats, database_url: str
) -> None:
    await new_edge(store)
    await done(store, Command("create", EDGE_F, edge_spec()), actor=EDGE)
    async with running_hub(database_url, server.access()), heard(bus, "f"):
        await phase(store, EDGE_F, "online")
        assert (await present(store, desired_path("s", "f"))).spec == {"cordoned": False}


async def test_an_edge_that_is_cordoned_before_it_comes_has_a_cordoned_place_from_the_start(
    store: PostgresStore, bus: Bus, server: PrivateNats, database_url: str
) -> None:
    await new_edge(store)
    cordon = Command("apply", config_path("s", "f"), {"intent": "cordon"})
    await done(store, Command("apply", "/config/sites/s"), cordon)
    await done(store, Command("create", EDGE_F, edge_spec()), actor=EDGE)
    async with running_hub(database_url, server.access()), heard(bus, "f"):
        await phase(store, config_path("s", "f"), "cordoned")
        await node_when(store, desired_path("s", "f"), lambda node: True)
    events = [event for event in await store.events(0, 1000) if event.path == desired_path("s", "f")]
    assert [event.part["spec"] for event in events] == [{"cordoned": True}]


async def test_the_chunks_of_a_lost_edge_get_a_new_attempt_and_its_reservation_stays(
    store: PostgresStore, bus: Bus, server: PrivateNats, database_url: str
) -> None:
    await new_edge(store, "e")
    await new_edge(store, "f")
    async with running_hub(database_url, server.access(), **SHORT), heard(bus, "f"):
        await phase(store, EDGE_F, "online")
        async with heard(bus, "e"):
            await phase(store, EDGE_E, "online")
            job = await new_job(store, chunks=1)
            (first,) = await attempts_when(store, job, lambda found: len(found) == 1)
            await report(store, first.path, phase="running", percent=50.0)
        assert "/e/" in first.path
        _, second = await attempts_when(store, job, lambda found: len(found) == 2)
        assert "/f/" in second.path
        assert second.path.endswith("-0-2")
        assert (await present(store, first.path)).spec["intent"] == "abandon"
        assert (await store.pools([EDGE_E]))[EDGE_E].used["cpu"] == 250

        await report(store, second.path, phase="succeeded", outputs={"n": 2})
        done_job = await node_when(store, job.path, lambda node: node.phase == "succeeded")
        assert done_job.status["chunks"] == {"succeeded": 1}
        await report(store, first.path, phase="succeeded", outputs={"n": 1})
        assert (await present(store, first.path)).status["settlement"] == "superseded"
        assert not (await store.pools([EDGE_E]))[EDGE_E].used


async def test_a_job_that_is_aborted_waits_for_no_edge_that_is_lost(
    store: PostgresStore, bus: Bus, server: PrivateNats, database_url: str
) -> None:
    await new_edge(store)
    async with running_hub(database_url, server.access(), **SHORT):
        async with heard(bus, "e"):
            await phase(store, EDGE_E, "online")
            job = await new_job(store, chunks=1)
            (attempt,) = await attempts_when(store, job, lambda found: len(found) == 1)
            await report(store, attempt.path, phase="running")
            await done(store, Command("patchSpec", job.path, {"intent": "abort"}))
            await attempts_when(store, job, lambda found: found[0].spec["intent"] == "stop")
        await node_when(store, job.path, lambda node: node.phase == "aborted")
        assert (await present(store, attempt.path)).spec["intent"] == "abandon"


async def test_a_controller_that_restarts_grants_everyone_the_full_time(
    store: PostgresStore, bus: Bus, server: PrivateNats, database_url: str
) -> None:
    await new_edge(store)
    async with running_hub(database_url, server.access(), **SHORT), heard(bus, "e"):
        await phase(store, EDGE_E, "online")
    online = (await present(store, EDGE_E)).version
    patient: dict[str, Any] = {"suspect_after_s": 600.0, "disconnected_after_s": 700.0}
    async with running_hub(database_url, server.access(), **patient):
        job = await new_job(store)
        await attempts_when(store, job, lambda found: len(found) == 1)
        assert (await present(store, EDGE_E)).version == online
    async with running_hub(database_url, server.access(), **SHORT):
        await phase(store, EDGE_E, "suspect")


async def test_an_edge_that_was_drained_and_is_taken_away_is_gone_and_not_lost(
    store: PostgresStore, bus: Bus, server: PrivateNats, database_url: str
) -> None:
    await new_edge(store)
    config = config_path("s", "e")
    async with running_hub(database_url, server.access(), **SHORT):
        async with heard(bus, "e"):
            await phase(store, EDGE_E, "online")
            await done(store, Command("apply", "/config/sites/s"), Command("apply", config, {"intent": "drain"}))
            await phase(store, config, "drained")
        await phase(store, EDGE_E, "gone")
        assert (await present(store, EDGE_E)).status["reason"] == "drained, and silent since"
        async with heard(bus, "e"):
            await phase(store, EDGE_E, "online")
        await phase(store, EDGE_E, "gone")
        await done(store, Command("patchSpec", config, {"intent": "use"}))
        await phase(store, EDGE_E, "lost")
    phases = [
        event.part["status"].get("phase")
        for event in await store.events(0, 1000)
        if event.path == EDGE_E and event.op == "statusChanged"
    ]
    assert "disconnected" not in phases
