"""Frames as lines of text, with what is missing between them. Pure."""

import codecs
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from datamodel.scheduling.logs import Dropped, Frame, Part, Stream, size_of

Reason = Literal["limit", "expired", "notReceived"]
"""Why output is missing: it was more than is kept, it is too old, or the edge has not told the rest."""


class Line(msgspec.Struct, frozen=True, rename="camel"):
    """A line, with its newline; without one, the next of its stream goes on with it. `offset`: where it ends."""

    offset: int
    step: str
    stream: Stream
    at: datetime
    text: str


class Missing(msgspec.Struct, frozen=True, rename="camel"):
    """Output that is not there: so many bytes, null where nobody knows."""

    offset: int
    step: str
    truncated: Reason
    bytes: int | None


Told = Line | Missing


class Wanted(msgspec.Struct, frozen=True):
    """Of which step and stream, None: of all."""

    step: str | None = None
    stream: Stream | None = None


class Lines:
    """Turns the frames of one log into lines, in their order, from an offset on. Frames that come again change nothing."""

    def __init__(self, steps: Sequence[str], wanted: Wanted, offset: int = 0) -> None:
        self._steps, self._wanted = steps, wanted
        self._decoders: dict[tuple[int, Stream], codecs.IncrementalDecoder] = {}
        self._step = 0
        self.offset = offset

    def of(self, frame: Frame) -> list[Told]:
        """What a frame adds."""
        told: list[Told] = []
        if frame.offset > self.offset:
            self._step = next((part.step for part in frame.records), self._step)
            told += self._missing("expired", frame.offset - self.offset, frame.offset)
        at = frame.offset
        for part in frame.records:
            end = at + size_of(part)
            if end > self.offset or (end == self.offset and size_of(part) == 0):
                told += self._told(part, max(0, self.offset - at), end)
            at = end
        return told

    def ended_early(self) -> list[Told]:
        """That the log ends here, and should not."""
        return list(self._missing("notReceived", None, self.offset))

    def _told(self, part: Part, skip: int, end: int) -> Iterator[Told]:
        self._step = part.step
        if isinstance(part, Dropped):
            yield from self._missing("limit", part.bytes - skip if part.bytes is not None else None, end)
            return
        self.offset = end
        if self._wanted.stream not in (None, part.stream) or self._wanted.step not in (None, self._name):
            return
        decoder = self._decoders.setdefault((part.step, part.stream), codecs.getincrementaldecoder("utf-8")("replace"))
        data = part.data[skip:]
        begin = end - len(data)
        for line in _split(data):
            begin += len(line)
            if text := decoder.decode(line):
                yield Line(begin, self._name, part.stream, datetime.fromtimestamp(part.at_ns / 1e9, UTC), text)

    def _missing(self, reason: Reason, size_bytes: int | None, end: int) -> Iterator[Told]:
        self.offset = end
        if self._wanted.step in (None, self._name):
            yield Missing(end, self._name, reason, size_bytes)

    @property
    def _name(self) -> str:
        return self._steps[self._step] if self._step < len(self._steps) else str(self._step)


def last_lines(told: Iterable[Told], count: int) -> list[Told]:
    """The last so many lines, with what is missing between and behind them."""
    kept = deque[Told]()
    lines = 0
    for one in told:
        kept.append(one)
        lines += isinstance(one, Line)
        while lines > count:
            lines -= isinstance(kept.popleft(), Line)
    return list(kept)


def _split(data: bytes) -> list[bytes]:
    """Lines end with a newline and with nothing else."""
    *whole, rest = data.split(b"\n")
    return [line + b"\n" for line in whole] + ([rest] if rest else [])
