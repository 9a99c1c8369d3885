"""Fetching artifacts: lists, ranges, conditions, and what is missing or has gone."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from datamodel.artifacts.memory import MemoryPieces
from datamodel.artifacts.pieces import PIECE_BYTES, Sealing, count_of
from datamodel.node import Node
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.artifacts import key_of
from datamodel.scheduling.model import MODEL
from tests.gateway import STEP, Gateway, open_gateway, serving
from tests.graph import attempt_path, new_edge, new_job, place, report

URL = "/v1/jobs/default/j/artifacts"
SIZE = 2 * PIECE_BYTES + 100
CONTENT = bytes(range(251)) * (SIZE // 251 + 1)
ARTIFACTS = [{"name": "data", "path": "data"}, {"name": "empty", "path": "e"}]


class Kept(MemoryPieces):
    """Artifacts for an hour."""

    async def kept_s(self) -> float:
        return 3600.0


@pytest.fixture
def pieces() -> Kept:
    return Kept()


@pytest_asyncio.fixture
async def gateway(database_url: str, pieces: Kept) -> AsyncIterator[Gateway]:
    async with PostgresStore(database_url, MODEL) as store, open_gateway(store, artifacts=pieces) as gateway:
        await new_edge(store)
        yield gateway


def content(chunk: int) -> bytes:
    return CONTENT[chunk : chunk + SIZE]


async def left(gateway: Gateway, pieces: Kept, job: Node, chunk: int, epoch: int = 1, **status: Any) -> None:
    """An attempt that has succeeded, with its artifacts."""
    sealing, data = Sealing(), content(chunk)
    key = key_of("s", "e", attempt_path(job, chunk, epoch).rpartition("/")[2], "data")
    for number in range(count_of(SIZE)):
        pieces.add(key, number, sealing.seal(data[number * PIECE_BYTES : (number + 1) * PIECE_BYTES]))
    kept = [
        {"name": "data", "bytes": SIZE, "sha256": sealing.sha256},
        {"name": "empty", "bytes": 0, "sha256": hashlib.sha256().hexdigest()},
    ]
    outcome = await report(
        gateway.store, attempt_path(job, chunk, epoch), phase="succeeded", **{"artifacts": kept, **status}
    )
    assert [verdict.error for verdict in outcome] == [None]


async def job_with(gateway: Gateway, chunks: int = 3, placed: int | None = None) -> Node:
    job = await new_job(gateway.store, steps=[STEP], chunks=chunks, artifacts=ARTIFACTS)
    for chunk in range(chunks if placed is None else placed):
        await place(gateway.store, job, chunk)
    return job


async def test_a_whole_one_and_its_headers(gateway: Gateway, pieces: Kept) -> None:
    job = await job_with(gateway)
    for chunk in range(3):
        await left(gateway, pieces, job, chunk)
        answer = await gateway.client.get(f"{URL}/{chunk}/data")
        assert (answer.status_code, answer.content) == (200, content(chunk))
        assert answer.headers["etag"] == f'"{hashlib.sha256(content(chunk)).hexdigest()}"'
        assert answer.headers["content-length"] == str(SIZE)
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["content-disposition"] == f'attachment; filename="j-{chunk}-data"'
    empty = await gateway.client.get(f"{URL}/0/empty")
    assert (empty.status_code, empty.content, empty.headers["content-length"]) == (200, b"", "0")


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        (f"bytes={PIECE_BYTES - 1}-{PIECE_BYTES}", PIECE_BYTES - 1, PIECE_BYTES + 1),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        ("bytes=-7", SIZE - 7, SIZE),
        (f"bytes=5-{10**14}", 5, SIZE),
        (f"bytes=-{10**14}", 0, SIZE),
    ],
)
async def test_a_part(gateway: Gateway, pieces: Kept, asked: str, begin: int, end: int) -> None:
    await left(gateway, pieces, await job_with(gateway), 0)
    answer = await gateway.client.get(f"{URL}/0/data", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, content(0)[begin:end])
    assert answer.headers["content-range"] == f"bytes {begin}-{end - 1}/{SIZE}"
    assert answer.headers["content-length"] == str(end - begin)


async def test_conditions(gateway: Gateway, pieces: Kept) -> None:
    await left(gateway, pieces, await job_with(gateway), 0)
    url = f"{URL}/0/data"
    etag = (await gateway.client.get(url)).headers["etag"]
    for given in (etag, f'"other", W/{etag}', "*"):
        same = await gateway.client.get(url, headers={"If-None-Match": given})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    assert (await gateway.client.get(url, headers={"If-None-Match": '"other"'})).status_code == 200
    part = {"Range": "bytes=0-9"}
    assert (await gateway.client.get(url, headers={**part, "If-Range": etag})).status_code == 206
    assert (await gateway.client.get(url, headers={**part, "If-Range": '"other"'})).status_code == 200
    beyond = await gateway.client.get(url, headers={"Range": f"bytes={SIZE}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{SIZE}")
    assert beyond.headers["content-type"] == "application/problem+json"
    assert (await gateway.client.get(f"{URL}/0/empty", headers={"Range": "bytes=0-"})).status_code == 416


async def test_head_tells_what_get_would_send_and_reads_nothing_of_it(gateway: Gateway, pieces: Kept) -> None:
    job = await job_with(gateway)
    await left(gateway, pieces, job, 0)
    key = key_of("s", "e", attempt_path(job, 0).rpartition("/")[2], "data")
    pieces.drop(key, 2)
    pieces.add(key, 2, b"nobody may read this")
    async with serving(gateway) as (_, client):
        told = await client.head(f"{URL}/0/data", headers={"Range": "bytes=0-9"})
        empty = await client.head(f"{URL}/0/empty")
        got = await client.get(f"{URL}/0/data", headers={"Range": "bytes=0-9"})
        same = await client.head(f"{URL}/0/data", headers={"If-None-Match": told.headers["etag"]})
        nothing = await client.head(f"{URL}/1/data")
        pieces.drop(key, 2)
        gone = await client.head(f"{URL}/0/data")
    assert (told.status_code, told.content, told.headers["content-length"]) == (200, b"", str(SIZE))
    assert (empty.status_code, empty.headers["content-length"]) == (200, "0")
    for name in ("etag", "accept-ranges", "content-type", "content-disposition", "cache-control"):
        assert told.headers[name] == got.headers[name]
    assert (same.status_code, nothing.status_code, gone.status_code) == (304, 404, 410)


@pytest.mark.parametrize("place", ["0/nothing", "3/data", "1/data", "2/data", "x/data", "-1/data", "0/DATA"])
async def test_what_is_not_there(gateway: Gateway, pieces: Kept, place: str) -> None:
    job = await job_with(gateway, placed=2)
    await left(gateway, pieces, job, 0)
    assert (await gateway.client.get(f"{URL}/{place}")).status_code == 404


async def test_no_chunk_s_file_is_another_one_s(gateway: Gateway, pieces: Kept) -> None:
    job = await job_with(gateway)
    await left(gateway, pieces, job, 2)
    for chunk in (0, 1):
        answer = await gateway.client.get(f"{URL}/{chunk}/data")
        assert (answer.status_code, answer.json()["detail"]) == (404, f"chunk {chunk} has not succeeded")
    assert (await gateway.client.get(f"{URL}/2/data")).content == content(2)
    assert "3 chunks" in (await gateway.client.get(f"{URL}/3/data")).json()["detail"]


async def test_what_is_not_kept_any_more_is_gone(gateway: Gateway, pieces: Kept) -> None:
    job = await job_with(gateway)
    await left(gateway, pieces, job, 0)
    await left(gateway, pieces, job, 1)
    pieces.drop(key_of("s", "e", attempt_path(job, 0).rpartition("/")[2], "data"), 1)
    answer = await gateway.client.get(f"{URL}/0/data")
    assert answer.status_code == 410
    assert answer.json()["detail"] == "artifacts are kept for 1:00:00 where there is room"
    assert (await gateway.client.get(f"{URL}/1/data")).status_code == 200


async def test_one_that_breaks_off_is_known_by_its_length(gateway: Gateway, pieces: Kept) -> None:
    job = await job_with(gateway)
    await left(gateway, pieces, job, 0)
    key = key_of("s", "e", attempt_path(job, 0).rpartition("/")[2], "data")
    pieces.drop(key, 2)
    pieces.add(key, 2, b"something else")
    async with serving(gateway) as (_, client):
        with pytest.raises(Exception, match="peer closed connection without sending complete message body"):
            await client.get(f"{URL}/0/data")
        assert (await client.get(f"{URL}/0/data", headers={"Range": "bytes=0-9"})).content == content(0)[:10]


async def test_only_what_counts_is_listed_and_fetched(gateway: Gateway, pieces: Kept) -> None:
    job = await job_with(gateway, chunks=4)
    for chunk in (2, 0):
        await left(gateway, pieces, job, chunk)
    await report(gateway.store, attempt_path(job, 1), phase="interrupted")
    await place(gateway.store, job, 1, 2)
    await left(gateway, pieces, job, 1, 2)
    listed = (await gateway.client.get(URL)).json()
    assert [(item["chunk"], item["name"], item["bytes"]) for item in listed["items"]] == [
        (chunk, name, size) for chunk in (0, 1, 2) for name, size in (("data", SIZE), ("empty", 0))
    ]
    assert listed["cursor"] is None
    assert listed["items"][2]["attempt"] == attempt_path(job, 1, 2).rpartition("/")[2]
    seen, cursor = [], ""
    while cursor is not None:
        page = (await gateway.client.get(URL, params={"limit": 1, "cursor": cursor})).json()
        seen += page["items"]
        cursor = page["cursor"]
    assert seen == listed["items"]


async def test_a_page_is_of_chunks_that_have_succeeded(gateway: Gateway, pieces: Kept) -> None:
    job = await job_with(gateway)
    await left(gateway, pieces, job, 2)
    page = (await gateway.client.get(URL, params={"limit": 1})).json()
    assert [item["chunk"] for item in page["items"]] == [2, 2]


@pytest.mark.parametrize(
    ("query", "pointer"), [("limit=0", "?limit"), ("limit=x", "?limit"), ("cursor=x", "?cursor"), ("phase=a", "?phase")]
)
async def test_what_is_wrong_is_named(gateway: Gateway, query: str, pointer: str) -> None:
    await job_with(gateway)
    answer = await gateway.client.get(f"{URL}?{query}")
    assert answer.status_code == 422
    assert [finding["pointer"] for finding in answer.json()["errors"]] == [pointer]


async def test_a_job_without_artifacts_has_none(gateway: Gateway) -> None:
    assert (await gateway.client.get(URL)).status_code == 404
    await new_job(gateway.store, steps=[STEP])
    assert (await gateway.client.get(URL)).json() == {"items": [], "cursor": None}
    answer = await gateway.client.get(f"{URL}/0/data")
    assert (answer.status_code, answer.json()["detail"]) == (404, "the job has no artifact 'data': it has none")
