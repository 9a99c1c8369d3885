"""What people may say of the moment before which the log is forgotten."""

from datetime import UTC, datetime, timedelta

import pytest

from datamodel.errors import Invalid
from datamodel.keeping.__main__ import _moment

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def test_a_moment_is_a_position_or_an_age() -> None:
    assert _moment("17", NOW) == 17
    assert _moment("0", NOW) == 0
    assert _moment("30d", NOW) == NOW - timedelta(days=30)
    assert _moment("12h", NOW) == NOW - timedelta(hours=12)
    assert _moment("90m", NOW) == NOW - timedelta(minutes=90)
    assert _moment("45s", NOW) == NOW - timedelta(seconds=45)
    assert _moment("999999999999999", NOW) == 999_999_999_999_999


@pytest.mark.parametrize("text", ["", "x", "-1", "30 d", "1.5d", "9" * 20, "999999d", "d", "٣", "1\n"])
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="neither a position nor an age"):
        _moment(text, NOW)
