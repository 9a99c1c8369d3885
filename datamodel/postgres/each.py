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
        return (
            f"SELECT part.number, found.* FROM {self._parts()} CROSS JOIN LATERAL ({query}) AS found",
            *self._arguments,
        )

    def statement_at_end(self, query: str) -> tuple[str, *tuple[object, ...]]:
        """The same, whose rows have the log's end too as it was then, in `end_position` and `end_event`. A part for which
        nothing is found has one row, without the query's columns."""
        position = "(SELECT position FROM head)"
        event = f"(SELECT id FROM events WHERE position = {position})"
        found = (
            f"SELECT part.number, {position} AS end_position, {event} AS end_event, found.*"
            f" FROM {self._parts()} LEFT JOIN LATERAL ({query}) AS found ON true"
        )
        return found, *self._arguments

    def _parts(self) -> str:
        arrays, names = zip(*self._columns, strict=True)
        return f"unnest({', '.join(arrays)}) WITH ORDINALITY AS part({', '.join(names)}, number)"


def by_part(found: Sequence[asyncpg.Record], parts: int) -> list[list[asyncpg.Record]]:
    """The rows of each part."""
    rows: list[list[asyncpg.Record]] = [[] for _ in range(parts)]
    for row in found:
        rows[row["number"] - 1].append(row)
    return rows
