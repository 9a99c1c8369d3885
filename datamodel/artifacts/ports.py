"""The port: what writers and readers ask of who keeps artifacts. Adapters: `jetstream`, and in memory `memory`."""

from collections.abc import Mapping
from typing import Protocol


class Pieces(Protocol):
    """Pieces by key and number, from 0 on. A key is made of tokens of lower-case letters, digits and `-`, with dots between
    them. A piece that was put is never another one; it goes after some time, and the oldest of all go where there are too
    many. All may raise `Transient`."""

    async def put(self, key: str, number: int, body: bytes) -> bool:
        """Keeps a piece; False where there is one already, whichever. It is kept for good when this returns; after `Transient`
        it is unknown whether it is."""
        ...

    async def has_room(self, artifacts: Mapping[str, int]) -> bool:
        """Whether artifacts of these sizes in bytes, by key, could ever be there at a time, all of them whole."""
        ...

    async def numbers(self, key: str) -> set[int]:
        """Of the pieces that are there."""
        ...

    async def get(self, key: str, number: int) -> bytes | None:
        """The piece; None where it was never put, or is gone."""
        ...


class KeptPieces(Pieces, Protocol):
    """Of a reader, who may ask for how long they are kept."""

    async def kept_s(self) -> float:
        """The age in seconds at which pieces go."""
        ...
