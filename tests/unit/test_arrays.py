"""Sets of indices: as Slurm writes them, strictly read, and never written out."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.scheduling.arrays import INDEX_LIMIT, SIZE_LIMIT, parsed


def written_out(text: str) -> list[int]:
    """The indices, one by one."""
    found: list[int] = []
    for part in text.split(","):
        told, _, step = part.partition(":")
        first, _, last = told.partition("-")
        found += range(int(first), int(last or first) + 1, int(step or 1))
    return found


@pytest.mark.parametrize(
    ("text", "indices", "at_a_time"),
    [
        ("0-31:2%4", [*range(0, 32, 2)], 4),
        ("7", [7], None),
        ("3,1,0", [3, 1, 0], None),
        ("0-3,10-20:5,7%1", [0, 1, 2, 3, 10, 15, 20, 7], 1),
        ("5-5", [5], None),
        ("1-6:9", [1], None),
        ("0-4:2,1-3:2", [0, 2, 4, 1, 3], None),
    ],
)
def test_a_set_is_what_slurm_makes_of_it(text: str, indices: list[int], at_a_time: int | None) -> None:
    array = parsed(text)
    assert [array.indices.at(ordinal) for ordinal in range(array.indices.size)] == indices
    assert (array.at_a_time, array.set) == (at_a_time, text.partition("%")[0])
    with pytest.raises(IndexError):
        array.indices.at(len(indices))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is none of FIRST-LAST"),
        ("1,", "'' is none of"),
        ("a-b", "'a-b' is none of"),
        ("1 - 3", "in plain digits"),
        ("-3", "'-3' is none of"),
        ("01", "'01' is none of"),
        ("\u0661", "in plain digits"),
        ("3:2", "'3:2' is none of"),
        ("1-2-3", "'1-2-3' is none of"),
        ("5-1", "'5-1' ends before it begins"),
        ("0-9:0", "'0-9:0' goes on by steps of 0"),
        ("1,2,1", "the index 1 is in it twice"),
        ("0-9:3,4-8:2", "the index 6 is in it twice"),
        ("0-3%", "after % comes how many run at a time, 1 to 1000000, and not ''"),
        ("0-3%0", "and not '0'"),
        ("0-3%2%1", "and not '2%1'"),
        ("0-3%1000001", "and not '1000001'"),
        (f"{INDEX_LIMIT + 1}", f"an index is at most {INDEX_LIMIT}"),
        ("9" * 40, "an index is at most"),
        (f"0-{SIZE_LIMIT}", f"has at most {SIZE_LIMIT} indices, and this has {SIZE_LIMIT + 1}"),
        (",".join(map(str, range(101))), "at most 100 ranges and indices, and this has 101"),
        ("1" * 1_025, "at most 1024 characters"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        parsed(text)


def test_a_million_indices_are_three_numbers() -> None:
    indices = parsed(f"0-{INDEX_LIMIT - 1}:1000").indices
    assert (indices.ranges, indices.size, indices.at(999_999)) == (
        (range(0, INDEX_LIMIT, 1000),),
        1_000_000,
        999_999_000,
    )


RANGES = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 12))


@given(st.lists(RANGES, min_size=1, max_size=5))
def test_an_index_is_in_a_set_once_or_the_set_is_refused(ranges: list[tuple[int, int, int]]) -> None:
    text = ",".join(f"{first}-{first + more}:{step}" for first, more, step in ranges)
    indices = written_out(text)
    if len(set(indices)) == len(indices):
        found = parsed(text).indices
        assert [found.at(ordinal) for ordinal in range(found.size)] == indices
    else:
        with pytest.raises(ValueError, match="twice") as refused:
            parsed(text)
        assert indices.count(int(str(refused.value).split()[2])) > 1
