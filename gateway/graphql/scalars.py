"""Scalars, and how a declared Python type becomes one."""

import re
from datetime import datetime
from typing import NewType

import strawberry
from graphql import GraphQLError
from msgspec import to_builtins
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

__all__ = ["JSON", "SCALARS", "DateTime", "Long", "Moment"]

Long = NewType("Long", int)
DateTime = NewType("DateTime", str)
Moment = NewType("Moment", str)

INT_MAX = 2**31 - 1
_LONG_MAX = 2**63 - 1
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)


def _whole(value: object) -> int:
    """A whole number, also as JSON's 7.0."""
    if (
        isinstance(value, bool) or not isinstance(value, int | float) or value % 1 != 0
    ):  # nor is it of what is no number
        raise GraphQLError("a Long is a whole number")
    if not -_LONG_MAX - 1 <= (whole := int(value)) <= _LONG_MAX:
        raise GraphQLError("a Long has 64 bits at most")
    return whole


def _iso(value: datetime | str) -> str:
    """Times of nodes are `datetime`, written as REST does; those within a spec or status are stored as text."""
    return value if isinstance(value, str) else str(to_builtins(value))


def _time(value: object) -> str:
    """The text of a time, as it came."""
    if isinstance(value, str) and _RFC_3339.fullmatch(value):
        try:
            datetime.fromisoformat(value.upper())
        except ValueError:
            pass
        else:
            return value
    raise GraphQLError("a DateTime is a text as 2026-01-31T12:00:00Z, with its offset from UTC")


def _told(value: object) -> str:
    """Positions come as numbers or as text. What a text says is judged where the argument has a name."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise GraphQLError("a moment is a position of the log, or a time as text")
    return str(value)


SCALARS: dict[object, ScalarDefinition] = {
    Long: strawberry.scalar(
        name="Long", description="A whole number of up to 64 bits.", serialize=int, parse_value=_whole
    ),
    DateTime: strawberry.scalar(
        name="DateTime",
        description="A moment with its offset from UTC (RFC 3339).",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=_iso,
        parse_value=_time,
    ),
    Moment: strawberry.scalar(
        name="Moment",
        description="A position of the log, as a number or text, or a time (RFC 3339): what was so then.",
        parse_value=_told,
    ),
}
