"""Queries that are run for each of many walks, as one statement: what differs among the walks comes as columns of an array
each, and the rest as arguments."""

from collections.abc import Sequence
from typing import Self

import asyncpg

from datamodel.sorting import Place
from datamodel.walk import Span, Walk


class Each:
    """A statement in the making. What its methods return stands for a value within the query."""

    def __init__(self) -> None:
        self._arguments: list[object] = []
        self._columns: list[tuple[str, str]] = []

    @classmethod
    def over(cls, spans: Sequence[Span]) -> Self:
        """With the columns `part.after` and `part.before`, the bounds of these spans."""
        made = cls()
        made.column("after", "text", [span.after for span in spans])
        made.column("before", "text", [span.before for span in spans])
        return made

    @classmethod
    def of(cls, walks: Sequence[Walk]) -> Self:
        """With `part.target` beside them, the target of the walks' link where they have one."""
        made = cls.over([walk.span for walk in walks])
        if walks[0].link:
            made.column("target", "text", [walk.target for walk in walks])
        return made

    def beyond(self, places: Sequence[Place], key_type: str) -> None:
        """Adds the columns `part.key` and `part.path`, the places after which the walks go on."""
        self.column("key", key_type, [place.key for place in places])
        self.column("path", "text", [place.path for place in places])

    def column(self, name: str, type_: str, values: Sequence[object]) -> None:
        self._columns.append((f"{self.argument(list(values))}::{type_}[]", name))

    def argument(self, value: object) -> str:
        self._arguments.append(value)
        return f"${len(self._arguments)}"

    def statement(self, query: str) -> tuple[str, *tuple[object, ...]]:
        """The statement that runs a query for each part, and its arguments. Its rows have the part's `number`, from 1 on."""
        arrays, names = zip(*self._columns, strict=True)
        found = (
            f"SELECT part.number, found.* FROM unnest({', '.join(arrays)}) WITH ORDINALITY AS part({', '.join(names)}, number)"
            f" CROSS JOIN LATERAL ({query}) AS found"
        )
        return found, *self._arguments


def by_part(found: Sequence[asyncpg.Record], parts: int) -> list[list[asyncpg.Record]]:
    """The rows of each part."""
    rows: list[list[asyncpg.Record]] = [[] for _ in range(parts)]
    for row in found:
        rows[row["number"] - 1].append(row)
    return rows
