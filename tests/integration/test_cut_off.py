"""What becomes of chunks on edges that are cut off, with all reconcilers: jobs and operators say how long is waited."""

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from datamodel.command import Command
from datamodel.errors import Conflict, NotFound
from datamodel.feed.bus import Bus
from datamodel.node import Node
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.edges import desired_path, inventory_path
from datamodel.scheduling.model import MODEL
from datamodel.scheduling.service import config_path
from gateway.executions import executions_of
from tests.graph import done, new_edge, new_job, present, refusal, report, send
from tests.hub import attempts_when, gone, heard, node_when, running_hub
from tests.services import PrivateNats

EDGE_E, EDGE_F = inventory_path("s", "e"), inventory_path("s", "f")
PATIENT: dict[str, Any] = {"suspect_after_s": 0.5, "disconnected_after_s": 1.0, "lost_after_s": 600.0}


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(database_url, MODEL) as store:
        await new_edge(store, "e")
        await new_edge(store, "f")
        yield store


def unheard(job: Node) -> dict[str, Any]:
    """What a job says of chunks that are not heard of."""
    return next((dict(one) for one in job.status.get("conditions", ()) if one["type"] == "Heard"), {"status": ""})


async def phase(store: PostgresStore, path: str, wanted: str) -> None:
    await node_when(store, path, lambda node: node.phase == wanted)


async def test_a_site_s_own_times_are_followed_while_it_runs(
    store: PostgresStore, bus: Bus, server: PrivateNats, database_url: str
) -> None:
    slow: dict[str, Any] = {"suspect_after_s": 300.0, "disconnected_after_s": 600.0, "lost_after_s": 900.0}
    async with running_hub(database_url, server.access(), **slow):
        async with heard(bus, "e", "f"):
            await phase(store, EDGE_E, "online")
            await phase(store, EDGE_F, "online")
        times = {"suspectAfterS": 1, "disconnectedAfterS": 1, "lostAfterS": 500}
        patient = {"suspectAfterS": 400, "disconnectedAfterS": 400}
        await done(store, Command("apply", "/config/sites/s", times), Command("apply", config_path("s", "f"), patient))
        await phase(store, EDGE_E, "disconnected")
        await done(store, Command("patchSpec", "/config/sites/s", {"lostAfterS": 1}))
        await phase(store, EDGE_E, "lost")
        await done(store, Command("patchSpec", "/config/sites/s", {"lostAfterS": 500}))
        assert (await present(store, EDGE_F)).phase == "online"
        async with heard(bus, "e"):
            await phase(store, EDGE_E, "online")


async def test_a_job_that_replaces_does_so_while_another_waits_and_the_first_result_stops_the_other(
    store: PostgresStore, bus: Bus, server: PrivateNats, database_url: str
) -> None:
    async with running_hub(database_url, server.access(), **PATIENT):
        async with heard(bus, "e"):
            await phase(store, EDGE_E, "online")
            waits = await new_job(store, "waits", chunks=1)
            hurries = await new_job(store, "hurries", chunks=1, cutOff={"policy": "replace", "afterS": 0.5})
            (waiting,) = await attempts_when(store, waits, lambda found: len(found) == 1)
            (first,) = await attempts_when(store, hurries, lambda found: len(found) == 1)
            assert first.spec["replaceAfterS"] == 0.5
            for path in (waiting.path, first.path):
                await report(store, path, phase="running", percent=50.0)
        async with heard(bus, "f"):
            _, second = await attempts_when(store, hurries, lambda found: len(found) == 2)
            assert "/f/" in second.path
            given_up = await present(store, first.path)
            assert (given_up.spec["intent"], given_up.spec["intentReason"]) == ("abandon", "EdgeCutOff")
            assert (await present(store, waiting.path)).spec["intent"] == "run"
            assert (await store.pools([EDGE_E]))[EDGE_E].used["cpu"] == 500, "nothing of it has ended for sure"
            await report(store, second.path, phase="running")
            await report(store, first.path, phase="succeeded")
            assert (await present(store, first.path)).status["settlement"] == "counted"
            told = await node_when(store, second.path, lambda node: node.spec["intent"] == "stop")
            assert told.spec["intentReason"] == "Adopted"
            await phase(store, hurries.path, "succeeded")
            assert (await store.pools([EDGE_F]))[EDGE_F].used["cpu"] == 250
            await report(store, second.path, phase="stopped")
            assert (await present(store, second.path)).status["settlement"] == "superseded"
        told = await node_when(store, waits.path, lambda node: unheard(node)["status"] == "Unknown")
        assert (told.phase, told.status["chunks"]) == ("running", {"running": 1}), "and has not failed"
        assert unheard(told)["message"].startswith("1 chunk is on edges that are not heard from")
        (execution,) = (await executions_of(store, [waits.uid]))[waits.uid]
        assert (execution.edge, execution.running, execution.heard) == ("e", 1, False)
        async with heard(bus, "e"):
            await node_when(store, waits.path, lambda node: unheard(node)["status"] == "True")
            await report(store, waiting.path, phase="succeeded")
            ended = await node_when(store, waits.path, lambda node: node.phase == "succeeded")
            assert unheard(ended) == {"status": ""}


async def test_what_a_reconciler_did_not_hear_of_is_stopped_all_the_same(
    store: PostgresStore, bus: Bus, server: PrivateNats, database_url: str
) -> None:
    """A result came first while nobody was there to stop the other."""
    async with running_hub(database_url, server.access(), **PATIENT):
        async with heard(bus, "e"):
            job = await new_job(store, chunks=1, cutOff={"policy": "replace", "afterS": 0})
            (first,) = await attempts_when(store, job, lambda found: len(found) == 1)
            await report(store, first.path, phase="running")
        async with heard(bus, "f"):
            _, second = await attempts_when(store, job, lambda found: len(found) == 2)
    await report(store, first.path, phase="succeeded")
    async with running_hub(database_url, server.access(), **PATIENT):
        await node_when(store, second.path, lambda node: node.spec["intent"] == "stop")


async def say(store: PostgresStore, edge: str, says: str) -> None:
    """An operator's word, as the gateway writes it."""
    word = {"says": says, "position": (await store.head()).position, "reason": "its rack burnt"}
    await done(store, Command("apply", "/config/sites/s"), Command("apply", config_path("s", edge), {"word": word}))


async def test_an_edge_is_lost_by_an_operator_s_word_until_it_is_heard_from_again(
    store: PostgresStore, bus: Bus, server: PrivateNats, database_url: str
) -> None:
    async with running_hub(database_url, server.access(), **PATIENT):
        async with heard(bus, "e"):
            job = await new_job(store, chunks=1)
            (first,) = await attempts_when(store, job, lambda found: len(found) == 1)
            await report(store, first.path, phase="running", percent=50.0)
        async with heard(bus, "f"):
            await phase(store, EDGE_E, "disconnected")
            await say(store, "e", "lost")
            edge = await node_when(store, EDGE_E, lambda node: node.phase == "lost")
            assert edge.status["reason"] == "an operator says that it is lost: its rack burnt"
            _, second = await attempts_when(store, job, lambda found: len(found) == 2)
            assert "/f/" in second.path
            assert (await store.pools([EDGE_E]))[EDGE_E].used["cpu"] == 250, "it may run on"
            await node_when(store, config_path("s", "e"), lambda node: "word" in node.status)
        async with heard(bus, "e"):
            await phase(store, EDGE_E, "online")
        await phase(store, EDGE_E, "disconnected")  # what was said is said no more
        assert (await present(store, first.path)).phase == "running"


async def test_a_host_that_is_off_holds_nothing_and_may_be_deleted_or_come_back_after_all(
    store: PostgresStore, bus: Bus, server: PrivateNats, database_url: str
) -> None:
    async with running_hub(database_url, server.access(), **PATIENT):
        async with heard(bus, "e"):
            job = await new_job(store, chunks=1)
            (first,) = await attempts_when(store, job, lambda found: len(found) == 1)
            await report(store, first.path, phase="running", percent=50.0)
        await phase(store, EDGE_E, "disconnected")
        await say(store, "e", "off")
        ended = await node_when(store, first.path, lambda node: node.phase == "abandoned")
        assert (ended.status["reason"], ended.spec["intent"]) == ("HostOff", "abandon")
        assert ended.status["message"] == "an operator says that its host is off: its rack burnt"
        assert not (await store.pools([EDGE_E]))[EDGE_E].used
        (event,) = [e for e in await store.events(0, 10_000) if e.path == first.path and "HostOff" in str(e.part)]
        assert event.actor == "edges"
        await node_when(store, config_path("s", "e"), lambda node: "word" in node.status)
        async with heard(bus, "e"):
            await phase(store, EDGE_E, "online")
            _, second = await attempts_when(store, job, lambda found: len(found) == 2)
            await report(store, first.path, phase="stopped")  # it ran all the same, and was told to stop
            assert (await present(store, first.path)).status["settlement"] == "superseded"
            await report(store, second.path, phase="running")
        await phase(store, EDGE_E, "disconnected")
        await phase(store, config_path("s", "e"), "open")
        assert (await present(store, second.path)).phase == "running", "nobody said anything of this one"


async def test_an_edge_that_is_gone_for_ever_is_deleted_with_its_place(
    store: PostgresStore, bus: Bus, server: PrivateNats, database_url: str
) -> None:
    async with running_hub(database_url, server.access(), **PATIENT):
        async with heard(bus, "e"):
            job = await new_job(store, chunks=1, ttlAfterFinishS=0)
            (first,) = await attempts_when(store, job, lambda found: len(found) == 1)
            await report(store, first.path, phase="running")
        await phase(store, EDGE_E, "disconnected")
        assert refusal(await send(store, Command("delete", EDGE_E))) is Conflict
        await say(store, "e", "off")
        await node_when(store, first.path, lambda node: node.phase == "abandoned")
        await done(store, Command("delete", job.path))
        await gone(store, job.path)
        await gone(store, first.path)
        await done(store, Command("delete", EDGE_E))
        await gone(store, desired_path("s", "e"))
        assert refusal(await report(store, first.path, phase="succeeded")) is NotFound
