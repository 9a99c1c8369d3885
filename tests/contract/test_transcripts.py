"""One suite for transcripts in memory and on JetStream."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from datamodel.errors import Conflict, Transient
from datamodel.feed.access import Access
from datamodel.transcripts.jetstream import STREAM, JetTranscripts, keep_stream
from datamodel.transcripts.memory import MemoryTranscripts
from datamodel.transcripts.ports import ENTRY_LIMIT_BYTES, READ_ENTRIES, Transcripts
from tests.conftest import StartNats
from tests.feed import connected
from tests.waiting import eventually

KEPT_S, LIMIT_BYTES = 3600.0, 64 * 1024 * 1024


@pytest_asyncio.fixture
async def jetstream(nats_access: Access) -> AsyncIterator[JetTranscripts]:
    async with connected(nats_access) as bus:
        await keep_stream(bus, kept_s=KEPT_S, limit_bytes=LIMIT_BYTES)
        yield JetTranscripts(bus)


@pytest.fixture(params=["memory", "jetstream"])
def transcripts(request: pytest.FixtureRequest) -> Transcripts:
    return MemoryTranscripts() if request.param == "memory" else request.getfixturevalue("jetstream")


@pytest.fixture
def key() -> str:
    """Of this test alone."""
    return f"s.e.{uuid.uuid4().hex}"


async def test_a_transcript_grows_at_its_end_and_is_read_from_anywhere(transcripts: Transcripts, key: str) -> None:
    assert await transcripts.last(key) is None
    assert await transcripts.read(key, 0) == []
    first = await transcripts.append(key, 0, b"a")
    await transcripts.append(f"{key}0", 0, b"another's")
    second = await transcripts.append(key, first, bytes(range(256)))
    assert 0 < first < second
    last = await transcripts.last(key)
    assert last is not None
    assert (last.sequence, last.body) == (second, bytes(range(256)))
    assert [(e.sequence, e.body) for e in await transcripts.read(key, 0)] == [(first, b"a"), (second, last.body)]
    assert [e.sequence for e in await transcripts.read(key, first)] == [second]
    assert await transcripts.read(key, second) == []


async def test_only_who_knows_the_end_may_add_to_it(transcripts: Transcripts, key: str) -> None:
    with pytest.raises(Conflict):
        await transcripts.append(key, 7, b"nothing is there")
    first = await transcripts.append(key, 0, b"a")
    with pytest.raises(Conflict):
        await transcripts.append(key, 0, b"a")  # the same once more, since its acknowledgement was lost
    with pytest.raises(Conflict):
        await transcripts.append(key, first + 1, b"b")
    second = await transcripts.append(key, first, b"b")
    with pytest.raises(Conflict):
        await transcripts.append(key, first, b"c")
    assert [e.sequence for e in await transcripts.read(key, 0)] == [first, second]


async def test_a_long_one_is_read_in_parts(transcripts: Transcripts, key: str) -> None:
    sequence = 0
    for number in range(READ_ENTRIES + 44):
        sequence = await transcripts.append(key, sequence, b"%d" % number)
    first = await transcripts.read(key, 0)
    rest = await transcripts.read(key, first[-1].sequence)
    assert [len(first), len(rest)] == [READ_ENTRIES, 44]
    assert [entry.body for entry in (*first, *rest)] == [b"%d" % number for number in range(READ_ENTRIES + 44)]


async def test_who_watches_is_told_that_it_has_grown(transcripts: Transcripts, key: str) -> None:
    async with transcripts.watch(key) as grown:
        await transcripts.append(f"{key}0", 0, b"another's")
        sequence = await transcripts.append(key, 0, b"a")
        async with asyncio.timeout(30):
            await grown.wait()
        grown.clear()
        await transcripts.append(key, sequence, b"b")
        async with asyncio.timeout(30):
            await grown.wait()


async def test_it_says_how_long_entries_stay(transcripts: Transcripts) -> None:
    assert await transcripts.kept_s() >= KEPT_S


async def test_the_stream_refuses_what_is_too_large(jetstream: JetTranscripts, key: str) -> None:
    with pytest.raises(Transient):
        await jetstream.append(key, 0, bytes(ENTRY_LIMIT_BYTES + 1))
    await jetstream.append(key, 0, bytes(ENTRY_LIMIT_BYTES - 1024))


async def test_a_stream_that_is_there_takes_new_bounds_and_keeps_what_it_has(nats_server: StartNats, key: str) -> None:
    server = await nats_server()
    async with connected(server.access()) as bus:
        transcripts = JetTranscripts(bus)
        with pytest.raises(Transient):
            await transcripts.append(key, 0, b"there is no stream")
        assert await keep_stream(bus, kept_s=KEPT_S, limit_bytes=LIMIT_BYTES)
        await transcripts.append(key, 0, b"a")
        assert not await keep_stream(bus, kept_s=60.0, limit_bytes=LIMIT_BYTES)
        assert await transcripts.kept_s() == 60.0
        assert (await bus.manager.stream_info(STREAM)).state.messages == 1


async def test_what_is_kept_outlives_the_server_and_who_is_cut_off_is_told_so(nats_server: StartNats, key: str) -> None:
    server = await nats_server()
    async with connected(server.access()) as bus:
        await keep_stream(bus, kept_s=KEPT_S, limit_bytes=LIMIT_BYTES)
        transcripts = JetTranscripts(bus)
        first = await transcripts.append(key, 0, b"a")
        async with transcripts.watch(key) as grown:
            await server.kill()
            with pytest.raises(Transient):
                await transcripts.append(key, first, b"b")
            with pytest.raises(Transient):
                await transcripts.read(key, 0)
            await server.start()
            async with asyncio.timeout(30):
                await grown.wait()

        async def kept() -> bool:
            try:
                return [entry.body for entry in await transcripts.read(key, 0)] == [b"a"]
            except Transient:
                return False

        await eventually(kept)
        await transcripts.append(key, first, b"b")
