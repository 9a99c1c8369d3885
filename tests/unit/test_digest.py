"""Digests of what an agent has: what differs is listed, and nothing else, in a bounded number of bytes."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.scheduling import digest
from datamodel.scheduling.digest import LISTED_LIMIT, Look, bucket_of, buckets_for, compared, sums_of

_paths = st.integers(0, 200).map(lambda number: f"e-{number % 7}/attempts/j-{number}-1")
_views = st.dictionaries(_paths, st.integers(1, 9), max_size=200)
THROUGH = 100


def _look(versions: Mapping[str, int]) -> Look:
    return Look(1, 7, sums_of(versions, buckets_for(len(versions))))


@given(_views)
def test_who_has_what_there_is_is_told_of_nothing(versions: dict[str, int]) -> None:
    found = compared(_look(versions), dict(reversed(versions.items())), THROUGH)
    assert not found.buckets
    assert len(digest.encode(found)) < 40


@given(_views, _views)
def test_whatever_differs_is_in_a_bucket_that_is_listed_whole(own: dict[str, int], there: dict[str, int]) -> None:
    look = _look(own)
    assert digest.decode_look(digest.encode(look)) == look
    found = compared(look, there, THROUGH)
    assert digest.decode_differences(digest.encode(found)) == found
    buckets = buckets_for(len(own))
    differing = {path for path in own.keys() | there.keys() if own.get(path) != there.get(path)}
    assert {bucket_of(path, buckets) for path in differing} == found.buckets.keys()
    for number, listed in found.buckets.items():
        assert listed == {path: version for path, version in there.items() if bucket_of(path, buckets) == number}


def test_what_the_feed_has_not_had_yet_is_not_held_against_anybody() -> None:
    own, there = {"e/attempts/a": 5}, {"e/attempts/a": THROUGH + 1}
    assert not compared(_look(own), there, THROUGH).buckets
    assert compared(_look(own), there, THROUGH + 1).buckets


def test_a_look_and_its_answer_are_bounded_however_many_differ() -> None:
    there = {f"edge-{number}/attempts/j-{number}-1": number + 1 for number in range(40_000)}
    assert len(digest.encode(_look(there))) < 5_000
    found = compared(_look(dict.fromkeys(there, 1)), there, len(there))
    listed = sum(map(len, found.buckets.values()))
    assert 0 < listed <= LISTED_LIMIT
    assert len(digest.encode(found)) < 64 * LISTED_LIMIT


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"number":1,"edges":1,"sums":""}',
        b'{"number":1,"edges":1,"sums":"0123456789abcde"}',
        b'{"number":1,"edges":0,"sums":"0123456789abcdef"}',
        b'{"number":1,"edges":10001,"sums":"0123456789abcdef"}',
        b'{"number":1,"edges":1,"sums":"' + b"0" * 16 * 257 + b'"}',
        b'{"number":1,"edges":1,"sums":"0123456789abcdef","missed":["a","a","a","a","a","a","a","a","a"]}',
    ],
)
def test_a_look_that_is_none_is_unreadable(body: bytes) -> None:
    with pytest.raises(digest.UNREADABLE):
        digest.decode_look(body)
