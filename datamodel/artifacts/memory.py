"""Artifacts in memory: a verified fake, behind the same contract suite as the real ones."""

from collections.abc import Mapping


class MemoryPieces:
    """The port `KeptPieces`. It loses nothing by itself, and nothing gets too old in it. What has more than `limit_bytes` is
    told that it has no room, and has it all the same."""

    def __init__(self, limit_bytes: float = float("inf")) -> None:
        self._limit_bytes = limit_bytes
        self._kept: dict[tuple[str, int], bytes] = {}

    def wipe(self) -> None:
        """Everything is lost."""
        self._kept.clear()

    def drop(self, key: str, number: int) -> None:
        """One piece is lost."""
        del self._kept[key, number]

    async def put(self, key: str, number: int, body: bytes) -> bool:
        return self.add(key, number, body)

    def add(self, key: str, number: int, body: bytes) -> bool:
        """What `put` does, at once."""
        return self._kept.setdefault((key, number), body) is body

    async def has_room(self, artifacts: Mapping[str, int]) -> bool:
        return sum(artifacts.values()) <= self._limit_bytes

    async def numbers(self, key: str) -> set[int]:
        return self.present(key)

    def present(self, key: str) -> set[int]:
        """What `numbers` does, at once."""
        return {number for of, number in self._kept if of == key}

    async def get(self, key: str, number: int) -> bytes | None:
        return self.piece(key, number)

    def piece(self, key: str, number: int) -> bytes | None:
        """What `get` does, at once."""
        return self._kept.get((key, number))

    async def kept_s(self) -> float:
        return float("inf")
