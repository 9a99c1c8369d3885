"""An engine's log as pages: which piece comes next, and what of it is gone."""

import json
import struct
from collections import deque
from collections.abc import Sequence
from random import Random

import pytest

from agents.runtimes.docker.logs import Cursor, Piece, cursor_in, first_page_of, page_of, pieces_in, since, text_of
from agents.runtimes.docker.reads import Reads
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


def test_all_that_is_kept_is_new_where_the_last_piece_is_gone_whatever_its_time_is() -> None:
    read = page_of(PIECES[:3], 0, None, 1000)
    left = [Piece("stdout", 2, b"the clock was set back\n"), Piece("stdout", 9, b"y\n")]
    page = page_of(left, 0, cursor_in(read.cursor), 1000, whole=True)
    assert page.parts == (Dropped(0, None), *(Record(0, *piece) for piece in left))


class Clocks:
    """Of a host, as somebody sets them."""

    def __init__(self) -> None:
        self.wall_s, self.steady_s = 1000.0, 5.0
        self.reads = Reads(lambda: self.wall_s, lambda: self.steady_s)

    def go(self, seconds: float) -> None:
        self.wall_s += seconds
        self.steady_s += seconds


def test_the_last_read_is_known_until_the_clock_is_set_back() -> None:
    clocks = Clocks()
    reads = clocks.reads
    assert reads.last_s("a", 0) is None
    reads.done("a", 0, reads.now())
    clocks.go(60.0)
    clocks.wall_s += 3600.0
    assert (reads.last_s("a", 0), reads.last_s("a", 1), reads.last_s("b", 0)) == (1000.0, None, None)
    reads.done("a", 0, reads.now())
    clocks.wall_s -= 3.0
    clocks.go(10.0)
    assert reads.last_s("a", 0) is None
    reads.done("a", 0, reads.now())
    assert reads.last_s("a", 0) == clocks.wall_s
    reads.forget("a")
    assert reads.last_s("a", 0) is None


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_passed_over_whatever_is_done_to_the_clock(seed: int) -> None:
    """As the runtime reads: an engine leaves out what is older than it is asked for."""
    rng, clocks = Random(seed), Clocks()
    reads = clocks.reads
    kept, found, after, is_set = list[Piece](), list[Record | Dropped](), "", False
    for number in range(400):
        clocks.go(rng.choice([0.1, 1.0, 5.0]))
        if rng.random() < 0.1 and not is_set:  # back and forth between two reads is not seen
            is_set = True
            clocks.wall_s += rng.choice([-30.0, -4.0, 4.0, 30.0])
        if rng.random() < 0.5:
            kept.append(Piece("stdout", round(clocks.wall_s * 1e9), b"%d\n" % number))
        if rng.random() < 0.4 or number == 399:
            begun, read_s = reads.now(), reads.last_s("a", 0)
            cursor = cursor_in(after)
            since_ns = since(cursor, read_s) * 10**9
            page = page_of((one for one in kept if one.at_ns >= since_ns), 0, cursor, 30, whole=read_s is None)
            if not page.more:
                reads.done("a", 0, begun)
                is_set = False
            found += page.parts
            after = page.cursor
    while (page := page_of(kept, 0, cursor_in(after), 1000)).parts:
        found += page.parts
        after = page.cursor
    assert found == [Record(0, *piece) for piece in kept]


def test_a_log_that_is_gone_is_no_gap_until_something_comes() -> None:
    assert page_of([], 0, Cursor("stdout", 7, 2), 1000) == LogPage("stdout 7 2")


class Files:
    """An engine's files of one container, as json-file writes them: a full one is closed before the next line, and of more than
    so many the oldest goes."""

    def __init__(self, size_bytes: int, count: int) -> None:
        self.dropped_bytes = size_bytes * (count - 1)
        self.dropped = False
        self._size_bytes, self._count = size_bytes, count
        self._files = deque[list[Piece]]([[]])
        self._sizes_bytes = deque([0])

    @property
    def pieces(self) -> list[Piece]:
        return [piece for file in self._files for piece in file]

    @property
    def kept_bytes(self) -> int:
        return sum(self._sizes_bytes)

    def write(self, piece: Piece) -> None:
        if self._sizes_bytes[-1] >= self._size_bytes:
            self._files.append([])
            self._sizes_bytes.append(0)
            if len(self._files) > self._count:
                self._files.popleft()
                self._sizes_bytes.popleft()
                self.dropped = True
        self._files[-1].append(piece)
        line = {"log": piece.data.decode(), "stream": piece.stream, "time": "2026-01-01T00:00:01.123456789Z"}
        text = json.dumps(line, ensure_ascii="\ufffd" in line["log"], separators=(",", ":"))
        self._sizes_bytes[-1] += len(text.encode()) + 1


@pytest.mark.parametrize("seed", range(16))
def test_what_the_engine_dropped_before_the_first_read_is_marked(seed: int) -> None:
    rng = Random(seed)
    files = Files(*rng.choice([(32 * 1024, 2), (16 * 1024, 4)]))
    text = rng.choice([b"", b"plain ascii text", b'"quoted\\', "\ufffd".encode(), "räuber".encode()])
    while not files.dropped or rng.random() < 0.95:
        for written in range(60):
            files.write(Piece("stdout", written, text * rng.choice([1, 2, 9]) + b"\n"))
        page = first_page_of(files.pieces, 0, rng.choice([100, 32 * 1024]), lambda: files.dropped_bytes)
        is_marked = page.parts[0] == Dropped(0, None)
        assert is_marked or not files.dropped, "a loss is not marked"
        assert not is_marked or files.kept_bytes * 2 > files.dropped_bytes, "what is little is no loss"
        assert page.parts[is_marked] == Record(0, *files.pieces[0])
        assert len(page.cursors) == len(page.parts)


def test_little_output_costs_no_question_and_has_no_gap() -> None:
    pieces = [Piece("stdout", at, b"x" * 99 + b"\n") for at in range(180)]
    page = first_page_of(pieces, 0, 1000, lambda: pytest.fail("asked"))
    assert page == page_of(pieces, 0, None, 1000)
    assert first_page_of([], 0, 1000, lambda: pytest.fail("asked")) == LogPage("")


def test_output_that_fills_all_files_but_one_may_have_lost_its_beginning() -> None:
    pieces = [Piece("stdout", at, b"x" * 99 + b"\n") for at in range(1000)]
    size_bytes = 1000 * len(
        b'{"log":"%s\\n","stream":"stdout","time":"2026-01-01T00:00:01.123456789Z"}\n' % (b"x" * 99)
    )
    assert first_page_of(pieces, 0, 1000, lambda: size_bytes).parts[0] == Dropped(0, None)
    assert first_page_of(pieces, 0, 1000, lambda: size_bytes + 1) == page_of(pieces, 0, None, 1000)


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
