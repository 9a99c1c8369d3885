"""What the scalars take as input, and what they do not."""

from typing import Any

import pytest
from graphql import GraphQLError
from hypothesis import given
from hypothesis import strategies as st

from gateway.graphql.scalars import SCALARS, DateTime, Long

LONG, TIME = (SCALARS[scalar].parse_value for scalar in (Long, DateTime))
assert LONG is not None
assert TIME is not None


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_long_is_any_whole_number_of_64_bits(number: int) -> None:
    assert LONG is not None
    assert LONG(number) == number
    if float(number) < 2**63:
        assert LONG(float(number)) == int(float(number))


@pytest.mark.parametrize(
    "value", ["107", "", True, None, {"a": 1}, [1], 1.5, 1e30, 2**63, -(2**63) - 1, float("inf"), float("nan")]
)
def test_a_long_is_nothing_else(value: Any) -> None:
    assert LONG is not None
    with pytest.raises(GraphQLError, match="a Long"):
        LONG(value)


@pytest.mark.parametrize(
    "text",
    ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.123456+23:59", "2026-01-31t12:00:00z", "0001-01-01T00:00:00-00:00"],
)
def test_a_time_stays_as_it_came(text: str) -> None:
    assert TIME is not None
    assert TIME(text) == text


@pytest.mark.parametrize(
    "value",
    [
        5,
        1e9,
        True,
        None,
        {},
        "",
        "5",
        "now",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-13-31T12:00:00Z",
        "٢٠٢٦-01-31T12:00:00Z",
    ],
)
def test_a_time_is_nothing_else(value: Any) -> None:
    assert TIME is not None
    with pytest.raises(GraphQLError, match="a DateTime"):
        TIME(value)
