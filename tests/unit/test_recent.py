"""The memory of recent changes: runs by position, gaps, its bound."""

import pytest

from datamodel.ports import Change
from datamodel.postgres.recent import LIMIT_BYTES, LIMIT_CHANGES, Recent


def change(position: int, size_bytes: int = 0) -> Change:
    name = f"{position:032x}"
    return Change(position, name, f"/config/job-groups/g{position}", name, "JobGroup", None, size_bytes)


def changes(first: int, last: int) -> list[Change]:
    return [change(position) for position in range(first, last + 1)]


@pytest.fixture
def recent() -> Recent:
    return Recent()


def test_nothing_is_known_at_first(recent: Recent) -> None:
    assert (recent.after(0, 10), recent.last) == ([], 0)
    recent.put([])
    assert (recent.after(0, 10), recent.last) == ([], 0)


def test_a_run_begins_right_after_a_position_and_has_a_limit(recent: Recent) -> None:
    recent.put(changes(5, 9))
    assert recent.after(4, 10) == changes(5, 9)
    assert recent.after(6, 10) == changes(7, 9)
    assert recent.after(4, 2) == changes(5, 6)
    assert recent.after(4, 0) == []
    assert recent.after(3, 10) == [], "what follows is not known"
    assert recent.after(9, 10) == []
    assert recent.last == 9


def test_a_run_ends_at_a_gap_until_it_is_filled(recent: Recent) -> None:
    recent.put(changes(1, 3))
    recent.put(changes(6, 8))
    assert recent.after(0, 10) == changes(1, 3)
    assert recent.after(5, 10) == changes(6, 8)
    assert recent.last == 8
    recent.put(changes(4, 5))
    assert recent.after(0, 10) == changes(1, 8)
    assert recent.last == 8, "what fills a gap is not the last"


def test_what_comes_again_is_kept_once(recent: Recent) -> None:
    large = [change(position, LIMIT_BYTES // 4) for position in (1, 2, 3)]
    for _ in range(5):
        recent.put(large)
    assert recent.after(0, 10) == large


def test_the_oldest_give_way_to_what_is_large(recent: Recent) -> None:
    large = [change(position, LIMIT_BYTES // 4) for position in range(1, 11)]
    for one in large:
        recent.put([one])
    assert recent.after(5, 10) == []
    assert recent.after(6, 10) == large[6:]
    recent.put([change(11, 2 * LIMIT_BYTES)])
    assert recent.after(10, 10) == [], "it has no room at all"
    assert recent.last == 11
    recent.put([change(12, 1)])
    assert recent.after(11, 10) == [change(12, 1)]


def test_the_oldest_give_way(recent: Recent) -> None:
    recent.put(changes(1, 10))
    recent.put(changes(11, LIMIT_CHANGES + 5))
    assert recent.after(0, 1) == []
    assert recent.after(4, 1) == []
    assert recent.after(5, LIMIT_CHANGES) == changes(6, LIMIT_CHANGES + 5)
    assert len(recent._changes) == LIMIT_CHANGES


def test_of_more_than_fits_the_last_are_kept(recent: Recent) -> None:
    recent.put(changes(1, LIMIT_CHANGES + 7))
    assert recent.after(6, 1) == []
    assert len(recent.after(7, 2 * LIMIT_CHANGES)) == LIMIT_CHANGES
    assert recent.last == LIMIT_CHANGES + 7


def test_nothing_is_left_when_it_is_cleared(recent: Recent) -> None:
    recent.put(changes(1, 3))
    recent.clear()
    assert (recent.after(0, 10), recent.last) == ([], 0)
    recent.put(changes(2, 2))
    assert (recent.after(1, 10), recent.last) == (changes(2, 2), 2)


def test_a_run_suffices_where_nothing_newer_is_heard_of(recent: Recent) -> None:
    recent.put(changes(1, 3))
    assert recent.suffice(recent.after(0, 10), 10)
    assert recent.suffice(recent.after(1, 10), 10)
    assert not recent.suffice(recent.after(2, 10), 10), "who has only what it had asks whether there is more"
    assert recent.suffice(recent.after(0, 2), 2), "more was not asked for"
    recent.put(changes(6, 8))
    assert not recent.suffice(recent.after(0, 10), 10), "there is more behind the gap"
    recent.others_wrote = True
    assert not recent.suffice(recent.after(5, 10), 10)
