"""Brings an attempt's artifacts to the hub.

It keeps nothing on disk: which pieces are there the hub tells, and the file is still at the runtime. A piece proves all that
comes before it: where the last that is there is the same, all are. Few pieces are under way at a time, and no more are in
memory.
"""

import asyncio
from collections import deque

from agents.runtimes.protocol import Artifact, Refusal, Runtime, SharedFile, Work
from agents.runtimes.reasons import ARTIFACT_MISSING, ARTIFACT_REFUSED, ARTIFACT_TOO_LARGE
from agents.runtimes.shared import SHARED
from datamodel.artifacts.pieces import Sealing, count_of, size_of
from datamodel.artifacts.ports import Pieces
from datamodel.artifacts.reading import is_there
from datamodel.errors import Invalid, Transient
from datamodel.scheduling.artifacts import key_of
from datamodel.scheduling.wire import KeptArtifact

PIECES_IN_FLIGHT = 4
LIMIT_BYTES = 2**30
"""The most of one attempt, unless the operator says otherwise."""
_ANOTHER = "the file is not the one that the hub has the beginning of"


class Sender:
    """Of one agent."""

    def __init__(self, runtime: Runtime, pieces: Pieces, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._runtime = runtime
        self._pieces = pieces
        self._limit_bytes = limit_bytes
        self._kept: dict[str, tuple[KeptArtifact, ...]] = {}

    async def send(self, work: Work) -> tuple[KeptArtifact, ...] | Refusal:
        """All artifacts of an attempt, once they are kept at the hub. Called again after `Transient`, it goes on."""
        kept = self._kept.pop(work.attempt, ())
        for artifact in work.artifacts[len(kept) :]:
            try:
                found = await self._send(work, artifact, kept)
            except Invalid as error:
                return Refusal(ARTIFACT_REFUSED, f"artifact {artifact.name}: {error.message}")
            except Transient:
                self._kept[work.attempt] = kept
                raise
            if isinstance(found, Refusal):
                return found
            kept = (*kept, found)
        return kept

    def forget(self, attempt: str) -> None:
        """It is not at the runtime any more."""
        self._kept.pop(attempt, None)

    async def _send(self, work: Work, artifact: Artifact, kept: tuple[KeptArtifact, ...]) -> KeptArtifact | Refusal:
        file = await self._runtime.open_file(work.attempt, artifact.path)
        if file is None:
            return Refusal(ARTIFACT_MISSING, f"artifact {artifact.name}: there is no {SHARED}/{artifact.path}")
        try:
            keys = [key_of(work.site, work.edge, work.attempt, one.name) for one in work.artifacts[: len(kept) + 1]]
            sizes = [*(one.bytes for one in kept), file.size_bytes]
            excess = self._excess(work, artifact, file.size_bytes, sum(sizes))
            if not excess and not await self._pieces.has_room(dict(zip(keys, sizes, strict=True))):
                excess = f"{sum(sizes)} bytes; the hub has no room for so much"
            if excess:
                return Refusal(ARTIFACT_TOO_LARGE, f"artifact {artifact.name}: {excess}")
            sha256 = await send_file(self._pieces, keys[-1], file)
            return KeptArtifact(artifact.name, file.size_bytes, sha256)
        finally:
            await file.close()

    def _excess(self, work: Work, artifact: Artifact, size_bytes: int, all_bytes: int) -> str:
        """Which limit a file of this size is beyond, or all of the attempt's so far; empty where they are within all."""
        share = work.limits.artifacts_bytes
        for limit, of, whose in (
            (artifact.max_bytes, size_bytes, "its maxBytes is"),
            (share, all_bytes, "the chunk's share of limits.artifactsBytes is"),
            (self._limit_bytes, all_bytes, "this edge takes of an attempt at most"),
        ):
            if limit is not None and of > limit:
                return f"{of} bytes; {whose} {limit}"
        return ""


async def send_file(pieces: Pieces, key: str, file: SharedFile) -> str:
    """The SHA-256 of a file, all of which is kept under the key when this returns. Raises `Invalid` where the file is not the
    one that was begun with, or changes; and `Transient`."""
    count = count_of(file.size_bytes)
    present = await pieces.numbers(key)
    last = max(present, default=-1)  # is compared, and with it all that comes before it
    if last >= count:
        raise Invalid(_ANOTHER)
    sealing = Sealing()
    under_way: deque[asyncio.Task[None]] = deque()
    try:
        for number in range(count):
            body = sealing.seal(await _read(file, size_of(file.size_bytes, number)))
            if number in present and number != last:
                continue
            if len(under_way) >= PIECES_IN_FLIGHT:
                await under_way.popleft()
            under_way.append(asyncio.ensure_future(_put(pieces, key, number, body)))
        while under_way:
            await under_way.popleft()
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
    if not await is_there(pieces, key, file.size_bytes):
        raise Transient("the hub has dropped some of the artifact already")
    return sealing.sha256


async def _put(pieces: Pieces, key: str, number: int, body: bytes) -> None:
    """Puts a piece, or makes sure that it is the one that is there."""
    if await pieces.put(key, number, body):
        return
    found = await pieces.get(key, number)
    if found is None:
        raise Transient("a piece has gone")
    if found != body:
        raise Invalid(_ANOTHER)


async def _read(file: SharedFile, size_bytes: int) -> bytes:
    """So many bytes. Raises `Invalid` where there are fewer."""
    parts, left = [], size_bytes
    while left:
        part = await file.read(left)
        if not part:
            raise Invalid("the file has become shorter")
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
