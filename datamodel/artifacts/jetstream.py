"""Artifacts on JetStream: one stream for all, a subject for each piece.

That a subject has no message yet is expected of every message, so one that is sent again, and a second writer, are harmless;
and any part of an artifact can be asked for by its subject alone, which a credential may allow or not.
"""

from collections.abc import Mapping
from typing import Protocol

from nats.js.api import DiscardPolicy, StorageType, StreamConfig

from datamodel.artifacts.pieces import PIECE_BYTES, SEALED_BYTES, count_of
from datamodel.feed.bus import Bus
from datamodel.feed.kept import KeptStream, keep

STREAM = "ARTIFACTS"
SUBJECTS = "artifacts"
"""The first token of every subject."""
PUT_TIMEOUT_S = 30.0
"""For an acknowledgement, on a line on which what is sent ahead of a piece takes its time."""

_HEADERS_BYTES = 1024
_STORED_BYTES = 86
"""What the server keeps of a piece beside its body and its subject: the header that expects nothing there, and its own."""


def subject_of(key: str, number: int) -> str:
    return f"{SUBJECTS}.{key}.{number}"


def stored_bytes(key: str, size_bytes: int) -> int:
    """How much of the stream's bound an artifact of so many bytes takes."""
    count = count_of(size_bytes)
    subjects = sum(len(subject_of(key, number)) for number in range(count))
    return size_bytes + count * (SEALED_BYTES - PIECE_BYTES + _STORED_BYTES) + subjects


async def keep_stream(bus: Bus, *, kept_s: float, limit_bytes: int) -> bool:
    """Makes the stream where there is none, and gives it these bounds; whether it was made. Raises `Transient`."""
    config = StreamConfig(
        name=STREAM,
        subjects=[f"{SUBJECTS}.>"],
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_age=kept_s,
        max_bytes=limit_bytes,
        max_msgs_per_subject=1,
        max_msg_size=SEALED_BYTES + _HEADERS_BYTES,
        allow_direct=True,
        duplicate_window=0.1,
    )
    return await keep(bus, config)


class Catalogue(Protocol):
    """What there is, as `Pieces` and their stream tell it. Both may raise `Transient`."""

    async def numbers(self, key: str) -> set[int]: ...

    async def limit_bytes(self) -> float: ...


class JetPieces:
    """The port `KeptPieces`. Who has no stream yet, and who is cut off, gets `Transient`."""

    def __init__(self, bus: Bus, catalogue: Catalogue | None = None) -> None:
        """`catalogue` tells what is there to one who may not ask for the stream's state."""
        self._stream = KeptStream(bus, STREAM)
        self._catalogue = catalogue

    async def put(self, key: str, number: int, body: bytes) -> bool:
        sequence = await self._stream.append(subject_of(key, number), 0, body, timeout_s=PUT_TIMEOUT_S)
        return sequence is not None

    async def has_room(self, artifacts: Mapping[str, int]) -> bool:
        limit_bytes = await (self._catalogue or self).limit_bytes()
        return sum(stored_bytes(key, size_bytes) for key, size_bytes in artifacts.items()) <= limit_bytes

    async def limit_bytes(self) -> float:
        """How much all of them take at most."""
        return await self._stream.limit_bytes()

    async def numbers(self, key: str) -> set[int]:
        if self._catalogue is not None:
            return await self._catalogue.numbers(key)
        found = await self._stream.subjects(f"{SUBJECTS}.{key}.*")
        return {int(subject.rpartition(".")[2]) for subject in found}

    async def get(self, key: str, number: int) -> bytes | None:
        found = await self._stream.last(subject_of(key, number))
        return found.body if found is not None else None

    async def kept_s(self) -> float:
        return await self._stream.kept_s()
