"""Reading the Standard Workload Format, version 2.2, in which the Parallel Workloads Archive keeps its logs.

Definition: <https://www.cs.huji.ac.il/labs/parallel/workload/swf.html>. A job is a line of 18 numbers; -1 says that one is not
known. Lines that begin with `;` are comments, those at the head of the form `; Key: value`. Jobs are in order of their
submission. A job that was swapped out has a line for the whole of it, and then one for each part, of status 2 to 4.
"""

import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from datamodel.errors import Invalid

LINE_LIMIT = 4_096
"""Bytes."""
HEADER_LIMIT = 200
"""Keys; what comes after is not kept."""
NUMBER_LIMIT = 10**12

FAILED, COMPLETED, CONTINUED, LAST_COMPLETED, LAST_FAILED, CANCELLED = range(6)
PARTIAL = frozenset({CONTINUED, LAST_COMPLETED, LAST_FAILED})
"""Statuses: of what is a part of a job that has a line of its own."""
INTERACTIVE = 0
"""The queue of interactive jobs, by convention."""


class Record(NamedTuple):
    """A line. What is not known is None. Memory is in kilobytes for each processor, on average."""

    number: int | None
    submit_s: float | None
    wait_s: float | None
    run_s: float | None
    processors: int | None
    cpu_s: float | None
    memory_kb: float | None
    asked_processors: int | None
    asked_s: float | None
    asked_memory_kb: float | None
    status: int | None
    user: int | None
    group: int | None
    executable: int | None
    queue: int | None
    partition: int | None
    preceding: int | None
    think_s: float | None


FIELDS = (
    "job number",
    "submit time",
    "wait time",
    "run time",
    "allocated processors",
    "average CPU time",
    "used memory",
    "requested processors",
    "requested time",
    "requested memory",
    "status",
    "user",
    "group",
    "executable",
    "queue",
    "partition",
    "preceding job",
    "think time",
)
"""In the words of the definition, in order."""
_FRACTIONS = frozenset({1, 2, 3, 5, 6, 8, 9, 17})
"""Times, and averages over processors."""
_SUBMIT, _STATUS = 1, 10
_NUMBER = re.compile(r"[0-9]{1,13}(\.[0-9]{1,9})?")
_UNKNOWN = re.compile(r"-1(\.0{1,9})?")
_HEADER = re.compile(r";\s*([A-Za-z][A-Za-z0-9]*)\s*:\s*(.*)")


class Trace:
    """A file as it is read, a line at a time. Iterating raises `Invalid`, which names the line and the field."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.header: dict[str, str] = {}
        """What the comments say by key, so far; of a key that comes again, what it said first."""

    def __iter__(self) -> Iterator[Record]:
        submitted_s = 0.0
        for line, text in self._lines():
            if text.startswith(";"):
                self._note(text)
                continue
            record = record_of(line, text)
            if record.submit_s is not None and record.status not in PARTIAL:
                if record.submit_s < submitted_s:
                    raise _invalid(line, _SUBMIT, f"{record.submit_s:g} is before that of a line above")
                submitted_s = record.submit_s
            yield record

    def _lines(self) -> Iterator[tuple[int, str]]:
        line = 0
        while True:
            line += 1
            try:
                read = self._file.readline(LINE_LIMIT + 1)
            except (EOFError, OSError, zlib.error) as error:
                raise Invalid(f"line {line}: cannot be read: {error}") from error
            if not read:
                return
            if len(read) > LINE_LIMIT:
                raise Invalid(f"line {line}: has more than {LINE_LIMIT} bytes")
            if text := read.decode("latin-1").strip():
                yield line, text

    def _note(self, comment: str) -> None:
        found = _HEADER.fullmatch(comment)
        if found is not None and len(self.header) < HEADER_LIMIT:
            self.header.setdefault(found[1], found[2])


@contextmanager
def opened(path: Path) -> Iterator[Trace]:
    """The trace in a file, plain or of gzip. Raises `Invalid` where it cannot be opened."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise Invalid(f"{path}: {error.strerror}") from error
    with file:
        if file.peek(2)[:2] == b"\x1f\x8b":
            with gzip.open(file) as unpacked:
                yield Trace(cast("BinaryIO", unpacked))
        else:
            yield Trace(file)


def record_of(line: int, text: str) -> Record:
    """What a line says. Raises `Invalid` with its number."""
    words = text.split()
    if len(words) != len(FIELDS):
        raise Invalid(f"line {line}: has {len(words)} fields and not {len(FIELDS)}")
    found = Record._make(_number(line, field, word) for field, word in enumerate(words))
    if found.status is not None and found.status > CANCELLED:
        raise _invalid(line, _STATUS, f"{found.status} is none; there are -1 to {CANCELLED}")
    return found


def _number(line: int, field: int, word: str) -> float | int | None:
    if _UNKNOWN.fullmatch(word):
        return None
    found = _NUMBER.fullmatch(word)
    if found is None:
        raise _invalid(line, field, f"{word[:40]!r} is neither a number from 0 on nor -1")
    if found[1] is not None and field not in _FRACTIONS and float(found[1]):
        raise _invalid(line, field, f"{word} is not a whole number")
    value = float(word)
    if value > NUMBER_LIMIT:
        raise _invalid(line, field, f"{word} is more than {NUMBER_LIMIT}")
    return value if field in _FRACTIONS else int(value)


def _invalid(line: int, field: int, what: str) -> Invalid:
    return Invalid(f"line {line}, field {field + 1} ({FIELDS[field]}): {what}")
