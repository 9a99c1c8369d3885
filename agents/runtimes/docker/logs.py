"""What a step wrote, as its engine keeps it: a file of bounded size, whose oldest part goes when there is more.

The engine has no position in that file to go on from. It gives every piece a time, and a cursor names the last piece that was
read: by its stream, its time, and how many pieces of that stream and time came up to it. What follows that piece in the file is
new, whatever its time is. Where the piece is gone, so is all that came before it, and nobody counted what was lost. Who
knows that its clock was not set back since the last read asks only for what is not older than that; else for all that is kept.

Before the first read there is no such piece. But an engine begins a new file when one is full, and drops the oldest where those
are too many then: while it keeps less than all but one of them hold, it has dropped nothing. From there on it may have, and the
output is taken to begin with a gap.
"""

import re
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple

import docker

from agents.runtimes.docker.container import ATTEMPT_LABEL, INDEX_LABEL
from agents.runtimes.protocol import LogPage
from datamodel.errors import Transient
from datamodel.scheduling.logs import STREAMS, Dropped, Part, Record, Stream

SLACK_S = 2
"""Pieces may stand a little out of the order of their times: two streams are copied at a time, and a clock is set back."""

_HEADER = struct.Struct(">BxxxI")
_PIECE_LIMIT_BYTES = 64 * 1024
_READ_BYTES = 256 * 1024
_LEAST_DROPPED_BYTES = 32 * 1024
"""What is kept by any engine that has dropped something: half of the least that an operator can have it keep."""
_FORM_BYTES = 69
"""What stands around a piece in the engine's file, a line of JSON with the stream and the time."""
_LONG = bytes({*range(0x20), *b"<>&"} - {*b"\n\r"})
"""Stand there as six bytes; `_SHORT` as two."""
_SHORT = b'\n\r"\\'
_STREAM: dict[int, Stream] = dict(enumerate(STREAMS, 1))
_STREAMS: dict[str, Stream] = {stream: stream for stream in STREAMS}
_TIME = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})Z ")
_CURSOR = re.compile(r"(stdout|stderr) (\d{1,19}) (\d{1,9})")


class Piece(NamedTuple):
    """A line, or the part of a long one. `at_ns`: nanoseconds since the epoch."""

    stream: Stream
    at_ns: int
    data: bytes


class Cursor(NamedTuple):
    """The piece that was read last: the so many-th (`nth`) of its stream and time."""

    stream: Stream
    at_ns: int
    nth: int


def read_logs(
    client: docker.APIClient,
    attempt: str,
    index: int,
    name: str | None,
    after: str,
    limit_bytes: int,
    *,
    read_s: float | None = None,
) -> LogPage:
    """Some of what a step wrote behind a cursor. Blocks. `name` is its container's, None where it has to be found by its
    labels. `read_s`: when it was read last by a clock that was not set back since, None where that is not known. Raises
    `Transient` where the engine's answer breaks off."""
    container = name or _container(client, attempt, index)
    if container is None:
        return LogPage(after)
    cursor = cursor_in(after)
    params: dict[str, str | int] = {"stdout": 1, "stderr": 1, "timestamps": 1}
    if begin_s := since(cursor, read_s):
        params["since"] = begin_s
    url = f"{client.base_url}/v{client.api_version}/containers/{container}/logs"
    with client.get(url, params=params, stream=True, timeout=client.timeout) as answer:
        if answer.status_code == HTTPStatus.NOT_FOUND:  # never made, or removed
            return LogPage(after)
        answer.raise_for_status()
        pieces = pieces_in(answer.iter_content(_READ_BYTES))
        if cursor is not None:
            return page_of(pieces, index, cursor, limit_bytes, whole=read_s is None)
        return first_page_of(pieces, index, limit_bytes, lambda: _dropped_bytes(client, container))


def since(cursor: Cursor | None, read_s: float | None) -> int:
    """From which second on the engine is to tell what it keeps; 0: all of it."""
    if cursor is None or read_s is None:
        return 0
    return max(0, min(cursor.at_ns // 10**9, int(read_s)) - SLACK_S)


def _dropped_bytes(client: docker.APIClient, container: str) -> int:
    """What the engine keeps at least of this container's output once it has dropped some."""
    config = client.inspect_container(container)["HostConfig"]["LogConfig"]["Config"] or {}
    size, files = config.get("max-size", ""), config.get("max-file", "")
    return int(size) * (int(files) - 1) if size.isdecimal() and files.isdecimal() else 0


def _container(client: docker.APIClient, attempt: str, index: int) -> str | None:
    labels = [f"{ATTEMPT_LABEL}={attempt}", f"{INDEX_LABEL}={index}"]
    return next((one["Id"] for one in client.containers(all=True, filters={"label": labels})), None)


def first_page_of(pieces: Iterable[Piece], index: int, limit_bytes: int, dropped_bytes: Callable[[], int]) -> LogPage:
    """The page from the beginning, of all pieces that are kept. `dropped_bytes()` is what is kept at least once something was
    dropped; it is asked for only where there is much."""
    kept = _Kept(pieces)
    page = page_of(kept, index, None, limit_bytes)
    kept.count(_LEAST_DROPPED_BYTES)
    if kept.at_most_bytes < _LEAST_DROPPED_BYTES:
        return page
    least_bytes = dropped_bytes()
    kept.count(least_bytes)
    if kept.at_most_bytes < least_bytes:
        return page
    return LogPage("", (Dropped(index, None), *page.parts), ("", *page.cursors), page.more)


class _Kept:
    """Pieces as they are read, and how many bytes of the engine's files those take at most: what stands there in another form
    than it is told in, nobody knows."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._pieces = iter(pieces)
        self.at_most_bytes = 0

    def __iter__(self) -> Iterator[Piece]:
        for piece in self._pieces:
            self.at_most_bytes += _FORM_BYTES + _escaped_bytes(piece.data)
            yield piece

    def count(self, enough_bytes: int) -> None:
        """Reads on until it is so much, or all."""
        pieces = iter(self)
        while self.at_most_bytes < enough_bytes and next(pieces, None) is not None:
            pass


def _escaped_bytes(data: bytes) -> int:
    """How many bytes they are at most as a text of JSON."""
    longer = len(data) - len(data.translate(None, _LONG))
    short = len(data) - len(data.translate(None, _SHORT))
    foreign = 0 if data.isascii() else len(data)  # three bytes may have been six
    return len(data) + 5 * longer + short + foreign


def page_of(
    pieces: Iterable[Piece], index: int, cursor: Cursor | None, limit_bytes: int, *, whole: bool = False
) -> LogPage:
    """The page behind a cursor, of all pieces that are kept (`whole`), or of all since a little before it."""
    found, page = cursor is None, _Page(index, limit_bytes)
    counts: Counter[tuple[Stream, int]] = Counter()
    for piece in pieces:
        counts[piece.stream, piece.at_ns] += 1
        at = Cursor(piece.stream, piece.at_ns, counts[piece.stream, piece.at_ns])
        if at == cursor:
            found, page = True, _Page(index, limit_bytes)
        elif found or (cursor is not None and (piece.at_ns > cursor.at_ns or (whole and piece.at_ns < cursor.at_ns))):
            page.add(piece, at)
            if page.full and found:
                break
    after = text_of(cursor)
    if page.parts and not found:
        page.parts.insert(0, Dropped(index, None))
        page.cursors.insert(0, after)
    return LogPage(after, tuple(page.parts), tuple(page.cursors), page.full)


class _Page:
    """A page as it grows; what comes when it is `full` is for the next one."""

    def __init__(self, index: int, limit_bytes: int) -> None:
        self._index, self._left_bytes = index, limit_bytes
        self.parts: list[Part] = []
        self.cursors: list[str] = []
        self.full = False

    def add(self, piece: Piece, at: Cursor) -> None:
        self._left_bytes -= len(piece.data) + _HEADER.size
        self.full = self.full or (self._left_bytes < 0 and bool(self.parts))
        if not self.full:
            self.parts.append(Record(self._index, *piece))
            self.cursors.append(text_of(at))


def text_of(cursor: Cursor | None) -> str:
    return " ".join(map(str, cursor)) if cursor is not None else ""


def cursor_in(text: str) -> Cursor | None:
    """The cursor that a text is; None for one that is none: everything is read from the beginning."""
    found = _CURSOR.fullmatch(text)
    return Cursor(_STREAMS[found[1]], int(found[2]), int(found[3])) if found is not None else None


def pieces_in(answer: Iterable[bytes]) -> Iterator[Piece]:
    """The pieces of an engine's answer: a stream's number, a size, and so many bytes that begin with a time. Raises `Transient`
    where it is none, or breaks off."""
    buffer = bytearray()
    for received in answer:
        buffer += received
        at = 0
        while len(buffer) - at >= _HEADER.size:
            number, size = _HEADER.unpack_from(buffer, at)
            if number not in _STREAM or size > _PIECE_LIMIT_BYTES:
                raise Transient("the engine's answer is no log")
            if len(buffer) - at - _HEADER.size < size:
                break
            at += _HEADER.size
            yield _piece(_STREAM[number], bytes(buffer[at : at + size]))
            at += size
        del buffer[:at]
    if buffer:
        raise Transient("the engine's log breaks off")


def _piece(stream: Stream, line: bytes) -> Piece:
    found = _TIME.match(line)
    if found is None:
        raise Transient("the engine's log has a line without a time")
    try:
        seconds = int(datetime.fromisoformat(f"{found[1].decode()}+00:00").timestamp())
    except ValueError as error:
        raise Transient(f"the engine's log has a line of no time: {error}") from error
    return Piece(stream, max(0, seconds) * 10**9 + int(found[2]), line[found.end() :])
