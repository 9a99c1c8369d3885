"""What of an output goes into a log: never more than the bounds, and every byte is there or counted."""

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from agents.logs.cutting import Limits, Tail, after, take
from datamodel.scheduling.logs import FRAMES_LIMIT, Dropped, Part, Record, Taken, size_of
from tests.fuzz.budget import budget

LIMITS = Limits(bytes=400, lines=40)

_data = st.text("ab\n", min_size=1, max_size=60).map(str.encode)
_records = st.builds(Record, st.integers(0, 2), st.sampled_from(["stdout", "stderr"]), st.integers(0, 9), _data)
_dropped = st.builds(Dropped, st.integers(0, 2), st.none() | st.integers(1, 99))
_parts = st.lists(_records | _dropped, max_size=60)


def text(*parts: Part) -> bytes:
    return b"".join(part.data for part in parts if isinstance(part, Record))


@budget(200)
@given(parts=_parts, page=st.integers(1, 9))
def test_a_log_is_a_beginning_and_an_end_with_what_is_missing_counted(parts: list[Part], page: int) -> None:
    parts.sort(key=lambda part: part.step)
    taken, log = Taken(), list[Part]()
    left = iter(parts)
    rest: list[Part] = []
    while some := list(islice(left, page)):
        if taken.full:
            rest += some
            continue
        fitting, taken = take(some, taken, LIMITS)
        log += fitting
        rest += some[len(fitting) :]
    if taken.full:
        tail = Tail(LIMITS)
        for part in rest:
            tail.add(part)
        log += tail.parts
        taken = after(taken, tail.parts, full=True)
    assert taken.bytes == len(text(*log)) <= LIMITS.bytes
    assert taken.lines == text(*log).count(b"\n") <= LIMITS.lines
    assert taken.offset == sum(map(size_of, log)) == sum(map(size_of, parts))
    assert [p.step for p in log if isinstance(p, Record)] == sorted(p.step for p in log if isinstance(p, Record))
    if len(text(*parts)) <= LIMITS.bytes - LIMITS.tail_bytes and text(*parts).count(b"\n") <= LIMITS.lines // 2:
        assert log == parts
    elif isinstance(parts[-1], Record):
        assert text(*log).endswith(parts[-1].data[-1:])


def test_a_log_that_fits_is_whole() -> None:
    parts: list[Part] = [Record(0, "stdout", 1, b"a\n"), Dropped(0, 5), Record(1, "stderr", 2, b"b")]
    assert take(parts, Taken(), LIMITS) == (tuple(parts), Taken(frames=1, bytes=3, lines=1, offset=8))


def test_too_many_lines_are_too_much() -> None:
    parts = [Record(0, "stdout", 1, b"\n") for _ in range(31)]
    fitting, taken = take(parts, Taken(), LIMITS)
    assert (len(fitting), taken.full) == (30, True)


def test_too_many_frames_are_too_much_and_one_is_left_for_the_end() -> None:
    record = Record(0, "stdout", 1, b"a")
    almost = Taken(frames=FRAMES_LIMIT - 2)
    fitting, taken = take([record], almost, LIMITS)
    assert (fitting, taken.full, taken.frames) == ((record,), False, FRAMES_LIMIT - 1)
    assert take([record], taken, LIMITS)[0] == ()


def test_the_end_begins_with_how_much_is_missing_of_each_step() -> None:
    tail = Tail(LIMITS)
    for step in (0, 1):
        for _ in range(4):
            tail.add(Record(step, "stdout", 1, b"%d" % step * 39 + b"\n"))
    tail.add(Record(1, "stderr", 2, b"error\n"))
    first, second, *rest = tail.parts
    assert (first, second) == (Dropped(0, 160), Dropped(1, 66))
    assert rest == [
        Record(1, "stdout", 1, b"1" * 13 + b"\n"),
        Record(1, "stdout", 1, b"1" * 39 + b"\n"),
        Record(1, "stdout", 1, b"1" * 39 + b"\n"),
        Record(1, "stderr", 2, b"error\n"),
    ]


def test_what_comes_before_a_gap_is_no_end() -> None:
    tail = Tail(LIMITS)
    tail.add(Record(0, "stdout", 1, b"before\n"))
    tail.add(Dropped(0, None))
    tail.add(Record(0, "stdout", 2, b"after\n"))
    assert tail.parts == (Dropped(0, 7), Dropped(0, None), Record(0, "stdout", 2, b"after\n"))


def test_the_end_of_many_short_records_and_of_a_long_one_is_bounded() -> None:
    tail = Tail(Limits())
    for _ in range(100_000):
        tail.add(Record(0, "stdout", 1, b"a"))
    assert len(tail.parts) <= 1_001
    for _ in range(100):
        tail.add(Record(0, "stdout", 1, b"\n" * 4096))
    assert text(*tail.parts) == b"\n" * Limits().tail_lines
