"""Brings to an attempt what it is given, from the hub."""

from msgspec.structs import replace

from agents.artifacts.cache import Cache
from agents.runtimes.protocol import Input, Refusal, Work
from agents.runtimes.reasons import INPUT_BROKEN, INPUT_GONE, INPUT_TOO_LARGE
from datamodel.artifacts.ports import Pieces
from datamodel.errors import Gone, Invalid


class Fetcher:
    """Of one agent."""

    def __init__(self, pieces: Pieces, cache: Cache) -> None:
        self._pieces = pieces
        self._cache = cache

    async def fetch(self, work: Work) -> tuple[Input, ...] | Refusal:
        """All inputs of an attempt, once they are here: they stay until `release`. Called again after `Transient`, it goes
        on."""
        size = sum({one.sha256: one.bytes for one in work.inputs}.values())
        if size > self._cache.limit_bytes:
            return Refusal(INPUT_TOO_LARGE, f"{size} bytes; this edge has room for {self._cache.limit_bytes}")
        await self._cache.hold(work.attempt, work.inputs)
        found: list[Input] = []
        for one in work.inputs:
            try:
                found.append(replace(one, source=await self._cache.fetch(self._pieces, one)))
            except (Gone, Invalid) as error:
                self.release(work.attempt)
                reason = INPUT_GONE if isinstance(error, Gone) else INPUT_BROKEN
                return Refusal(reason, f"input {one.path}: {error.message}")
        return tuple(found)

    def release(self, attempt: str) -> None:
        """Its runtime has them, or nobody wants them any more."""
        self._cache.release(attempt)
