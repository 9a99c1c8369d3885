"""Scalars, and how a declared Python type becomes one."""

from datetime import datetime
from typing import NewType

import strawberry
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

__all__ = ["JSON", "SCALARS", "DateTime", "Long"]

Long = NewType("Long", int)
DateTime = NewType("DateTime", str)

INT_MAX = 2**31 - 1


def _iso(value: datetime | str) -> str:
    """Times of nodes are `datetime`, those within a spec or status are stored as text."""
    return value if isinstance(value, str) else value.isoformat()


SCALARS: dict[object, ScalarDefinition] = {
    Long: strawberry.scalar(name="Long", description="A whole number of up to 64 bits.", serialize=int),
    DateTime: strawberry.scalar(
        name="DateTime",
        description="A moment with its offset from UTC (RFC 3339).",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=_iso,
    ),
}
