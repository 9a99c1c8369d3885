"""An engine's log as pages: which piece comes next, and what of it is gone."""

import struct
from collections.abc import Sequence

import pytest

from agents.runtimes.docker.logs import Cursor, Piece, cursor_in, page_of, pieces_in, text_of
from agents.runtimes.protocol import LogPage
from datamodel.errors import Transient
from datamodel.scheduling.logs import Dropped, Record

PIECES = [
    Piece("stdout", 5, b"a\n"),
    Piece("stdout", 7, b"b"),
    Piece("stdout", 7, b"c"),
    Piece("stderr", 6, b"late\n"),
    Piece("stdout", 7, b"d\n"),
    Piece("stderr", 7, b"e\n"),
    Piece("stdout", 3, b"the clock was set back\n"),
]


def framed(stream: int, line: bytes) -> bytes:
    return struct.pack(">BxxxI", stream, len(line)) + line


def whole(pieces: Sequence[Piece], limit_bytes: int) -> list[Record | Dropped]:
    """All pages one after the other, each read with the cursor of the one before it."""
    found: list[Record | Dropped] = []
    page = LogPage("", more=True)
    while page.more:
        page = page_of(pieces, 0, cursor_in(page.cursor), limit_bytes)
        found += page.parts
    assert page_of(pieces, 0, cursor_in(page.cursor), limit_bytes) == LogPage(page.cursor)
    return found


@pytest.mark.parametrize("limit_bytes", [1, 20, 24, 1000])
def test_pages_hold_each_piece_once_in_the_order_of_the_file(limit_bytes: int) -> None:
    assert whole(PIECES, limit_bytes) == [Record(0, *piece) for piece in PIECES]


@pytest.mark.parametrize("read", range(1, len(PIECES)))
def test_what_is_written_later_follows_whatever_its_time_is(read: int) -> None:
    first = page_of(PIECES[:read], 0, None, 1000)
    rest = page_of(PIECES, 0, cursor_in(first.cursor), 1000)
    assert [*first.parts, *rest.parts] == [Record(0, *piece) for piece in PIECES]


def test_where_the_last_piece_is_gone_a_gap_is_marked_once_and_nothing_comes_twice() -> None:
    read = page_of(PIECES[:3], 0, None, 1000)
    left = [Piece("stderr", 6, b"late\n"), Piece("stdout", 8, b"x\n"), Piece("stdout", 9, b"y\n")]
    page = page_of(left, 0, cursor_in(read.cursor), 1)
    assert page.parts == (Dropped(0, None), Record(0, "stdout", 8, b"x\n"))
    assert page.more
    assert page_of(left, 0, cursor_in(page.cursor), 1000).parts == (Record(0, "stdout", 9, b"y\n"),)


def test_a_log_that_is_gone_is_no_gap_until_something_comes() -> None:
    assert page_of([], 0, Cursor("stdout", 7, 2), 1000) == LogPage("stdout 7 2")


def test_cursors_are_texts() -> None:
    assert cursor_in(text_of(Cursor("stderr", 7, 2))) == Cursor("stderr", 7, 2)
    assert text_of(None) == ""
    for text in ("", "stdin 1 1", "stdout 1", "stdout -1 1", "stdout 1 1 "):
        assert cursor_in(text) is None


def test_an_answer_is_read_however_it_arrives() -> None:
    answer = framed(1, b"2026-01-01T00:00:01.123456789Z a b\n") + framed(2, b"2026-01-01T00:00:02.000000000Z ")
    wanted = [Piece("stdout", 1767225601123456789, b"a b\n"), Piece("stderr", 1767225602000000000, b"")]
    assert list(pieces_in([answer])) == wanted
    assert list(pieces_in(answer[at : at + 1] for at in range(len(answer)))) == wanted
    assert list(pieces_in([])) == []


@pytest.mark.parametrize(
    "answer",
    [
        framed(0, b"2026-01-01T00:00:01.123456789Z a\n"),
        framed(1, b"a line without a time\n"),
        framed(1, b"2026-13-01T00:00:01.123456789Z a\n"),
        framed(1, b"2026-01-01T00:00:01.123456789Z a\n")[:-1],
        struct.pack(">BxxxI", 1, 2**31),
        b"\1",
    ],
)
def test_an_answer_that_is_none_or_breaks_off_is_asked_for_again(answer: bytes) -> None:
    with pytest.raises(Transient):
        list(pieces_in([answer]))
