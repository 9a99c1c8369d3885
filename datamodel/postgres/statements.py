"""All that a writer's connection requires and writes, as one function: a call is one round trip from the first guard to the
last row, and a transaction of its own where none was begun.

Rows come by column, each column as one text with a separator between its values. That costs Postgres half of what the same
rows cost as JSON, and Python a fifth of what they cost as arrays of the driver. The function belongs to the session, so it is
always of the version of the program that calls it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Columns = Sequence[Sequence[Any]]
"""The rows of a statement, column by column."""
Writes = Mapping[str, Columns]
"""Rows by the name of their statement."""

GUARDS_FAILED = frozenset({"TD001", "23505"})
"""What Postgres says where a guard does not hold (see the function `require`), and where something new exists already."""

_SEPARATOR = "\x1f"
"""No JSON text has it, nor any word; texts may."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Column:
    """Of a statement's rows. A `word` is a text that has no separator in it: a path, a name, an id; `text` may be any and
    travels as an array of the driver. What is an array itself comes as its text. Of what is no word and no text, an empty text
    is NULL."""

    name: str
    type: str

    def parameter(self) -> str:
        return "text[]" if self.type == "text" else "text"

    def values(self, number: int) -> str:
        """The array of its values, from the function's parameter of this number."""
        match self.type:
            case "text":
                return f"${number}"
            case "word":
                return f"string_to_array(${number}, E'\\x1f')"
            case "timestamptz":
                return f"string_to_array(${number}, E'\\x1f', '')::bigint[]"
        return f"string_to_array(${number}, E'\\x1f', ''){'' if self.type.endswith('[]') else f'::{self.type}[]'}"

    def value(self) -> str:
        match self.type:
            case "word":
                return f"coalesce({self.name}, '')"  # a single empty word has no array
            case "timestamptz":
                return f"timestamptz 'epoch' + {self.name} * interval '1 microsecond'"
        return f"{self.name}::{self.type}" if self.type.endswith("[]") else self.name

    def argument(self, values: Sequence[Any]) -> Any:
        """The values as they travel."""
        match self.type:
            case "text":
                return values
            case "int" | "bigint":
                return _SEPARATOR.join(map(str, values))
            case "timestamptz":
                return _SEPARATOR.join(_microseconds(values))
        joined = _SEPARATOR.join(values)
        if joined.count(_SEPARATOR) != len(values) - 1:
            raise ValueError(f"a {self.type} in the column {self.name} contains the separator of values")
        return joined


def _microseconds(times: Iterable[datetime | None]) -> Iterable[str]:
    """Since the epoch. Most times of a batch are the same."""
    known: dict[datetime | None, str] = {None: ""}
    for time in times:
        if time is not None and time not in known:
            known[time] = str((time - _EPOCH) // timedelta(microseconds=1))
        yield known[time]


@dataclass(frozen=True, slots=True)
class _Statement:
    """What is done with some rows. In the SQL, `{rows}` stands for them as a table `new`, `{keys}` for the array of their
    first column."""

    sql: str
    columns: tuple[_Column, ...]

    def body(self, first: int) -> str:
        """Its part of the function's body, with its columns as the parameters from number `first` on."""
        arrays = [column.values(first + number) for number, column in enumerate(self.columns)]
        names = ", ".join(column.name for column in self.columns)
        values = ", ".join(f"{column.value()} AS {column.name}" for column in self.columns)
        rows = f"(SELECT {values} FROM unnest({', '.join(arrays)}) AS sent({names})) AS new"
        return f"IF ${first} IS NOT NULL THEN {self.sql.format(rows=rows, keys=arrays[0])}; END IF;"


def _statement(sql: str, columns: str) -> _Statement:
    """`columns` are names and types, as in `path text, version bigint`."""
    return _Statement(sql, tuple(_Column(*column.split(" ")) for column in columns.split(", ")))


def _inserted(table: str, columns: str) -> _Statement:
    found = _statement("", columns)
    names = ", ".join(c.name for c in found.columns)
    return _Statement(f"INSERT INTO {table} ({names}) SELECT {names} FROM {{rows}}", found.columns)


def _upserted(table: str, keys: str, columns: str) -> _Statement:
    """Rows by key; one that exists gets the other columns."""
    inserted, key = _inserted(table, f"{keys}, {columns}"), ", ".join(c.name for c in _statement("", keys).columns)
    replaced = ", ".join(f"{c.name} = excluded.{c.name}" for c in _statement("", columns).columns)
    return _Statement(f"{inserted.sql} ON CONFLICT ({key}) DO UPDATE SET {replaced}", inserted.columns)


def _updated(table: str, columns: str) -> _Statement:
    """The first column is the key."""
    key, *others = (found := _statement("", columns)).columns
    replaced = ", ".join(f"{c.name} = new.{c.name}" for c in others)
    sql = f"UPDATE {table} SET {replaced} FROM {{rows}} WHERE {table}.{key.name} = new.{key.name}"
    return _Statement(sql, found.columns)


def _deleted(table: str, key: str) -> _Statement:
    return _statement(f"DELETE FROM {table} WHERE {key} = ANY({{keys}})", f"{key} word")


_STATEMENTS = {
    # Guards. Each takes the rows that it judges, so that they are so until the commit.
    "require_head": _statement(
        "PERFORM require(count(*) = 1) FROM (SELECT FROM {rows} JOIN head USING (position)"
        " JOIN events USING (position, id) WHERE head.at <= now FOR UPDATE OF head) AS found",
        "position bigint, id word, now timestamptz",
    ),
    "require_leases": _statement(
        "PERFORM require(count(*) = cardinality({keys})) FROM (SELECT FROM {rows} JOIN leases USING (name, token)"
        " WHERE expires_at > clock_timestamp() FOR SHARE OF leases) AS found",
        "name word, token bigint",
    ),
    "require_marks": _statement(
        "PERFORM require(count(*) = cardinality({keys})) FROM (SELECT FROM {rows} JOIN marks USING (name, through)"
        " FOR UPDATE OF marks) AS found",
        "name word, through bigint",
    ),
    "insert_events": _inserted(
        "events",
        "position bigint, id word, at timestamptz, op word, path word, uid word, kind word, part json, actor word,"
        " cause word, correlation word, schema int",
    ),
    "delete_nodes": _deleted("nodes", "path"),
    "unlink": _statement(
        "DELETE FROM links USING {rows} WHERE links.source = new.source AND links.name = new.name"
        " AND links.target = new.target",
        "source word, name word, target word",
    ),
    "delete_links": _deleted("links", "source"),
    "insert_nodes": _inserted(
        "nodes",
        "path word, uid word, kind word, labels jsonb, spec json, status json, phase text, links jsonb, finalizers text[],"
        " generation bigint, version bigint, created_version bigint, created_at timestamptz,"
        " deletion_requested_at timestamptz, owners json, schema int, correlation word",
    ),
    "insert_links": _inserted("links", "source word, name word, target word"),
    "report_nodes": _updated("nodes", "path word, status json, phase text, version bigint"),
    "change_nodes": _updated(
        "nodes",
        "path word, labels jsonb, spec json, status json, phase text, links jsonb, finalizers text[], generation bigint,"
        " version bigint, deletion_requested_at timestamptz, owners json, schema int",
    ),
    "delete_facets": _deleted("facets", "path"),
    "drop_facets": _statement(
        # Each by its key: a plan that was made while the table was empty would look for all of them in all of it.
        "DELETE FROM facets WHERE ctid = ANY(ARRAY(SELECT found.ctid FROM {rows} CROSS JOIN LATERAL"
        " (SELECT ctid FROM facets WHERE path = new.path AND facet = new.facet OFFSET 0) AS found))",
        "path word, facet word",
    ),
    "put_facets": _upserted("facets", "path word, facet word", "kind word, value text"),
    "delete_pools": _deleted("pools", "path"),
    "put_pools": _upserted("pools", "path word", "capacity json, used json"),
    "put_ledger": _upserted(
        "ledger",
        'owner word, "index" int',
        "epoch int, phase text, holder word, failures int, progress int, outputs json",
    ),
    "delete_totals": _deleted("totals", "owner"),
    "put_totals": _upserted("totals", "owner word", "phases json, progress bigint"),
    "put_marks": _upserted("marks", "name word", "through bigint"),
    "insert_idempotency": _inserted("idempotency", "key word, digest word, outcome json, at timestamptz"),
    "move_head": _statement(
        "UPDATE head SET position = new.position, at = new.at FROM {rows}", "position bigint, at timestamptz"
    ),
}
"""In the order in which they run."""


def _firsts() -> dict[str, int]:
    """By statement, which of the function's arguments is its first array."""
    firsts, count = {}, 0
    for name, statement in _STATEMENTS.items():
        firsts[name] = count
        count += len(statement.columns)
    return firsts


_FIRST = _firsts()
_PARAMETERS = [column.parameter() for statement in _STATEMENTS.values() for column in statement.columns]

_COLUMN_NAMES = {name: tuple(c.name for c in statement.columns) for name, statement in _STATEMENTS.items()}

DEFINE = (
    f"CREATE OR REPLACE FUNCTION pg_temp.write({', '.join(_PARAMETERS)}) RETURNS void LANGUAGE plpgsql AS $write$\nBEGIN\n"
    + "\n".join(statement.body(_FIRST[name] + 1) for name, statement in _STATEMENTS.items())
    + "\nEND $write$"
)
"""What a writer's connection runs first. Its statements are planned once."""

WRITE = f"SELECT pg_temp.write({', '.join(f'${number + 1}' for number in range(len(_PARAMETERS)))})"


def arguments(writes: Writes) -> list[Any]:
    """Of `WRITE`, in order. Statements without rows are not run."""
    found: list[Any] = [None] * len(_PARAMETERS)
    for name, columns in writes.items():
        if columns[0]:
            declared = _STATEMENTS[name].columns
            for number, (column, values) in enumerate(zip(declared, columns, strict=True), _FIRST[name]):
                found[number] = column.argument(values)
    return found


def column_names(statement: str) -> tuple[str, ...]:
    """In order, what the rows of a statement consist of."""
    return _COLUMN_NAMES[statement]


def array(texts: Sequence[str]) -> str:
    """An array's text."""
    quoted = ('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts)
    return "{" + ", ".join(quoted) + "}" if texts else "{}"


def literal(text: str) -> str:
    """A string constant of SQL. Connections have `standard_conforming_strings` on, so a backslash is only itself."""
    return "'" + text.replace("'", "''") + "'"
