"""Reading logs: what is wrong with a request, and with a log."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from datamodel.node import Node
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.logs import Frame, Position, Record, Taken, encode, key_of
from datamodel.scheduling.model import MODEL
from datamodel.transcripts.memory import MemoryTranscripts
from tests.gateway import STEP, Gateway, open_gateway, serving
from tests.graph import attempt_path, new_edge, new_job, place, report
from tests.integration.test_rest_events import events

URL = "/v1/jobs/default/j/logs"


class Kept(MemoryTranscripts):
    """Transcripts for an hour."""

    async def kept_s(self) -> float:
        return 3600.0


@pytest.fixture
def transcripts() -> Kept:
    return Kept()


@pytest_asyncio.fixture
async def gateway(database_url: str, transcripts: Kept) -> AsyncIterator[Gateway]:
    async with PostgresStore(database_url, MODEL) as store, open_gateway(store, transcripts=transcripts) as gateway:
        yield gateway


async def placed(gateway: Gateway, **spec: Any) -> Node:
    job = await new_job(gateway.store, steps=[STEP], **spec)
    await new_edge(gateway.store)
    await place(gateway.store, job)
    return job


def frame(offset: int, *lines: str, last: bool = False) -> bytes:
    records = tuple(Record(0, "stdout", 10**18, line.encode()) for line in lines)
    return encode(Frame(1, offset, records, Position(), Taken(), last))


def key(job: Node) -> str:
    return key_of("s", "e", attempt_path(job).rpartition("/")[2])


async def end(gateway: Gateway, job: Node, *, ago: timedelta = timedelta()) -> None:
    finished = (datetime.now(UTC) - ago).isoformat()
    await report(gateway.store, attempt_path(job), phase="succeeded", finishedAt=finished)


@pytest.mark.parametrize(
    ("query", "status", "pointer"),
    [
        ("chunk=8", 404, "?chunk"),
        ("chunk=-1", 422, "?chunk"),
        ("chunk=x", 422, "?chunk"),
        ("", 422, "?chunk"),
        ("chunk=1", 404, "?chunk"),
        ("chunk=0&epoch=2", 404, "?epoch"),
        ("chunk=0&epoch=0", 422, "?epoch"),
        ("attempt=nothing", 404, "?attempt"),
        ("attempt=00000000000000000000000000000000-0-1", 404, "?attempt"),
        ("chunk=0&step=nothing", 404, "?step"),
        ("chunk=0&stream=stdin", 422, "?stream"),
        ("chunk=0&tail=-1", 422, "?tail"),
        ("chunk=0&follow=1", 422, "?follow"),
        ("chunk=0&container=a", 422, "?container"),
    ],
)
async def test_what_is_wrong_is_named(gateway: Gateway, query: str, status: int, pointer: str) -> None:
    await placed(gateway, chunks=8)
    answer = await gateway.client.get(f"{URL}?{query}")
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert [finding["pointer"] for finding in answer.json()["errors"]] == [pointer]


async def test_an_attempt_belongs_to_its_chunk(gateway: Gateway) -> None:
    job = await placed(gateway, chunks=8)
    answer = await gateway.client.get(URL, params={"attempt": attempt_path(job).rpartition("/")[2], "chunk": 1})
    assert answer.status_code == 422


async def test_a_job_that_does_not_exist_has_no_logs(gateway: Gateway) -> None:
    assert (await gateway.client.get(URL)).status_code == 404


async def test_a_log_that_is_too_old_is_gone_and_a_young_one_is_empty(gateway: Gateway) -> None:
    job = await placed(gateway)
    assert (await gateway.client.get(URL)).text == ""
    await end(gateway, job)
    assert (await gateway.client.get(URL)).status_code == 200


async def test_a_log_that_is_too_old_is_gone(gateway: Gateway) -> None:
    job = await placed(gateway)
    await end(gateway, job, ago=timedelta(hours=2))
    answer = await gateway.client.get(URL)
    assert (answer.status_code, answer.json()["detail"]) == (410, "logs are kept for 1:00:00")


async def test_of_an_ended_attempt_it_is_said_that_the_rest_is_missing(gateway: Gateway, transcripts: Kept) -> None:
    job = await placed(gateway)
    sequence = transcripts.put(key(job), 0, frame(0, "a\n"))
    assert (await gateway.client.get(URL)).text == "a\n"
    await end(gateway, job)
    assert (await gateway.client.get(URL)).text == "a\n[the rest has not been received]\n"
    sequence = transcripts.put(key(job), sequence, b"no frame")
    transcripts.put(key(job), sequence, frame(12, "z\n", last=True))
    assert (await gateway.client.get(URL)).text == "a\n[10 bytes are not kept any more]\nz\n"


async def test_streams_end_when_the_gateway_stops(gateway: Gateway, transcripts: Kept) -> None:
    job = await placed(gateway)
    transcripts.put(key(job), 0, frame(0, "a\n"))
    async with serving(gateway) as (server, client), client.stream("GET", URL, params={"follow": "true"}) as answer:
        stream = events(answer)
        first = await anext(stream)
        assert (first.name, first.id, first.data["text"]) == ("line", "1.2", "a\n")
        server.should_exit = True
        assert [event.name async for event in stream] == []
