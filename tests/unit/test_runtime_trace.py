"""A power supply that follows a file."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.runtimes.trace import Trace, read_trace, trace_of
from datamodel.errors import Invalid

EXAMPLE = Path(__file__).parents[2] / "examples" / "simulated" / "cloudy.csv"


def trace(*rows: str) -> Trace:
    return trace_of(["seconds,watts", *rows], "t.csv")


def test_watts_hold_until_the_next_line_and_the_trace_begins_anew() -> None:
    one = trace("0,37", "10,0", "15,5.5")
    assert one.period_s == 20.0
    assert [one.available_w("e", at_s) for at_s in (0, 9.9, 10, 15, 19.9, 20, 30, 1e6)] == [
        37,
        37,
        0,
        5.5,
        5.5,
        37,
        0,
        37,
    ]
    assert [one.next_change_s("e", at_s) for at_s in (0, 10, 17, 20)] == [10, 15, 20, 30]


def test_a_single_line_holds_for_ever() -> None:
    one = trace("0,22")
    assert one.available_w("e", 1e9) == 22
    assert one.next_change_s("e", 1e9) == math.inf


def test_the_example_is_one() -> None:
    assert read_trace(EXAMPLE).period_s == 125.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the fields are seconds,watts"),
        ("0,5\n", "line 1: the fields are seconds,watts"),
        ("seconds,watts\n", "line 1, field watts: there is no power"),
        ("seconds,watts\n1,5\n", "line 2, field seconds: 1 is not 0"),
        ("seconds,watts\n0,5\n0,6\n", "line 3, field seconds: 0 is not after"),
        ("seconds,watts\n0,5\nx,6\n", "line 3, field seconds: 'x' is no number"),
        ("seconds,watts\n0,5\ninf,6\n", "line 3, field seconds: inf is not finite"),
        ("seconds,watts\n0,nan\n", "line 2, field watts: nan is not finite"),
        ("seconds,watts\n0,-1\n", "line 2, field watts: -1 is not from 0"),
        ("seconds,watts\n0,0\n5,0\n", "line 3, field watts: there is no power"),
        ("seconds,watts\n0,5,6\n", "line 2: 3 fields"),
        ("seconds,watts\n0,5\n\n", "line 3: 0 fields"),
        ('seconds,watts\n0,"5\n', "unexpected end"),
    ],
)
def test_what_is_wrong_is_said_by_file_line_and_field(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "power.csv"
    path.write_text(text)
    with pytest.raises(Invalid) as told:
        read_trace(path)
    assert message in told.value.message
    assert str(path) in told.value.message


def test_a_file_that_is_missing_or_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"seconds,watts\n0,\xff\n")
    for name in ("missing", "bytes"):
        with pytest.raises(Invalid, match=name):
            read_trace(tmp_path / name)


@given(st.lists(st.tuples(st.floats(0.001, 100.0), st.floats(0.1, 37.0)), min_size=1, max_size=10), st.floats(0.0, 1e5))
def test_power_holds_until_the_next_change(lines: list[tuple[float, float]], at_s: float) -> None:
    starts_s = [sum(length for length, _ in lines[:index]) for index in range(len(lines))]
    one = trace(*(f"{start_s!r},{watts!r}" for start_s, (_, watts) in zip(starts_s, lines, strict=True)))
    change_s = one.next_change_s("e", at_s)
    assert change_s >= at_s
    if math.isfinite(change_s):
        assert one.available_w("e", at_s + (change_s - at_s) * 0.99) == one.available_w("e", at_s)
