"""The file of a backup, or of a segment of the log: gzipped JSON lines. A head, everything in the order in which it is
restored, and an end with a digest.

A file is whole or it is none: it is written under another name and renamed in the end, and who reads it knows by the last line
that nothing is missing.
"""

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from datamodel.admission import Kept
from datamodel.errors import Invalid
from datamodel.event import Event
from datamodel.ledger import Counted, Totals
from datamodel.node import Node
from datamodel.pool import Pool

FORMAT = "tendril-backup/2"
FORMER = "tendril-backup/1"
"""Of backups that had no base yet."""
SEGMENT_FORMAT = "tendril-segment/1"
LINE_LIMIT_BYTES = 1024 * 1024
"""More than any event takes."""
_LEVEL = 6


class Top(msgspec.Struct, frozen=True, tag_field="line", tag="top"):
    """The first line: the end of the log that follows, and the feed's epoch then. `oldest` is the position of the base, and
    `oldest_at` the time of its event; of a segment, the position of its first event and nothing."""

    format: str
    position: int
    at: datetime
    epoch: int
    oldest: int = 0
    oldest_at: datetime = datetime(1970, 1, 1, tzinfo=UTC)


class BaseNode(msgspec.Struct, frozen=True, tag_field="line", tag="baseNode"):
    """What the graph was at the base; it comes before all events."""

    node: Node


class BasePool(msgspec.Struct, frozen=True, tag_field="line", tag="basePool"):
    path: str
    pool: Pool


class BaseEntry(msgspec.Struct, frozen=True, tag_field="line", tag="baseEntry"):
    entry: Counted


class BaseTotals(msgspec.Struct, frozen=True, tag_field="line", tag="baseTotals"):
    owner: str
    totals: Totals


class Logged(msgspec.Struct, frozen=True, tag_field="line", tag="event"):
    event: Event


class Mark(msgspec.Struct, frozen=True, tag_field="line", tag="mark"):
    """How far a numbered source was taken in."""

    name: str
    through: int


class Lease(msgspec.Struct, frozen=True, tag_field="line", tag="lease"):
    """The token of a lease's last acquisition: the next one must be higher."""

    name: str
    token: int


class Key(msgspec.Struct, frozen=True, tag_field="line", tag="key"):
    """What an idempotency key stands for."""

    key: str
    digest: str
    outcome: Kept


class _End(msgspec.Struct, frozen=True, tag_field="line", tag="end"):
    lines: int
    sha256: str


Based = BaseNode | BasePool | BaseEntry | BaseTotals
Line = Logged | Mark | Lease | Key | Based

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_encode = msgspec.json.Encoder().encode
_decode: Callable[[bytes], Top | Line | _End] = msgspec.json.Decoder(Top | Line | _End).decode


class Bytes(Protocol):
    """A file of bytes, as far as it is needed."""

    def write(self, data: bytes, /) -> object: ...

    def readline(self, limit: int, /) -> bytes: ...


class Writer:
    """Takes the lines."""

    def __init__(self, file: Bytes, top: Top) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.lines = 0
        self._put(top)

    def put(self, line: Line) -> None:
        self._put(line)
        self.lines += 1

    def end(self) -> None:
        self._put(_End(self.lines, self._digest.hexdigest()))

    def _put(self, line: Any) -> None:
        encoded = _encode(line) + b"\n"
        self._digest.update(encoded)
        self._file.write(encoded)


@contextmanager
def writing(path: Path, top: Top) -> Iterator[Writer]:
    """A new file, there once the block is left without an error, and on the disk then. Raises `Invalid` where there is one
    already, or it cannot be written."""
    if path.exists():
        raise Invalid(f"{path} exists already", field="file")
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as raw:
            with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=_LEVEL, mtime=0) as file:
                writer = Writer(file, top)
                yield writer
                writer.end()
            raw.flush()
            os.fsync(raw.fileno())
        part.rename(path)
        _sync_directory(path.parent)
    except OSError as error:
        raise Invalid(f"{path} cannot be written: {error.strerror}", field="file") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


class Reader:
    """What a file holds. The lines are not to be trusted before the last of them came."""

    def __init__(self, file: Bytes, name: str, formats: Collection[str] = (FORMAT, FORMER)) -> None:
        self._file, self._name = file, name
        self._digest = hashlib.sha256()
        self._number = 0
        top = self._next()
        if not isinstance(top, Top) or top.format not in formats:
            raise Invalid(f"{name} is not of the format {' or '.join(formats)}", field="file")
        self.top = top

    def lines(self) -> Iterator[Line]:
        """All of them. Raises `Invalid` where one cannot be read, and at the end where any is missing or changed."""
        count = 0
        while True:
            before = self._digest.hexdigest()
            line = self._next()
            if isinstance(line, _End):
                if (line.lines, line.sha256) != (count, before):
                    raise Invalid(f"{self._name} was changed after it was written", field="file")
                return
            if isinstance(line, Top):
                raise Invalid(f"{self._name}, line {self._number}: a second head", field="file")
            yield line
            count += 1

    def _next(self) -> Top | Line | _End:
        self._number += 1
        try:
            text = self._file.readline(LINE_LIMIT_BYTES)
            if not text.endswith(b"\n"):
                raise Invalid(f"{self._name} is cut off after line {self._number - 1}", field="file")
            self._digest.update(text)
            return _decode(text)
        except (*_UNREADABLE, EOFError, OSError, zlib.error) as error:
            raise Invalid(f"{self._name}, line {self._number}: {error}", field="file") from error


@contextmanager
def reading(path: Path, formats: Collection[str] = (FORMAT, FORMER)) -> Iterator[Reader]:
    """Raises `Invalid` where there is no such file, or it is of another format."""
    try:
        raw = path.open("rb")
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}", field="file") from error
    with raw, gzip.GzipFile(fileobj=raw, mode="rb") as file:
        yield Reader(file, str(path), formats)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
