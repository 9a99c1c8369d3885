"""The reader of the Standard Workload Format: what it takes, and how it says where a file is wrong."""

import contextlib
import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.errors import Invalid
from sim.traces.swf import FIELDS, HEADER_LIMIT, LINE_LIMIT, Record, Trace, opened

LINE = "1 0 11464 4000 40 -1 -1 40 4000 -1 1 17 17 -1 0 -1 -1 -1"
FRACTIONS = {1, 2, 3, 5, 6, 8, 9, 17}


def read(*lines: str) -> list[Record]:
    return list(Trace(io.BytesIO("\n".join(lines).encode("latin-1"))))


def but(**changes: str) -> str:
    """A line with other words in some fields."""
    words = LINE.split()
    for name, word in changes.items():
        words[Record._fields.index(name)] = word
    return " ".join(words)


def refused(*lines: str) -> str:
    with pytest.raises(Invalid) as found:
        read(*lines)
    return found.value.message


def test_a_line_is_eighteen_numbers_of_which_some_are_not_known() -> None:
    (record,) = read(LINE)
    assert record == Record(1, 0, 11464, 4000, 40, None, None, 40, 4000, None, 1, 17, 17, None, 0, None, None, None)
    assert len(Record._fields) == len(FIELDS) == 18


def test_comments_are_left_out_and_those_with_a_key_are_kept() -> None:
    trace = Trace(
        io.BytesIO(b"; Version: 2.2\n;MaxProcs: 128\n; Note: a: b\n; Note: c\n;\n\n  " + LINE.encode() + b"\n")
    )
    assert len(list(trace)) == 1
    assert trace.header == {"Version": "2.2", "MaxProcs": "128", "Note": "a: b"}


def test_comments_may_be_of_any_bytes_and_any_number() -> None:
    comments = [f"; K{number}: {chr(233)}" for number in range(2 * HEADER_LIMIT)]
    trace = Trace(io.BytesIO("\n".join([*comments, LINE]).encode("latin-1")))
    assert len(list(trace)) == 1
    assert len(trace.header) == HEADER_LIMIT
    assert trace.header["K0"] == chr(233)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1 2 3", "line 2: has 3 fields and not 18"),
        (LINE + " 1", "line 2: has 19 fields and not 18"),
        (but(run_s="soon"), "line 2, field 4 (run time): 'soon' is neither a number from 0 on nor -1"),
        (but(run_s="-2"), "line 2, field 4 (run time): '-2' is neither a number from 0 on nor -1"),
        (but(submit_s="nan"), "line 2, field 2 (submit time): 'nan' is neither a number from 0 on nor -1"),
        (but(submit_s="1e3"), "line 2, field 2 (submit time): '1e3' is neither a number from 0 on nor -1"),
        (but(processors="1.5"), "line 2, field 5 (allocated processors): 1.5 is not a whole number"),
        (but(user="9999999999999"), "line 2, field 12 (user): 9999999999999 is more than 1000000000000"),
        (but(status="6"), "line 2, field 11 (status): 6 is none; there are -1 to 5"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_field(line: str, says: str) -> None:
    assert refused("; Version: 2.2", line) == says


def test_jobs_are_in_order_of_their_submission_but_for_parts_of_others() -> None:
    later, part, earlier = but(submit_s="10"), but(submit_s="5", status="2"), but(submit_s="9.5")
    assert len(read(later, part, but(submit_s="-1"), later)) == 4
    assert refused(later, part, earlier) == "line 3, field 2 (submit time): 9.5 is before that of a line above"


def test_a_line_without_end_is_not_read_to_its_end() -> None:
    endless = io.BytesIO(b"1 " * 10_000_000)
    with pytest.raises(Invalid, match=f"line 1: has more than {LINE_LIMIT} bytes"):
        list(Trace(endless))
    assert endless.tell() == LINE_LIMIT + 1


def test_a_file_is_read_as_far_as_is_asked() -> None:
    file = io.BytesIO((LINE + "\n").encode() * 1_000)
    first = next(iter(Trace(file)))
    assert first.number == 1
    assert file.tell() == len(LINE) + 1


def test_a_packed_file_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    for name, data in (("plain.gz", LINE.encode()), ("packed.swf", gzip.compress(LINE.encode()))):
        (tmp_path / name).write_bytes(data)
        with opened(tmp_path / name) as trace:
            assert [record.run_s for record in trace] == [4000]


def test_a_packed_file_that_was_cut_or_harmed_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress((LINE + "\n").encode() * 1_000, mtime=0)
    harmed = bytearray(packed)
    harmed[len(harmed) // 2] ^= 255
    for data in (packed[:-20], bytes(harmed)):
        (tmp_path / "a").write_bytes(data)
        with opened(tmp_path / "a") as trace, pytest.raises(Invalid, match=r"^line [0-9]+"):
            list(trace)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="nowhere: No such file"), opened(tmp_path / "nowhere"):
        raise AssertionError("it cannot be opened")


_whole = st.integers(0, 10**12)
_fraction = st.integers(0, 10**6).map(lambda hundredths: hundredths / 100)


def _values() -> Iterator[st.SearchStrategy[float | None]]:
    for field in range(len(FIELDS)):
        known = _fraction if field in FRACTIONS else st.integers(0, 5) if field == 10 else _whole
        yield st.none() | known


@given(st.lists(st.tuples(*_values()), max_size=20))
def test_what_is_written_is_read(lines: list[tuple[float | None, ...]]) -> None:
    lines.sort(key=lambda values: values[1] or 0.0)
    text = [" ".join("-1" if value is None else str(value) for value in values) for values in lines]
    assert read(*text) == [Record._make(values) for values in lines]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    found: list[Record] = []
    with contextlib.suppress(Invalid):
        found += Trace(io.BytesIO(data))
    assert all(len(record) == 18 for record in found)
