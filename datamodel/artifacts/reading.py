"""Reading artifacts, from any byte on. What is given was checked against its piece, and a whole one against its SHA-256."""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator
from itertools import islice

from datamodel.artifacts.pieces import PIECE_BYTES, count_of, size_of, unsealed
from datamodel.artifacts.ports import Pieces
from datamodel.errors import Gone, Invalid

AHEAD = 4
"""How many pieces are asked for at a time."""


async def is_there(pieces: Pieces, key: str, size_bytes: int) -> bool:
    """Whether all of it is. Raises `Transient`."""
    count = count_of(size_bytes)
    return not count or len(await pieces.numbers(key)) >= count


async def read(pieces: Pieces, key: str, size_bytes: int, begin: int, end: int) -> AsyncIterator[bytes]:
    """The bytes of an artifact from `begin` up to and without `end`, a piece or a part of one at a time. Raises `Gone` where
    one is not kept any more, `Invalid` where one is not as it was put there, and `Transient`."""
    numbers = iter(range(begin // PIECE_BYTES, count_of(end)))
    asked: deque[tuple[int, asyncio.Task[bytes | None]]] = deque()
    try:
        while True:
            asked.extend((n, asyncio.ensure_future(_got(pieces, key, n))) for n in islice(numbers, AHEAD - len(asked)))
            if not asked:
                return
            number, task = asked.popleft()
            body = await task
            if body is None:
                raise Gone("a piece of the artifact is not kept any more", oldest=0)
            data = unsealed(body, size_of(size_bytes, number))
            first = number * PIECE_BYTES
            yield data[max(0, begin - first) : end - first]
    finally:
        for _, task in asked:
            task.cancel()
        await asyncio.gather(*(task for _, task in asked), return_exceptions=True)


async def _got(pieces: Pieces, key: str, number: int) -> bytes | None:
    return await pieces.get(key, number)


async def read_whole(pieces: Pieces, key: str, size_bytes: int, sha256: str) -> AsyncIterator[bytes]:
    """All bytes of an artifact. Raises as `read` does, and `Invalid` in the place of the last of them where the whole is not
    what it should be."""
    whole, held = hashlib.sha256(), b""
    async for data in read(pieces, key, size_bytes, 0, size_bytes):
        if held:
            yield held
        whole.update(data)
        held = data
    if whole.hexdigest() != sha256:
        raise Invalid("the artifact has another checksum")
    if held:
        yield held
