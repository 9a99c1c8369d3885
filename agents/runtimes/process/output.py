"""What a step wrote, in one file: pieces of both streams in the order in which they came, each with its time.

The shim writes it and the agent reads it meanwhile, so a piece counts once it is whole. A cursor is an offset in the file.
"""

import os
import struct
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

LIMIT_BYTES = 1024 * 1024
"""Of the file, before only the last part of what follows is kept."""
TAIL_BYTES = 64 * 1024
"""Of that last part."""
PIECE_BYTES = 4 * 1024

STDOUT, STDERR, DROPPED = 1, 2, 3
_UNCOUNTED = 0
"""In the place of a number of bytes: nobody counted them."""
_HEADER = struct.Struct(">BQQ")


class Piece(NamedTuple):
    """What was written to a stream at a time (nanoseconds since the epoch); or, `DROPPED`, how many bytes are not kept: None
    where nobody counted them."""

    stream: int
    at_ns: int
    data: bytes
    dropped: int | None = 0


class OutputFile:
    """The writer's side, which keeps `size_bytes` of what is there. It never fails: what a full disk does not take is dropped,
    and counted."""

    def __init__(self, path: str, size_bytes: int = 0) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.ftruncate(self._file, size_bytes)
        self._size = size_bytes
        self._full = False
        self._dropped = 0
        self._dropped_ns = 0
        self._tail = deque[Piece]()
        self._tail_bytes = 0

    def add(self, stream: int, data: bytes, at_ns: int | None = None) -> None:
        """What was written at a time, or now."""
        at_ns = time.time_ns() if at_ns is None else at_ns
        for start in range(0, len(data), PIECE_BYTES):
            self._add(Piece(stream, at_ns, data[start : start + PIECE_BYTES]))

    def drop(self, size_bytes: int, at_ns: int) -> None:
        """So many bytes were lost before they came here."""
        self._full = self._full or not self._write(_HEADER.pack(DROPPED, at_ns, size_bytes))
        if self._full:
            self._count(size_bytes, at_ns)

    def close(self, *, is_whole: bool = True) -> bool:
        """Ends the file: with the number of bytes that were dropped, and the last part of what was written; unless that
        `is_whole`, with a gap that nobody counted. False where the disk did not take that."""
        dropped = [_HEADER.pack(DROPPED, self._dropped_ns, self._dropped)] if self._dropped else []
        missing = [] if is_whole else [_HEADER.pack(DROPPED, time.time_ns(), _UNCOUNTED)]
        told = all(self._write(packed) for packed in (*dropped, *map(_packed, self._tail), *missing))
        os.close(self._file)
        return told

    def _add(self, piece: Piece) -> None:
        size = _size(piece)
        self._full = self._full or self._size + size > LIMIT_BYTES or not self._write(_packed(piece))
        if not self._full:
            return
        self._tail.append(piece)
        self._tail_bytes += size
        while self._tail_bytes > TAIL_BYTES:
            oldest = self._tail.popleft()
            self._tail_bytes -= _size(oldest)
            self._count(len(oldest.data), oldest.at_ns)

    def _count(self, size_bytes: int, at_ns: int) -> None:
        self._dropped, self._dropped_ns = self._dropped + size_bytes, at_ns

    def _write(self, packed: bytes) -> bool:
        try:
            whole = os.pwrite(self._file, packed, self._size) == len(packed)
        except OSError:
            return False
        self._size += len(packed) if whole else 0  # what is not whole is not read, and is written over
        return whole


def read(path: str, after: int, limit_bytes: int) -> tuple[list[tuple[Piece, int]], bool]:
    """The whole pieces behind an offset, each with the offset behind it, about `limit_bytes` of them and one at least; and
    whether there are more. Raises `ValueError` where something else stands in the file, `OSError` where it cannot be read."""
    with open(path, "rb") as file:  # noqa: PTH123
        size = os.fstat(file.fileno()).st_size
        file.seek(min(after, size))
        found = file.read(max(limit_bytes, _HEADER.size + PIECE_BYTES))
    pieces: list[tuple[Piece, int]] = []
    end = after
    for piece in _pieces(found):
        if pieces and end + _size(piece) > after + limit_bytes:
            return pieces, True
        end += _size(piece)
        pieces.append((piece, end))
    return pieces, end < size and bool(pieces)


def _pieces(found: bytes) -> Iterator[Piece]:
    at = 0
    while at + _HEADER.size <= len(found):
        stream, at_ns, size = _HEADER.unpack_from(found, at)
        at += _HEADER.size
        if at_ns >= 2**63:
            raise ValueError("no time")
        if stream == DROPPED and size < 2**53:
            yield Piece(DROPPED, at_ns, b"", None if size == _UNCOUNTED else size)
        elif stream in (STDOUT, STDERR) and 0 < size <= PIECE_BYTES:
            if at + size > len(found):
                return
            yield Piece(stream, at_ns, found[at : at + size])
            at += size
        else:
            raise ValueError("no piece")


def _packed(piece: Piece) -> bytes:
    return _HEADER.pack(piece.stream, piece.at_ns, len(piece.data)) + piece.data


def _size(piece: Piece) -> int:
    return _HEADER.size + len(piece.data)
