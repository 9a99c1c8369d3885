"""Frames as lines: which text, which offset, and what is missing where."""

from datetime import UTC, datetime

import pytest

from datamodel.scheduling.logs import Dropped, Frame, Part, Position, Record, Taken, size_of
from gateway.logs.lines import Line, Lines, Missing, Told, Wanted, last_lines
from gateway.rest.logs import text_of

AT = datetime(2026, 1, 1, tzinfo=UTC)
AT_NS = int(AT.timestamp()) * 10**9


def out(data: bytes, step: int = 0) -> Record:
    return Record(step, "stdout", AT_NS, data)


def err(data: bytes, step: int = 0) -> Record:
    return Record(step, "stderr", AT_NS, data)


def frames(*groups: list[Part]) -> list[Frame]:
    made: list[Frame] = []
    offset = 0
    for group in groups:
        made.append(Frame(1, offset, tuple(group), Position(), Taken()))
        offset += sum(map(size_of, group))
    return made


def told(made: list[Frame], wanted: Wanted = Wanted(), offset: int = 0) -> list[Told]:  # noqa: B008 - frozen
    lines = Lines(["build", "run"], wanted, offset)
    return [one for frame in made for one in lines.of(frame)]


LOG = frames([out(b"a\nb\n"), err(b"oops\n")], [out(b"half "), Dropped(0, 10), out(b"line\n", 1)])


def test_lines_have_their_step_stream_time_and_where_they_end() -> None:
    assert told(LOG) == [
        Line(2, "build", "stdout", AT, "a\n"),
        Line(4, "build", "stdout", AT, "b\n"),
        Line(9, "build", "stderr", AT, "oops\n"),
        Line(14, "build", "stdout", AT, "half "),
        Missing(24, "build", "limit", 10),
        Line(29, "run", "stdout", AT, "line\n"),
    ]


@pytest.mark.parametrize("offset", [0, 2, 4, 9, 14, 24, 29])
def test_reading_goes_on_from_where_a_line_ended(offset: int) -> None:
    assert told(LOG, offset=offset) == [one for one in told(LOG) if one.offset > offset]


def test_reading_goes_on_from_within_a_line_too() -> None:
    assert told(LOG, offset=11)[0] == Line(14, "build", "stdout", AT, "lf ")


def test_only_what_is_wanted_is_told() -> None:
    assert [one.offset for one in told(LOG, Wanted(stream="stderr"))] == [9, 24]
    assert [one.offset for one in told(LOG, Wanted(step="run"))] == [29]


def test_a_frame_that_comes_again_changes_nothing() -> None:
    first, second = LOG
    assert told([first, first, second, first, second]) == told(LOG)


def test_a_beginning_that_is_gone_and_a_frame_that_is_missing_are_marked() -> None:
    first, second = LOG
    assert told([second])[0] == Missing(9, "build", "expired", 9)
    third = Frame(1, 100, (out(b"z\n"),), Position(), Taken())
    assert told([first, third])[3:] == [Missing(100, "build", "expired", 91), Line(102, "build", "stdout", AT, "z\n")]


def test_a_character_that_is_cut_in_two_is_whole_again() -> None:
    euro = "€".encode()
    made = frames([out(b"1" + euro[:1])], [err(b"x\n"), out(euro[1:] + b"\n")])
    assert [one.text for one in told(made) if isinstance(one, Line)] == ["1", "x\n", "€\n"]
    assert [one.text for one in told(frames([out(b"\xff\n")])) if isinstance(one, Line)] == ["\ufffd\n"]


def test_nothing_but_a_newline_ends_a_line() -> None:
    made = frames([out("10%\r20%\r\n\u2028\x0b\n".encode())])
    assert [one.text for one in told(made) if isinstance(one, Line)] == ["10%\r20%\r\n", "\u2028\x0b\n"]


def test_the_last_lines_come_with_what_is_missing_between_them() -> None:
    assert last_lines(told(LOG), 2) == told(LOG)[3:]
    assert last_lines(told(LOG), 1) == told(LOG)[4:]
    assert last_lines(told(LOG), 0) == []
    assert last_lines(told(LOG), 99) == told(LOG)


def test_as_text_it_is_what_was_written_with_remarks_on_what_is_missing() -> None:
    lines = Lines(["build", "run"], Wanted())
    everything = [one for frame in LOG for one in lines.of(frame)] + lines.ended_early()
    assert text_of(everything) == (
        "a\nb\noops\nhalf \n[10 bytes were more than a log holds]\nline\n[the rest has not been received]\n"
    )
    assert text_of([Missing(0, "build", "limit", None)]) == "[bytes that nobody counted were more than a log holds]\n"
    assert text_of([Missing(9, "build", "expired", 9)]) == "[9 bytes are not kept any more]\n"


def test_a_step_that_the_job_has_not_is_named_by_its_number() -> None:
    (line,) = told(frames([out(b"a\n", 7)]))
    assert line.step == "7"
