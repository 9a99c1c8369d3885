"""Rows as the writer's function writes them: every column as it was told, whatever its rows share."""

import itertools
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datamodel.postgres.connect import Connection, connect_writer
from datamodel.postgres.statements import DEFINE, WRITE, arguments

AT = datetime(2020, 1, 1, microsecond=7, tzinfo=UTC)
LATER = datetime(2021, 1, 1, tzinfo=UTC)


@pytest_asyncio.fixture
async def writer(database_url: str) -> AsyncIterator[Connection]:
    connection = await connect_writer(database_url, DEFINE)
    yield connection
    await connection.close()


def few(*values: Any) -> st.SearchStrategy[Any]:
    """So few that rows share them often."""
    return st.sampled_from(values)


LEDGER = st.tuples(
    few(1, 2),
    few("placed", ""),
    few("/h", "", "/a/b"),
    few(0, 1),
    few(0, 1000),
    few("", "1", '{"a":"\\u00e4"}', "null"),
)
NODE = st.tuples(
    few("Item", "Shelf"),
    few("{}", '{"a": "b"}'),
    few("{}", '{"n":1}', '{"n":"\\u001f"}'),
    few("{}", '{"phase":"x"}'),
    few("", "x", "a\x1fb"),
    few("{}", '{"l": ["u"]}'),
    few("{}", '{a,"b c"}'),
    few(1, 2),
    few(AT, LATER),
    few(None, AT, LATER),
    few("{}", '{"":"me"}'),
    few(1, 2),
    few("", "c"),
)


async def written(
    writer: Connection, statement: str, columns: Sequence[Sequence[Any]], after: int, read: str
) -> list[Any]:
    """What is read once the rows are written; nothing of them stays."""
    transaction = writer.transaction()
    await transaction.start()
    try:
        await writer.execute(WRITE, *arguments({statement: columns}, after))
        return [tuple(row) for row in await writer.fetch(read)]
    finally:
        await transaction.rollback()


@given(rows=st.lists(LEDGER, min_size=1, max_size=4), owner=few("o", ""))
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.asyncio
async def test_entries_of_the_ledger_are_as_they_were_told(writer: Connection, rows: list[Any], owner: str) -> None:
    rows = [(epoch, phase, holder, min(failures, epoch), *rest) for epoch, phase, holder, failures, *rest in rows]
    columns = [[owner] * len(rows), [*range(len(rows))], *zip(*rows, strict=True)]
    read = 'SELECT owner, "index", epoch, phase, holder, failures, progress, outputs FROM ledger ORDER BY "index"'
    told = [(owner, number, *row[:-1], row[-1] or None) for number, row in enumerate(rows)]
    assert await written(writer, "put_ledger", columns, 0, read) == told


@given(rows=st.lists(NODE, min_size=1, max_size=4))
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.asyncio
async def test_nodes_are_as_they_were_told(writer: Connection, rows: list[Any]) -> None:
    numbers = range(1, len(rows) + 1)
    named = [(f"/written/{number}", f"u{number}", *row) for number, row in zip(numbers, rows, strict=True)]
    path, uid, kind, labels, spec, status, phase, links, finalizers, generation, *times, owners, schema, correlation = (
        zip(*named, strict=True)
    )
    positions = [[40 + number for number in numbers]] * 2
    columns = [path, uid, kind, labels, spec, status, phase, links, finalizers, generation, *positions, *times]
    read = (
        "SELECT path, uid, kind, labels::text, spec::text, status::text, phase, links::text, finalizers::text, generation,"
        " created_at, deletion_requested_at, owners::text, schema, correlation, version, created_version"
        " FROM nodes WHERE path LIKE '/written/%' ORDER BY path"
    )
    found = await written(writer, "insert_nodes", [*columns, owners, schema, correlation], 40, read)
    # Without the log's lock, positions are as far from zero as they were from where it was decided.
    told = [(*row, number, number) for number, row in zip(numbers, named, strict=True)]
    assert found == told


@pytest.mark.asyncio
async def test_every_mixture_of_null_and_one_value_is_kept(writer: Connection) -> None:
    for texts in itertools.product(("", "7"), repeat=3):
        others: list[list[Any]] = [["o"] * 3, [0, 1, 2], [1] * 3, ["placed"] * 3, ["/h"] * 3, [0] * 3, [0] * 3]
        read = 'SELECT outputs FROM ledger ORDER BY "index"'
        assert await written(writer, "put_ledger", [*others, texts], 0, read) == [(text or None,) for text in texts]
