"""What a step wrote, as the API server hands it out: one log of both streams, a time before each line. Pure."""

import re
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from agents.runtimes.kubernetes.wrapper import DROPPED_MARK, END_MARK, STDERR_MARK, UNENDED_MARK
from datamodel.scheduling.logs import STREAMS, Stream

PIECE_BYTES = 16 * 1024
"""Of a line that is longer, the parts are taken as they come."""

_TIME = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ")
_TIME_BYTES = 40
_END_BYTES = len(UNENDED_MARK) + 1


class Line(NamedTuple):
    """A line with its end, or a part of a long one; or how many bytes of the stream are not there. `at_ns`: nanoseconds since
    the epoch."""

    stream: Stream
    at_ns: int
    data: bytes
    dropped: int = 0


class LineReader:
    """Puts the lines of a log together from the bytes that come of it. What has no time before it is dropped with its line: an
    engine's own word in the midst of a log."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at: tuple[Stream, int] | None = None
        self._within = False
        self._ended = set[Stream]()

    @property
    def is_whole(self) -> bool:
        """Whether both streams were followed to the marks of their ends."""
        return len(self._ended) == len(STREAMS)

    def feed(self, data: bytes) -> Iterator[Line]:
        self._buffer += data
        while (end := self._buffer.find(b"\n")) >= 0:
            yield from self._take(end + 1)
            self._within, self._at = False, None
        if len(self._buffer) > PIECE_BYTES + _TIME_BYTES:
            yield from self._take(len(self._buffer) - _END_BYTES)
            self._within = True

    def end(self) -> Iterator[Line]:
        """The log is over: what is left of it is a line without its end."""
        if self._buffer:
            yield from self._take(len(self._buffer))

    def _take(self, size: int) -> Iterator[Line]:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        if not self._within:
            data = self._begin(data)
        if self._at is None:
            return
        stream, at_ns = self._at
        if data.endswith(UNENDED_MARK + b"\n"):
            data = data[: -len(UNENDED_MARK) - 1]
        if not self._within and (gap := DROPPED_MARK.fullmatch(data)):
            yield Line(stream, at_ns, b"", int(gap[1]))
        elif not self._within and data == END_MARK:
            self._ended.add(stream)
        elif data:
            yield Line(stream, at_ns, data)

    def _begin(self, data: bytes) -> bytes:
        """Takes time and mark off the beginning of a line."""
        found = _TIME.match(data)
        self._at = None
        if found is None:
            return b""
        data = data[found.end() :]
        is_error = data.startswith(STDERR_MARK)
        at_ns = _nanoseconds(found)
        if at_ns is not None:
            self._at = ("stderr" if is_error else "stdout", at_ns)
        return data[len(STDERR_MARK) :] if is_error else data


def lines_in(log: bytes) -> list[Line]:
    """All lines of a log that is whole."""
    reader = LineReader()
    return [*reader.feed(log), *reader.end()]


def _nanoseconds(found: "re.Match[bytes]") -> int | None:
    whole_s = _whole_seconds(found[1], found[3])
    return None if whole_s is None else whole_s * 10**9 + int((found[2] or b"0").ljust(9, b"0"))


@lru_cache(maxsize=64)  # many lines share a second
def _whole_seconds(time: bytes, zone: bytes) -> int | None:
    try:
        moment = datetime.fromisoformat((time + zone).decode())
    except ValueError:
        return None
    return max(0, int(moment.timestamp()))
