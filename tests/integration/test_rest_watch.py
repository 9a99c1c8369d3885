"""Watching a collection over REST: the present, what becomes of it, and coming back."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from datamodel.command import Command
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from tests.garden import MODEL as GARDEN
from tests.gateway import Gateway, open_gateway, serving
from tests.graph import JOBS, STEPS, SYSTEM, done, job, memory_store
from tests.integration.test_rest_events import Event, events
from tests.waiting import until

URL = f"/v1{JOBS}"
WATCH = {"watch": "true"}


@pytest_asyncio.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with PostgresStore(database_url, MODEL) as store, open_gateway(store) as gateway:
        yield gateway


async def until_bookmark(stream: AsyncIterator[Event]) -> tuple[list[tuple[str, str]], str]:
    """What was told of whom until the next bookmark, and its id."""
    told: list[tuple[str, str]] = []
    async with asyncio.timeout(30):
        async for event in stream:
            if event.name == "bookmark":
                return told, event.id
            told.append((event.name, event.data["metadata"]["name"]))
    raise AssertionError(told)


async def test_what_there_is_comes_first_and_then_what_changes(gateway: Gateway) -> None:
    await done(gateway.store, job("a"))
    async with serving(gateway) as (_, client), client.stream("GET", URL, params=WATCH) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        stream = events(answer)
        assert (await until_bookmark(stream))[0] == [("added", "a")]
        await done(gateway.store, job("b"))
        assert (await until_bookmark(stream))[0] == [("added", "b")]
        await done(gateway.store, Command("patchStatus", f"{JOBS}/a", {"phase": "running"}), actor=SYSTEM)
        assert (await until_bookmark(stream))[0] == [("modified", "a")]
        await done(gateway.store, Command("delete", f"{JOBS}/a"))
        assert (await until_bookmark(stream))[0] == [("modified", "a")]
        await done(gateway.store, Command("finalize", f"{JOBS}/a", {"finalizer": "attempts"}), actor=SYSTEM)
        assert (await until_bookmark(stream))[0] == [("deleted", "a")]


async def test_what_no_longer_fits_is_deleted_to_who_asked_for_what_fits(gateway: Gateway) -> None:
    await done(gateway.store, job("a"), Command("create", f"{JOBS}/b", {"steps": STEPS}, {"team": "red"}))
    watch = {**WATCH, "fieldSelector": "status.phase=pending", "labelSelector": "team"}
    async with serving(gateway) as (_, client), client.stream("GET", "/v1/jobs", params=watch) as answer:
        stream = events(answer)
        assert (await until_bookmark(stream))[0] == [("added", "b")]
        await done(gateway.store, Command("patchStatus", f"{JOBS}/b", {"phase": "running"}), actor=SYSTEM)
        assert (await until_bookmark(stream))[0] == [("deleted", "b")]


async def test_who_comes_back_is_told_what_was_missed(gateway: Gateway) -> None:
    await done(gateway.store, job("a"), job("b"))
    listed = (await gateway.client.get(URL)).json()
    await done(gateway.store, job("c"), Command("patchSpec", f"{JOBS}/a", {"retries": 9}))
    async with serving(gateway) as (_, client):
        headers = {"Last-Event-ID": listed["bookmark"]}
        async with client.stream("GET", URL, params=WATCH, headers=headers) as answer:
            told, seen = await until_bookmark(events(answer))
        assert sorted(told) == [("added", "c"), ("modified", "a")]
        since = {**WATCH, "asOf": str(listed["position"])}
        async with client.stream("GET", URL, params=since) as answer:
            assert sorted((await until_bookmark(events(answer)))[0]) == [("added", "c"), ("modified", "a")]
        await done(gateway.store, job("d"))
        async with client.stream("GET", URL, params=WATCH, headers={"Last-Event-ID": seen}) as answer:
            assert (await until_bookmark(events(answer)))[0] == [("added", "d")]


async def test_who_comes_back_to_another_log_must_list_again() -> None:
    store = memory_store()
    await seed(store)
    copy = store.copy()
    async with open_gateway(store) as gateway, serving(gateway) as (_, client):
        await done(store, job("a"))
        async with client.stream("GET", URL, params=WATCH) as answer:
            stream = events(answer)
            _, seen = await until_bookmark(stream)
            store.put_back(copy)
            await done(store, job("b"), job("c"))
            async with asyncio.timeout(30):
                last = await anext(stream)
                assert (last.name, last.data["status"]) == ("gone", 410)
                assert [event async for event in stream] == []
        refused = await client.get(URL, params=WATCH, headers={"Last-Event-ID": seen})
        assert refused.status_code == 410
        assert refused.json()["errors"][0]["pointer"] == "Last-Event-ID"
        async with client.stream("GET", URL, params=WATCH) as answer:
            assert (await until_bookmark(events(answer)))[0] == [("added", "b"), ("added", "c")]


async def test_watches_that_make_no_sense_are_refused(gateway: Gateway) -> None:
    odd = await gateway.client.get(URL, params=WATCH, headers={"Last-Event-ID": "17"})
    assert (odd.status_code, odd.json()["errors"][0]["pointer"]) == (422, "Last-Event-ID")
    nowhere = await gateway.client.get("/v1/config/job-groups/none/jobs", params=WATCH)
    assert nowhere.status_code == 404


async def test_watches_end_when_the_gateway_stops(gateway: Gateway) -> None:
    async with serving(gateway) as (server, client), client.stream("GET", URL, params=WATCH) as answer:
        stream = events(answer)
        await until_bookmark(stream)
        server.should_exit = True
        async with asyncio.timeout(1):
            assert [event async for event in stream] == []


async def test_kinds_of_another_model_are_watched() -> None:
    store = memory_store(GARDEN)
    await seed(store)
    async with (
        open_gateway(store) as gateway,
        serving(gateway) as (_, client),
        client.stream("GET", "/v1/garden/beds", params=WATCH) as answer,
    ):
        stream = events(answer)
        await until_bookmark(stream)
        await client.post("/v1/garden/beds", json={"metadata": {"name": "b"}})
        assert (await until_bookmark(stream))[0] == [("added", "b")]


async def test_who_left_is_not_woken_any_more(gateway: Gateway) -> None:
    async with serving(gateway) as (_, client):
        async with client.stream("GET", URL, params=WATCH) as answer:
            await until_bookmark(events(answer))
        await until(lambda: "growth" not in {task.get_name() for task in asyncio.all_tasks()})
