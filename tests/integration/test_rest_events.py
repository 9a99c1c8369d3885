"""Watching a job: the present, what happens, the end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest_asyncio

from datamodel.command import Command
from datamodel.node import Node
from datamodel.ports import Message, Synced
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from tests.conftest import StartNats
from tests.gateway import Gateway, open_gateway, serving
from tests.graph import SYSTEM, done, new_job
from tests.hub import running_hub

URL = "/v1/jobs/default/j/events"


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(database_url, MODEL) as store:
        yield store


@pytest_asyncio.fixture
async def gateway(store: PostgresStore) -> AsyncIterator[Gateway]:
    async with open_gateway(store) as gateway:
        yield gateway


class Event(msgspec.Struct):
    """One server-sent event."""

    name: str
    data: dict[str, Any]
    id: str = ""


async def events(answer: httpx.Response) -> AsyncIterator[Event]:
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            yield Event(fields["event"], msgspec.json.decode(fields["data"]), fields.get("id", ""))
            fields = {}


async def change(gateway: Gateway, job: Node, **status: Any) -> int:
    """Writes a status, and says so as the feed would. The new version."""
    (verdict,) = await done(gateway.store, Command("patchStatus", job.path, status), actor=SYSTEM)
    gateway.changes.deliver(Message(job.path, job.uid, job.kind, verdict.version))
    return verdict.version


async def test_the_present_comes_first_then_every_change_until_the_end(gateway: Gateway) -> None:
    job = await new_job(gateway.store)
    async with serving(gateway) as (_, client), client.stream("GET", URL) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        stream = events(answer)
        first = await anext(stream)
        assert (first.name, first.id, first.data["status"]["phase"]) == ("status", str(job.version), "pending")
        version = await change(gateway, job, phase="running")
        second = await anext(stream)
        assert (second.id, second.data["status"]["phase"]) == (str(version), "running")
        await change(gateway, job, phase="succeeded")
        assert [event.data["status"]["phase"] async for event in stream] == ["succeeded"]


async def test_a_deletion_ends_the_stream(gateway: Gateway) -> None:
    job = await new_job(gateway.store)
    async with serving(gateway) as (_, client), client.stream("GET", URL) as answer:
        stream = events(answer)
        await anext(stream)
        await done(gateway.store, Command("delete", job.path))
        await done(gateway.store, Command("finalize", job.path, {"finalizer": "attempts"}), actor=SYSTEM)
        gateway.changes.deliver(Synced())  # the tombstone itself was missed
        assert [event.name async for event in stream] == ["deleted"]


async def test_a_job_that_ends_since_it_is_deleted_is_watched_until_it_is_gone(gateway: Gateway) -> None:
    job = await new_job(gateway.store)
    await done(gateway.store, Command("delete", job.path))
    async with serving(gateway) as (_, client), client.stream("GET", URL) as answer:
        stream = events(answer)
        await anext(stream)
        version = await change(gateway, job, phase="aborted")
        ended = await anext(stream)
        assert (ended.id, ended.data["status"]["phase"]) == (str(version), "aborted")
        again = client.stream("GET", URL, headers={"Last-Event-ID": str(version)})
        async with again as later:
            assert later.status_code == 200, "there is something left to tell"
            await done(gateway.store, Command("finalize", job.path, {"finalizer": "attempts"}), actor=SYSTEM)
            gateway.changes.deliver(Synced())
            for open_stream in (stream, events(later)):
                assert [event.name async for event in open_stream] == ["deleted"]


async def test_a_client_that_comes_back_gets_what_is_newer(gateway: Gateway) -> None:
    job = await new_job(gateway.store)
    version = await change(gateway, job, phase="succeeded")
    missed = await gateway.client.get(URL, headers={"Last-Event-ID": str(job.version)})
    assert f"id: {version}" in missed.text
    seen = await gateway.client.get(URL, headers={"Last-Event-ID": str(version)})
    assert seen.status_code == 204


async def test_a_job_that_does_not_exist_has_no_events(gateway: Gateway) -> None:
    assert (await gateway.client.get(URL)).status_code == 404


async def test_streams_end_when_the_gateway_stops(gateway: Gateway) -> None:
    await new_job(gateway.store)
    async with serving(gateway) as (server, client), client.stream("GET", URL) as answer:
        stream = events(answer)
        await anext(stream)
        server.should_exit = True
        async with asyncio.timeout(1):
            assert [event async for event in stream] == []


async def test_changes_arrive_through_the_feed(store: PostgresStore, database_url: str, nats_server: StartNats) -> None:
    nats = await nats_server()
    async with (
        running_hub(database_url, nats.access()),
        open_gateway(store, nats.access("gateway")) as gateway,
        serving(gateway) as (_, client),
    ):
        submitted = await client.post("/v1/jobs", json={"name": "j", "steps": [{"name": "s", "image": "i"}]})
        assert submitted.status_code == 202
        async with client.stream("GET", URL) as answer, asyncio.timeout(8):  # before a heartbeat would look again
            stream = events(answer)
            assert (await anext(stream)).name == "status"
            assert (await client.delete("/v1/jobs/default/j")).status_code == 202
            assert [event.name async for event in stream][-1] == "deleted"
