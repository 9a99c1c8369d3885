"""All that a writer's connection requires and writes, as one function: a call is one round trip from the log's lock to the
last row, and a transaction of its own where none was begun.

The function says where the log stood and what time it took: positions travel as distances from the one that they were decided
after, so that what rests on nothing that others wrote meanwhile is written behind that.

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

REACH = 5_000
"""Events of others, written since the one that a decision rests on, that are looked through and told."""

_SEPARATOR = "\x1f"
"""No JSON text has it, nor any word; texts may."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Column:
    """Of a statement's rows. A `word` is a text that has no separator in it: a path, a name, an id; `text` may be any and
    travels as an array of the driver. A `position` travels as its distance from the one that it was decided after, and a
    `moment` is not before the time of the writing. What is an array itself comes as its text. Of what is no word and no text,
    an empty text is NULL, which only a column with a `?` behind its type has in some rows and not in others.

    A value that all rows share travels once, for else Postgres would make a text of it for every row. Half of the columns of
    what is created are such."""

    name: str
    type: str
    mixes_nulls: bool = False

    def parameter(self) -> str:
        return "text[]" if self.type == "text" else "text"

    def values(self, number: int) -> str:
        """The array of its values, from the function's parameter of this number."""
        match self.type:
            case "text":
                return f"${number}"
            case "word":
                return f"string_to_array(${number}, E'\\x1f')"
            case "timestamptz" | "moment" | "position":
                return f"string_to_array(${number}, E'\\x1f', '')::bigint[]"
        return f"string_to_array(${number}, E'\\x1f', ''){'' if self.type.endswith('[]') else f'::{self.type}[]'}"

    def value(self, number: int) -> str:
        """A row's, which is the one of all rows where the array has no more."""
        match self.type:
            case "text":
                return f"coalesce({self.name}, ${number}[1])"
            case "word":
                return f"coalesce({self.name}, ${number})"  # also where a single empty word has no array
            case "timestamptz":
                return f"timestamptz 'epoch' + {self._own(number, 'bigint')} * interval '1 microsecond'"
            case "moment":
                own = self._own(number, "bigint")
                return f"greatest(timestamptz 'epoch' + {own} * interval '1 microsecond', written_at)"
            case "position":
                return f"written_after + {self.name}"
        if self.type.endswith("[]"):
            return f"coalesce({self.name}, ${number})::{self.type}"
        return self._own(number, self.type)

    def _own(self, number: int, type_: str) -> str:
        return self.name if self.mixes_nulls else f"coalesce({self.name}, ${number}::{type_})"

    def argument(self, values: Sequence[Any], after: int, *, counts: bool) -> Any:
        """The values as they travel; of a column that `counts` all of them, for they say how many rows there are."""
        if not counts and self._is_shared(values):
            values = values[:1]
        match self.type:
            case "text":
                return values
            case "position":
                return _SEPARATOR.join([str(value - after) for value in values])
            case "int" | "bigint":
                return _SEPARATOR.join(map(str, values))
            case "timestamptz" | "moment":
                return _SEPARATOR.join(_microseconds(values))
        joined = _SEPARATOR.join(values)
        if joined.count(_SEPARATOR) != len(values) - 1:
            raise ValueError(f"a {self.type} in the column {self.name} contains the separator of values")
        return joined

    def _is_shared(self, values: Sequence[Any]) -> bool:
        first = values[0]
        if self.type == "position" or (first and self.mixes_nulls) or values[-1] != first:
            return False
        return values.count(first) == len(values)


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
        values = ", ".join(
            f"{column.value(first + number)} AS {column.name}" for number, column in enumerate(self.columns)
        )
        rows = f"(SELECT {values} FROM unnest({', '.join(arrays)}) AS sent({names})) AS new"
        return f"IF ${first} IS NOT NULL THEN {self.sql.format(rows=rows, keys=arrays[0])}; END IF;"


def _statement(sql: str, columns: str) -> _Statement:
    """`columns` are names and types, as in `path text, version bigint`."""
    named = [column.split(" ") for column in columns.split(", ")]
    return _Statement(sql, tuple(_Column(name, type_.rstrip("?"), type_.endswith("?")) for name, type_ in named))


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


def _of_later(unwanted: str) -> str:
    """Requires of the events after the one that a decision rests on that none is such."""
    later = "(SELECT path, kind, op FROM events WHERE position > rests_on OFFSET 0) AS later"
    return f"IF rests_on < written_after THEN PERFORM require(count(*) = 0) FROM {later} WHERE {unwanted}; END IF"


_STATEMENTS = {
    "lock_head": _statement(
        "SELECT head.position, greatest(head.at, now) INTO written_after, written_at FROM head, {rows} FOR UPDATE OF head",
        "now timestamptz",
    ),
    # Guards. Each takes the rows that it judges, so that they are so until the commit. What was decided by what is remembered
    # rests on an event, and on nodes (or on all of some kinds) of which no later event tells.
    "require_event": _statement(
        "SELECT events.position INTO rests_on FROM {rows} JOIN events USING (position, id);"
        f" PERFORM require(written_after - rests_on BETWEEN 0 AND {REACH});"
        " IF rests_on < written_after THEN SELECT json_agg(json_build_array(position, id, path, uid, op = 'deleted')"
        " ORDER BY position) INTO others FROM events WHERE position > rests_on; END IF",
        "position bigint, id word",
    ),
    "require_nodes": _statement(
        _of_later("path = ANY({keys})"),
        "path word",
    ),
    "require_kinds": _statement(
        _of_later("kind = ANY({keys}) OR op = 'deleted'"),
        "kind word",
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
        "position position, id word, at moment, op word, path word, uid word, kind word, part json, actor word,"
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
        " generation bigint, version position, created_version position, created_at moment,"
        " deletion_requested_at timestamptz?, owners json, schema int, correlation word",
    ),
    "insert_links": _inserted("links", "source word, name word, target word"),
    "report_nodes": _updated("nodes", "path word, status json, phase text, version position"),
    "change_nodes": _updated(
        "nodes",
        "path word, labels jsonb, spec json, status json, phase text, links jsonb, finalizers text[], generation bigint,"
        " version position, deletion_requested_at timestamptz?, owners json, schema int",
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
        "epoch int, phase text, holder word, failures int, progress int, outputs json?",
    ),
    "delete_totals": _deleted("totals", "owner"),
    "put_totals": _upserted("totals", "owner word", "phases json, progress bigint"),
    "put_marks": _upserted("marks", "name word", "through bigint"),
    "insert_idempotency": _inserted("idempotency", "key word, digest word, outcome json, at timestamptz"),
    "move_head": _statement(
        "UPDATE head SET position = new.position, at = new.at FROM {rows}", "position position, at moment"
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
    f"CREATE OR REPLACE FUNCTION pg_temp.write({', '.join(_PARAMETERS)}, OUT written_after bigint, OUT written_at timestamptz,"
    " OUT others json) LANGUAGE plpgsql AS $write$\n"
    "DECLARE rests_on bigint;\nBEGIN\nwritten_after := 0; written_at := '-infinity';\n"
    + "\n".join(statement.body(_FIRST[name] + 1) for name, statement in _STATEMENTS.items())
    + "\nEND $write$"
)
"""What a writer's connection runs first. Its statements are planned once."""

WRITE = f"SELECT * FROM pg_temp.write({', '.join(f'${number + 1}' for number in range(len(_PARAMETERS)))})"
"""Says after which position it wrote, with which time, and what others had written since the event that it rests on. Without
`lock_head` all is written as it is."""


def arguments(writes: Writes, after: int) -> list[Any]:
    """Of `WRITE`, in order, for what was decided after a position of the log. Statements without rows are not run."""
    found: list[Any] = [None] * len(_PARAMETERS)
    for name, columns in writes.items():
        if columns[0]:
            declared = _STATEMENTS[name].columns
            first = _FIRST[name]
            for number, (column, values) in enumerate(zip(declared, columns, strict=True), first):
                found[number] = column.argument(values, after, counts=number == first)
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
