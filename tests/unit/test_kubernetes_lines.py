"""A log as an API server hands it out, and what is copied of it."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.runtimes.kubernetes.lines import Line, LineReader, lines_in
from agents.runtimes.kubernetes.spool import Spool, is_done, page
from agents.runtimes.process.output import LIMIT_BYTES
from datamodel.scheduling.logs import Dropped, Record

TIME = b"2026-01-01T00:00:0%d.000000001Z "
SECOND = 1767225600 * 10**9
LOG = (
    TIME % 1
    + b"out\n"
    + TIME % 2
    + b"\x1e2\x1ferr\n"
    + b"no time at all\n"
    + TIME % 3
    + b"\xc3\xa9\0\n"
    + TIME % 4
    + b"more\x1eunended\x1f\n"
)
LINES = [
    Line("stdout", SECOND + 10**9 + 1, b"out\n"),
    Line("stderr", SECOND + 2 * 10**9 + 1, b"err\n"),
    Line("stdout", SECOND + 3 * 10**9 + 1, b"\xc3\xa9\0\n"),
    Line("stdout", SECOND + 4 * 10**9 + 1, b"more"),
]


def test_a_line_has_a_stream_and_a_time() -> None:
    assert lines_in(LOG) == LINES


@given(st.lists(st.integers(0, len(LOG)), max_size=12))
def test_it_is_the_same_however_it_comes(cuts: list[int]) -> None:
    reader, found, at = LineReader(), list[Line](), 0
    for cut in [*sorted(cuts), len(LOG)]:
        found += reader.feed(LOG[at:cut])
        at = cut
    assert [*found, *reader.end()] == LINES


@given(st.binary(max_size=300))
def test_anything_else_is_dropped_and_no_harm(log: bytes) -> None:
    assert all(line.data for line in lines_in(log))


def test_a_long_line_comes_in_parts() -> None:
    text = b"x" * 100_000
    reader = LineReader()
    parts = [*reader.feed(TIME % 1 + b"\x1e2\x1f" + text[:50_000]), *reader.feed(text[50_000:] + b"\n")]
    assert len(parts) > 1
    assert {part.stream for part in parts} == {"stderr"}
    assert b"".join(part.data for part in parts) == text + b"\n"


def test_a_log_is_whole_once_both_streams_have_ended() -> None:
    log = TIME % 1 + b"out\n" + TIME % 2 + b"\x1eend\x1f\n" + TIME % 3 + b"\x1e2\x1f\x1eend\x1f\n"
    for size in range(len(log) + 1):
        reader = LineReader()
        assert len(list(reader.feed(log[:size]))) == (size >= len(TIME % 1 + b"out\n"))
        assert reader.is_whole == (size == len(log))


@pytest.mark.parametrize("zone", [b"Z", b"+00:00", b"-00:00"])
def test_a_time_may_have_no_fraction(zone: bytes) -> None:
    assert lines_in(b"2026-01-01T00:00:01" + zone + b" x\n") == [Line("stdout", SECOND + 10**9, b"x\n")]


def copied(directory: Path) -> list[Record | Dropped]:
    return list(page(directory, 0, "", 10**9).parts)


def test_what_is_read_again_is_copied_once(tmp_path: Path) -> None:
    lines = [Line("stdout", 5, b"a\n"), Line("stdout", 5, b"b\n"), Line("stderr", 6, b"c\n"), Line("stdout", 6, b"c\n")]
    for taken in range(len(lines) + 1):
        directory = tmp_path / str(taken)
        first = Spool(directory, 0)
        for line in lines[:taken]:
            first.add(line)
        first.begin()
        for line in lines[:taken]:
            first.add(line)
        first.close()
        assert not is_done(directory, 0)
        again = Spool(directory, 0)  # as after the agent's restart
        for line in lines:
            again.add(line)
        again.finish(is_whole=True)
        assert is_done(directory, 0)
        assert [part.data for part in copied(directory) if isinstance(part, Record)] == [b"a\n", b"b\n", b"c\n", b"c\n"]


def test_a_flood_is_bounded_and_its_end_is_kept(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 0)
    for number in range(40_000):
        spool.add(Line("stdout", number, b"%063d\n" % number))
    spool.finish(is_whole=True)
    found = copied(tmp_path)
    (gap,) = [part for part in found if isinstance(part, Dropped)]
    text = b"".join(part.data for part in found if isinstance(part, Record))
    assert gap.bytes is not None
    assert len(text) + gap.bytes == 40_000 * 64
    assert len(text) < 2 * LIMIT_BYTES
    assert text.endswith(b"%063d\n" % 39_999)


@pytest.mark.parametrize("lines", [3, 40_000])
def test_what_is_not_whole_ends_with_a_gap(tmp_path: Path, lines: int) -> None:
    spool = Spool(tmp_path, 0)
    for number in range(lines):
        spool.add(Line("stdout", number, b"%063d\n" % number))
    spool.finish(is_whole=False)
    end = copied(tmp_path)[-2:]
    assert isinstance(end[0], Record)
    assert end[0].data == b"%063d\n" % (lines - 1)
    assert end[1] == Dropped(0, None)


def test_an_end_that_the_disk_did_not_take_is_read_again(tmp_path: Path) -> None:
    """The disk is full when the log ends, wherever in the end that is."""
    lines = [Line("stdout", number, b"%063d\n" % number) for number in range(40_000)]
    for room in (0, 17, 100, 10_000):
        spool = Spool(tmp_path / str(room), 0)
        for line in lines:
            spool.add(line)
        output = tmp_path / str(room) / "step-0.output"
        with limited_files(output.stat().st_size + room), pytest.raises(OSError, match="not written"):
            spool.finish(is_whole=True)
        assert not is_done(tmp_path / str(room), 0)
        again = Spool(tmp_path / str(room), 0)
        for line in lines:
            again.add(line)
        again.finish(is_whole=True)
        found = copied(tmp_path / str(room))
        text = b"".join(part.data for part in found if isinstance(part, Record))
        assert len(text) + sum(part.bytes or 0 for part in found if isinstance(part, Dropped)) == 40_000 * 64
        assert text.endswith(lines[-1].data)


@contextmanager
def limited_files(size_bytes: int) -> Iterator[None]:
    """What is written to a file beyond so much fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_cursor_behind_a_file_that_was_lost_reads_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 0)
    spool.add(Line("stdout", 1, b"a\n"))
    spool.finish(is_whole=True)
    assert page(tmp_path, 0, "9999", 10).parts == ()
    assert page(tmp_path, 1, "", 10).parts == ()


def test_what_was_dropped_at_the_source_stands_in_its_place(tmp_path: Path) -> None:
    log = TIME % 1 + b"a\n" + TIME % 2 + b"\x1edropped 77\x1f\n" + TIME % 3 + b"\x1e2\x1f\x1edropped 5\x1f\n"
    for name, rounds in (("once", 1), ("twice", 2)):
        spool = Spool(tmp_path / name, 0)
        for _ in range(rounds):
            spool.begin()
            for line in lines_in(log):
                spool.add(line)
        spool.finish(is_whole=True)
        gaps = [part.bytes for part in copied(tmp_path / name) if isinstance(part, Dropped)]
        assert gaps == [77, 5]
