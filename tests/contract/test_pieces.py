"""One suite for artifacts in memory and on JetStream."""

import asyncio
import contextlib
import hashlib
import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from datamodel.artifacts import reading
from datamodel.artifacts.jetstream import PUT_TIMEOUT_S, STREAM, JetPieces, keep_stream, stored_bytes
from datamodel.artifacts.memory import MemoryPieces
from datamodel.artifacts.pieces import PIECE_BYTES, SEALED_BYTES, Sealing, count_of, size_of
from datamodel.artifacts.ports import KeptPieces, Pieces
from datamodel.errors import Gone, Invalid, Transient
from datamodel.feed.access import Access
from tests.conftest import StartNats
from tests.feed import connected
from tests.waiting import until

KEPT_S, LIMIT_BYTES = 3600.0, 64 * 1024 * 1024
SIZE = 3 * PIECE_BYTES + 17
CONTENT = bytes(range(256)) * (SIZE // 256 + 1)


@pytest_asyncio.fixture
async def jetstream(nats_access: Access) -> AsyncIterator[JetPieces]:
    async with connected(nats_access) as bus:
        await keep_stream(bus, kept_s=KEPT_S, limit_bytes=LIMIT_BYTES)
        yield JetPieces(bus)


@pytest.fixture(params=["memory", "jetstream"])
def pieces(request: pytest.FixtureRequest) -> KeptPieces:
    return MemoryPieces() if request.param == "memory" else request.getfixturevalue("jetstream")


@pytest.fixture
def key() -> str:
    """Of this test alone."""
    return f"s.e.{uuid.uuid4().hex}.a"


async def put(pieces: Pieces, key: str, content: bytes) -> str:
    sealing = Sealing()
    for number in range(count_of(len(content))):
        begin = number * PIECE_BYTES
        assert await pieces.put(key, number, sealing.seal(content[begin : begin + size_of(len(content), number)]))
    return sealing.sha256


async def test_a_piece_is_put_once(pieces: KeptPieces, key: str) -> None:
    assert await pieces.get(key, 0) is None
    assert await pieces.numbers(key) == set()
    assert await pieces.put(key, 0, b"a") is True
    assert await pieces.put(f"{key}0", 1, b"another's") is True
    assert await pieces.put(key, 0, b"b") is False
    assert await pieces.put(key, 2, bytes(SEALED_BYTES)) is True
    assert await pieces.get(key, 0) == b"a"
    assert await pieces.get(key, 1) is None
    assert await pieces.get(key, 2) == bytes(SEALED_BYTES)
    assert await pieces.numbers(key) == {0, 2}


async def test_an_artifact_is_read_from_any_byte_on(pieces: KeptPieces, key: str) -> None:
    content = CONTENT[:SIZE]
    sha256 = await put(pieces, key, content)
    assert sha256 == hashlib.sha256(content).hexdigest()
    assert b"".join([part async for part in reading.read_whole(pieces, key, SIZE, sha256)]) == content
    edges = [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES, SIZE - 1, SIZE]
    for begin in edges:
        for end in edges:
            if begin < end:
                found = [part async for part in reading.read(pieces, key, SIZE, begin, end)]
                assert b"".join(found) == content[begin:end]
                assert all(found)


async def test_an_artifact_that_is_not_what_it_was_is_not_read_to_its_end(pieces: KeptPieces, key: str) -> None:
    sha256 = await put(pieces, key, CONTENT[:SIZE])
    assert await reading.is_there(pieces, key, SIZE)
    assert not await reading.is_there(pieces, key, SIZE + PIECE_BYTES)
    got: list[bytes] = []
    with pytest.raises(Gone):
        got += [part async for part in reading.read(pieces, key, 9 * PIECE_BYTES, 5 * PIECE_BYTES, 6 * PIECE_BYTES)]
    assert not got
    with pytest.raises(Invalid):
        await _gather(reading.read_whole(pieces, key, SIZE, sha256[::-1]), got)
    assert sum(map(len, got)) < SIZE
    assert [part async for part in reading.read_whole(pieces, key, 0, hashlib.sha256().hexdigest())] == []


async def test_who_has_no_stream_yet_is_told_to_try_again(nats_server: StartNats, key: str) -> None:
    server = await nats_server()
    async with connected(server.access()) as bus:
        pieces = JetPieces(bus)
        for asked in (pieces.put(key, 0, b"a"), pieces.numbers(key), pieces.kept_s()):
            with pytest.raises(Transient):
                await asked


async def test_what_is_too_old_or_too_much_goes(nats_server: StartNats, key: str) -> None:
    server = await nats_server()
    async with connected(server.access()) as bus:
        assert await keep_stream(bus, kept_s=KEPT_S, limit_bytes=6 * PIECE_BYTES)
        pieces = JetPieces(bus)
        assert await pieces.kept_s() == KEPT_S
        await put(pieces, key, CONTENT[:SIZE])
        await put(pieces, f"{key}2", CONTENT[:SIZE])
        assert await reading.is_there(pieces, f"{key}2", SIZE)
        assert not await reading.is_there(pieces, key, SIZE), "the oldest has gone"
        assert not await keep_stream(bus, kept_s=1.0, limit_bytes=6 * PIECE_BYTES), "it is given other bounds"
        assert (await bus.manager.stream_info(STREAM)).config.max_age == 1.0


@pytest.mark.parametrize("size", [SIZE, 12 * PIECE_BYTES])
async def test_there_is_room_for_what_can_be_kept_whole_and_for_nothing_else(
    nats_server: StartNats, key: str, size: int
) -> None:
    server = await nats_server()
    async with connected(server.access()) as bus:
        limit_bytes = stored_bytes(key, size)
        await keep_stream(bus, kept_s=KEPT_S, limit_bytes=limit_bytes)
        pieces = JetPieces(bus)
        assert await pieces.has_room({key: size})
        assert not await pieces.has_room({key: size + 1})
        assert not await pieces.has_room({key: size, f"{key}2": 1})
        await put(pieces, key, bytes(size))
        assert await reading.is_there(pieces, key, size)
        await keep_stream(bus, kept_s=KEPT_S, limit_bytes=limit_bytes - 1)
        assert not await reading.is_there(pieces, key, size)


async def _gather(parts: AsyncIterator[bytes], got: list[bytes]) -> None:
    async for part in parts:
        got += [part]


async def test_who_waits_for_an_answer_waits_no_longer_than_for_the_next_connection(
    nats_server: StartNats, key: str
) -> None:
    server = await nats_server()
    async with connected(server.access()) as bus:
        await keep_stream(bus, kept_s=KEPT_S, limit_bytes=LIMIT_BYTES)
        server.pause()
        sent = bus.client.stats["out_msgs"]
        putting = asyncio.create_task(JetPieces(bus).put(key, 0, b"a"))
        await until(lambda: bus.client.stats["out_msgs"] > sent)
        await server.kill()
        await server.start()
        async with asyncio.timeout(PUT_TIMEOUT_S / 2):
            with contextlib.suppress(Transient):  # else it had not left yet, and went by the next one
                await putting
