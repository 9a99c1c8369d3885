import itertools
import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from datamodel.identifiers import identifiers

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@given(now=st.datetimes(datetime(1970, 1, 2), datetime(9999, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - a bound
def test_each_is_a_uuid_of_version_7_that_says_when_it_was_made(now: datetime) -> None:
    for text in itertools.islice(identifiers(now), 3):
        parsed = uuid.UUID(hex=text)
        assert (parsed.version, parsed.variant, parsed.hex) == (7, uuid.RFC_4122, text)
        since = now - datetime(1970, 1, 1, tzinfo=UTC)
        assert int(text[:12], 16) - since // timedelta(milliseconds=1) in (0, 1)


def test_many_of_a_moment_are_in_the_order_of_their_making_and_later_ones_come_after() -> None:
    many = list(itertools.islice(identifiers(NOW), 10_000))
    assert many == sorted(set(many))
    assert next(identifiers(NOW + timedelta(milliseconds=3))) > many[-1]


def test_two_that_ask_at_the_same_moment_get_others() -> None:
    one, other = (set(itertools.islice(identifiers(NOW), 1_000)) for _ in range(2))
    assert not one & other
