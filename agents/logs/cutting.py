"""What of an attempt's output goes into its log: the first part as it comes, and at the end the last part. Pure."""

from collections import deque
from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from datamodel.scheduling.logs import FRAMES_LIMIT, Dropped, Part, Record, Taken, size_of

LIMIT_BYTES = 1024 * 1024
LIMIT_LINES = 20_000
TAIL_BYTES = 32 * 1024
TAIL_LINES = 1_000
_TAIL_PARTS = 1_000


class Limits(msgspec.Struct, frozen=True):
    """The most of one attempt that goes into its log. A line ends with a newline."""

    bytes: int = LIMIT_BYTES
    lines: int = LIMIT_LINES

    @property
    def tail_bytes(self) -> int:
        return min(TAIL_BYTES, self.bytes // 4)

    @property
    def tail_lines(self) -> int:
        return min(TAIL_LINES, self.lines // 4)


def take(parts: Sequence[Part], taken: Taken, limits: Limits) -> tuple[tuple[Part, ...], Taken]:
    """Which of these parts, from the first on, the next frame has, and what the log has then. It becomes full where they are
    not all."""
    left_bytes = limits.bytes - limits.tail_bytes - taken.bytes
    left_lines = limits.lines - limits.tail_lines - taken.lines
    room = taken.frames + 2 <= FRAMES_LIMIT  # the last one has to fit too
    fitting = 0
    for part in parts:
        if isinstance(part, Record):
            left_bytes -= len(part.data)
            left_lines -= part.data.count(b"\n")
        if left_bytes < 0 or left_lines < 0 or not room:
            break
        fitting += 1
    return tuple(parts[:fitting]), after(taken, parts[:fitting], full=fitting < len(parts))


def after(taken: Taken, parts: Iterable[Part], *, full: bool) -> Taken:
    """What the log has with one more frame of these parts."""
    records = [part for part in parts if isinstance(part, Record)]
    return Taken(
        frames=taken.frames + 1,
        bytes=taken.bytes + sum(len(record.data) for record in records),
        lines=taken.lines + sum(record.data.count(b"\n") for record in records),
        offset=taken.offset + sum(map(size_of, parts)),
        full=full,
    )


class Tail:
    """The last part of what is added to it, and how much came before that."""

    def __init__(self, limits: Limits) -> None:
        self._left_bytes, self._left_lines = limits.tail_bytes, limits.tail_lines
        self._records = deque[Record]()
        self._dropped: dict[int, int] = {}
        self._uncounted: set[int] = set()

    def add(self, part: Part) -> None:
        if isinstance(part, Dropped):
            self._drop_all()
            self._count(part)
            return
        self._records.append(part)
        self._left_bytes -= len(part.data)
        self._left_lines -= part.data.count(b"\n")
        while self._left_bytes < 0 or self._left_lines < 0 or len(self._records) > _TAIL_PARTS:
            self._drop_first()

    @property
    def parts(self) -> tuple[Part, ...]:
        """What was dropped, by step, and then what was not."""
        steps = sorted(self._dropped.keys() | self._uncounted)
        dropped = [Dropped(step, self._dropped[step]) for step in steps if self._dropped.get(step)]
        uncounted = [Dropped(step, None) for step in steps if step in self._uncounted]
        return (*sorted([*dropped, *uncounted], key=lambda part: part.step), *self._records)

    def _drop_first(self) -> None:
        record = self._records.popleft()
        size = _least(record.data, -self._left_bytes, -self._left_lines)
        if len(self._records) >= _TAIL_PARTS or size >= len(record.data):
            size = len(record.data)
        else:
            self._records.appendleft(replace(record, data=record.data[size:]))
        gone = record.data[:size]
        self._left_bytes += len(gone)
        self._left_lines += gone.count(b"\n")
        self._count(Dropped(record.step, len(gone)))

    def _drop_all(self) -> None:
        """What comes before something that was dropped already is no end of anything: one gap is enough."""
        for record in self._records:
            self._left_bytes += len(record.data)
            self._left_lines += record.data.count(b"\n")
            self._count(Dropped(record.step, len(record.data)))
        self._records.clear()

    def _count(self, dropped: Dropped) -> None:
        if dropped.bytes is None:
            self._uncounted.add(dropped.step)
        else:
            self._dropped[dropped.step] = self._dropped.get(dropped.step, 0) + dropped.bytes


def _least(data: bytes, size_bytes: int, lines: int) -> int:
    """The size of the shortest beginning that has as many bytes and as many newlines, or of all."""
    return min(len(data), max(size_bytes, _behind_lines(data, lines), 0))


def _behind_lines(data: bytes, lines: int) -> int:
    """Where so many lines end, or all of it where there are fewer."""
    at = 0
    for _ in range(lines):
        at = data.find(b"\n", at) + 1
        if not at:
            return len(data)
    return at
