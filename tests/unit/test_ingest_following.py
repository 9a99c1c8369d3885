"""Which reports are taken in next, whatever windows arrive in whatever order."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from datamodel.scheduling import wire
from reconcilers.ingest import following


def window(first: int, count: int) -> wire.Window:
    """A window whose reports are their own numbers."""
    numbers = range(first, first + count)
    return wire.Window(wire.WIRE_VERSION, "s", "a", "1", first, [msgspec.Raw(str(n).encode()) for n in numbers])


def numbers(windows: list[wire.Window], through: int) -> list[int]:
    return [int(bytes(report)) for report in following(windows, through)]


def test_windows_in_order() -> None:
    assert numbers([window(1, 2), window(3, 2)], 0) == [1, 2, 3, 4]


def test_known_reports_are_skipped() -> None:
    assert numbers([window(1, 5)], 3) == [4, 5]
    assert numbers([window(1, 5)], 5) == []
    assert numbers([window(1, 5)], 9) == []


def test_it_ends_at_the_first_gap() -> None:
    assert numbers([window(2, 2)], 0) == []
    assert numbers([window(1, 2), window(4, 2)], 0) == [1, 2]


def test_overlaps_and_any_order() -> None:
    assert numbers([window(5, 2), window(1, 3), window(2, 4)], 0) == [1, 2, 3, 4, 5, 6]


def test_an_empty_window_changes_nothing() -> None:
    assert numbers([window(1, 0), window(1, 1)], 0) == [1]


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 8)), max_size=8),
    st.integers(0, 30),
)
def test_it_is_the_longest_run_that_the_windows_cover(spans: list[tuple[int, int]], through: int) -> None:
    known = {number for first, count in spans for number in range(first, first + count)}
    expected: list[int] = []
    while through + len(expected) + 1 in known:
        expected.append(through + len(expected) + 1)
    assert numbers([window(first, count) for first, count in spans], through) == expected
