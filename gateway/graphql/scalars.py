"""Scalars, and how a declared Python type becomes one."""

from datetime import datetime
from typing import NewType

import strawberry
from graphql import GraphQLError
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

__all__ = ["JSON", "SCALARS", "DateTime", "Long", "Moment"]

Long = NewType("Long", int)
DateTime = NewType("DateTime", str)
Moment = NewType("Moment", str)

INT_MAX = 2**31 - 1


def _iso(value: datetime | str) -> str:
    """Times of nodes are `datetime`, those within a spec or status are stored as text."""
    return value if isinstance(value, str) else value.isoformat()


def _told(value: object) -> str:
    """Positions come as numbers or as text. What a text says is judged where the argument has a name."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise GraphQLError("a moment is a position of the log, or a time as text")
    return str(value)


SCALARS: dict[object, ScalarDefinition] = {
    Long: strawberry.scalar(name="Long", description="A whole number of up to 64 bits.", serialize=int),
    DateTime: strawberry.scalar(
        name="DateTime",
        description="A moment with its offset from UTC (RFC 3339).",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=_iso,
    ),
    Moment: strawberry.scalar(
        name="Moment",
        description="A position of the log, as a number or text, or a time (RFC 3339): what was so then.",
        parse_value=_told,
    ),
}
