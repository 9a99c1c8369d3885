"""When jobs begin and go, with all reconcilers over the real store: after others, at a moment, again and again, each once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest_asyncio

from datamodel.command import Command
from datamodel.feed.access import Access
from datamodel.feed.bus import Bus
from datamodel.feed.stream import JetStreams
from datamodel.names import last_name
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.edges import inventory_path
from datamodel.scheduling.model import MODEL
from datamodel.verify import verify
from reconcilers.calling.http import HttpSender
from reconcilers.program import Program
from reconcilers.settings import Settings
from tests.conftest import StartNats
from tests.feed import connected
from tests.gateway import open_gateway, serving
from tests.graph import JOBS, REQUESTS, STEPS, done, new_edge, new_job, present, report
from tests.hub import AGENTS, attempts_of, attempts_when, gone, heard, introduce, nats_settings, node_when
from tests.services import PrivateNats

SCHEDULES = "/config/job-groups/default/schedules"
SPEC = {"cron": "* * * * *", "job": {"steps": STEPS, "requests": REQUESTS, "labels": {"of": "s"}}}


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(database_url, MODEL) as store:
        yield store
        found = await verify(store)
        assert found.clean, str(found)


@pytest_asyncio.fixture
async def server(nats_server: StartNats) -> PrivateNats:
    return await nats_server()


@pytest_asyncio.fixture
async def bus(server: PrivateNats, store: PostgresStore) -> AsyncIterator[Bus]:
    """An edge of four places, which is heard from."""
    await new_edge(store, "e")
    async with connected(server.access()) as bus, heard(bus, "e"):
        yield bus


@asynccontextmanager
async def hub(
    database_url: str, access: Access, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> AsyncIterator[None]:
    """All reconcilers, whose clock that is."""
    settings = Settings(database_url=database_url, **nats_settings(access), lease_ttl_s=1.0)
    async with (
        PostgresStore(database_url, MODEL) as store,
        connected(access) as bus,
        HttpSender(settings.exposure(), timeout_s=settings.callbacks_timeout_s) as sender,
    ):
        await introduce(store, *AGENTS)
        task = asyncio.create_task(Program(settings, store, bus, JetStreams(bus), sender, clock).run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def ahead_of_a_minute(seconds: float) -> Callable[[], datetime]:
    """A clock that shows so many seconds before a full minute now, and goes on."""
    now = datetime.now(UTC)
    full = now.replace(second=0, microsecond=0) + timedelta(minutes=2)
    fast = full - timedelta(seconds=seconds) - now
    return lambda: datetime.now(UTC) + fast


async def run_through(store: PostgresStore, path: str) -> None:
    """The job's one chunk succeeds."""
    job = await present(store, path)
    (attempt,) = await attempts_when(store, job, lambda found: len(found) == 1)
    await report(store, attempt.path, phase="succeeded")
    await node_when(store, path, lambda node: node.phase == "succeeded")


async def test_a_job_begins_once_others_have_ended_and_it_is_time(
    store: PostgresStore, bus: Bus, server: PrivateNats, database_url: str
) -> None:
    async with hub(database_url, server.access()):
        await node_when(store, inventory_path("s", "e"), lambda node: node.phase == "online")
        await new_job(store, "first")
        last = await new_job(store, "last", after=[{"job": "first"}])
        begin = datetime.now(UTC) + timedelta(seconds=2)
        late = await new_job(store, "late", startAt=begin.isoformat())
        waiting = await node_when(store, last.path, lambda node: bool(node.status.get("conditions")))
        assert waiting.status["conditions"][0]["message"] == "waits for first"
        await run_through(store, f"{JOBS}/first")
        await run_through(store, last.path)
        (attempt,) = await attempts_when(store, late, lambda found: len(found) == 1)
        assert attempt.created_at >= begin
        ready = await present(store, last.path)
        assert attempt.spec["job"] == late.path
        assert ready.status["after"] == ["first"]
        (placed,) = await attempts_of(store, last)
        assert datetime.fromisoformat(ready.status["readyAt"]) <= placed.created_at


async def test_what_can_never_begin_fails_and_what_has_served_its_time_goes(
    store: PostgresStore, bus: Bus, server: PrivateNats, database_url: str
) -> None:
    async with hub(database_url, server.access()):
        await new_job(store, "first", ttlAfterFinishS=0)
        after = [{"job": "first", "on": "finished"}]
        second = await new_job(store, "second", after=after, ttlAfterFinishS=0)
        await new_job(store, "third", after=[{"job": "first"}])
        await done(store, Command("patchSpec", f"{JOBS}/first", {"intent": "abort"}))
        third = await node_when(store, f"{JOBS}/third", lambda node: node.phase == "failed")
        reasons = {one["type"]: one["reason"] for one in third.status["conditions"]}
        assert (reasons["Ready"], reasons["Complete"]) == ("DependencyFailed", "Failed")
        await run_through(store, second.path)
        for name in ("first", "second"):
            await gone(store, f"{JOBS}/{name}", timeout_s=30.0)
        assert await attempts_of(store, second) == []
        assert await store.nodes([third.path])


async def test_a_schedule_that_was_asked_for_over_rest_makes_its_job_once_however_many_look(
    store: PostgresStore, bus: Bus, server: PrivateNats, database_url: str
) -> None:
    clock = ahead_of_a_minute(3.0)
    async with (
        hub(database_url, server.access(), clock),
        hub(database_url, server.access(), clock),
        open_gateway(store, server.access("gateway")) as gateway,
        serving(gateway) as (_, client),
    ):
        body = {"metadata": {"name": "s"}, "spec": {**SPEC, "concurrency": "forbid"}}
        answer = await client.post(f"/v1{SCHEDULES}", json=body)
        assert answer.status_code == 201, answer.text
        told = await node_when(store, f"{SCHEDULES}/s", lambda node: node.status.get("active") == 1)
        (made,) = await store.list_nodes("Job")
        assert made.links["schedule"] == (told.uid,)
        assert made.correlation == told.correlation != ""
        assert last_name(made.path) == told.status["activeJobs"][0]
        await run_through(store, made.path)
        await node_when(store, f"{SCHEDULES}/s", lambda node: node.status["active"] == 0)
        seen = (await client.get(f"/v1{SCHEDULES}/s")).json()
        assert seen["status"]["counts"] == {"made": 1, "skipped": 0, "missed": 0, "refused": 0}
        events = (await client.get(f"/v1{made.path}/history")).json()["items"]
        assert (events[-1]["op"], events[-1]["actor"]) == ("created", "schedules")
        query = "query($path: String!) {node(path: $path) {... on Schedule {jobs {edges {node {path}}}}}}"
        asked = {"query": query, "variables": {"path": f"{SCHEDULES}/s"}}
        graph = (await client.post("/graphql", json=asked)).json()
        assert graph["data"]["node"]["jobs"]["edges"] == [{"node": {"path": made.path}}]
        bad = {"metadata": {"name": "t"}, "spec": {**SPEC, "cron": "61 * * * *"}}
        refused = await client.post(f"/v1{SCHEDULES}", json=bad)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["pointer"] == "/spec/cron"
