"""Whole, checked files of others on the edge's disk, by their SHA-256, within a bound. What was begun is gone on with."""

import asyncio
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from agents.runtimes.protocol import Input
from datamodel.artifacts.pieces import PIECE_BYTES
from datamodel.artifacts.ports import Pieces
from datamodel.artifacts.reading import read
from datamodel.errors import Invalid, Transient

LIMIT_BYTES = 2 * 2**30
"""Of all of them, unless the operator says otherwise."""
_PART = ".part"


class Cache:
    """Of one agent, in a directory of its own. Files that an attempt holds stay; of the others, those that were used least
    recently go where there is no room."""

    def __init__(self, directory: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._directory = directory
        self.limit_bytes = limit_bytes
        self._held: dict[str, dict[str, int]] = {}
        self._fetching: dict[str, asyncio.Lock] = {}

    async def hold(self, attempt: str, files: Iterable[Input]) -> None:
        """Keeps room for the files of an attempt until `release`. Raises `Transient` where others have it all."""
        wanted = {one.sha256: one.bytes for one in files}
        held = {sha256: size for of in self._held.values() for sha256, size in of.items()} | wanted
        if sum(held.values()) > self.limit_bytes:
            raise Transient("the room for inputs is taken by other attempts")
        self._held[attempt] = wanted
        try:
            await asyncio.to_thread(self._make_room, held)
        except OSError as error:
            raise Transient(f"the directory of inputs: {error}") from error

    def release(self, attempt: str) -> None:
        self._held.pop(attempt, None)

    async def fetch(self, pieces: Pieces, wanted: Input) -> str:
        """The path of a file that is held, once it is here. Raises `Gone` where the hub does not keep it any more, `Invalid`
        where what it has is not the file, and `Transient`."""
        lock = self._fetching.setdefault(wanted.sha256, asyncio.Lock())
        try:
            async with lock:
                path = self._directory / wanted.sha256
                if not await asyncio.to_thread(_is_whole, path, wanted.bytes):
                    await self._fetch(pieces, wanted, path)
                return str(path)
        except OSError as error:
            raise Transient(f"an input cannot be written: {error}") from error
        finally:
            if not lock.locked():
                self._fetching.pop(wanted.sha256, None)

    async def _fetch(self, pieces: Pieces, wanted: Input, path: Path) -> None:
        part = path.with_suffix(_PART)
        got, whole = await asyncio.to_thread(_begun, part)
        async for data in read(pieces, wanted.key, wanted.bytes, got, wanted.bytes):
            whole.update(data)
            await asyncio.to_thread(_append, part, data)
        if whole.hexdigest() != wanted.sha256:
            await asyncio.to_thread(part.unlink)
            if got:
                raise Transient("what was here was the beginning of another file")
            raise Invalid("what the hub has under its key is another file")
        await asyncio.to_thread(_finish, part, path)

    def _make_room(self, held: dict[str, int]) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = [(entry.stat(), Path(entry.path)) for entry in os.scandir(self._directory)]
        loose = sorted((status.st_mtime, status.st_size, path) for status, path in found if path.stem not in held)
        excess = sum(held.values()) + sum(size for _, size, _ in loose) - self.limit_bytes
        for _, size, path in loose:
            if excess <= 0:
                return
            path.unlink(missing_ok=True)
            excess -= size


def _is_whole(path: Path, size_bytes: int) -> bool:
    try:
        if path.stat().st_size != size_bytes:
            return False
    except FileNotFoundError:
        return False
    os.utime(path)
    return True


def _begun(part: Path) -> "tuple[int, hashlib._Hash]":
    """How many bytes are here, in whole pieces, and their hash. An empty file is made where there is none."""
    whole, got = hashlib.sha256(), 0
    with part.open("a+b") as file:
        file.seek(0)
        while len(data := file.read(PIECE_BYTES)) == PIECE_BYTES:
            whole.update(data)
            got += PIECE_BYTES
        file.truncate(got)
    return got, whole


def _append(part: Path, data: bytes) -> None:
    with part.open("ab") as file:
        file.write(data)


def _finish(part: Path, path: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.rename(path)
