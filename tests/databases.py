"""Databases of the tests' server: copies of a template that is migrated once, and used again once they are as it is."""

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import asyncpg

from deploy.local.postgres import Postgres

EVENTS_LIMIT = 5_000
"""What had more is not used again: rows that went leave their room behind."""
TIMEOUT_S = 30.0

# What a database is made of, beside its rows.
_SCHEMA = """
WITH ours AS (SELECT pg_class.* FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
  WHERE nspname IN ('public', 'segments'))
SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
  SELECT format('%s %s %s %s', relkind, relname, pg_get_expr(relpartbound, oid), obj_description(oid, 'pg_class')) AS line
    FROM ours
  UNION ALL SELECT format('%s.%s %s %s', relname, attname, format_type(atttypid, atttypmod), attnotnull)
    FROM pg_attribute JOIN ours ON ours.oid = attrelid WHERE attnum > 0
  UNION ALL SELECT format('%s.%s %s', relname, adnum, pg_get_expr(adbin, adrelid))
    FROM pg_attrdef JOIN ours ON ours.oid = adrelid
  UNION ALL SELECT format('%s.%s %s', relname, conname, pg_get_constraintdef(pg_constraint.oid))
    FROM pg_constraint JOIN ours ON ours.oid = conrelid
  UNION ALL SELECT pg_get_indexdef(indexrelid) FROM pg_index JOIN ours ON ours.oid = indrelid
  UNION ALL SELECT format('%s %s', proname, prosrc) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
) AS lines
"""
_TABLES = """
SELECT relname AS name, (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
  WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '') AS columns
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
"""
_SEQUENCES = """
SELECT format('SELECT setval(%L, %s, %L)', sequencename, coalesce(last_value, start_value), last_value IS NOT NULL)
FROM pg_sequences WHERE schemaname = 'public'
"""
_END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@dataclass
class Databases:
    """To make a copy and to drop it costs more than most tests do, so a copy goes back to what the template is, row by row,
    and waits for the next test: unless its schema has changed, or it has had many rows."""

    postgres: Postgres
    migrate: Callable[[str], Awaitable[None]]
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _free: list[str] = field(default_factory=list)
    _schema: str = ""
    _again: str = ""
    """SQL that makes the rows of a copy those of the template."""

    async def prepare(self) -> None:
        await self._execute('CREATE DATABASE "template"')
        url = self.postgres.url("template")
        await self.migrate(url)
        connection = await asyncpg.connect(url)
        try:
            self._schema = await connection.fetchval(_SCHEMA)
            self._again = "; ".join([_END_OTHERS, *await _rows(connection), *await _sequences(connection)])
        finally:
            await connection.close()

    async def create(self) -> str:
        """The URL of a database at the schema's head, with nothing in it but the model's seeds."""
        if self._free:
            return self._free.pop()
        return await self._new('TEMPLATE "template" STRATEGY file_copy')

    async def create_empty(self) -> str:
        """The URL of a new database with nothing in it."""
        return await self._new("")

    async def drop(self, url: str) -> None:
        """Ends the use of a database, even where a test left connections."""
        if await self._is_again_new(url):
            self._free.append(url)
        else:
            name = url.partition("?")[0].rpartition("/")[2]
            await self._execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    async def _new(self, options: str) -> str:
        name = f"test_{next(self._numbers)}"
        await self._execute(f'CREATE DATABASE "{name}" {options}')
        return self.postgres.url(name)

    async def _is_again_new(self, url: str) -> bool:
        try:
            connection = await asyncpg.connect(url, command_timeout=TIMEOUT_S)
        except (asyncpg.PostgresError, OSError):
            return False  # its test has closed it
        try:
            if await connection.fetchval(_SCHEMA) != self._schema:
                return False
            if await connection.fetchval("SELECT coalesce(max(position), 0) FROM events") > EVENTS_LIMIT:
                return False
            await connection.execute(self._again)
        finally:
            await connection.close()
        return True

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.postgres.url("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


async def _rows(connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    statements = []
    for name, columns in await connection.fetch(_TABLES):
        rows = await connection.fetchval(f"SELECT quote_literal(coalesce(json_agg(kept), '[]')) FROM {name} AS kept")
        statements += [
            f"DELETE FROM {name}",
            f"INSERT INTO {name} ({columns}) SELECT {columns} FROM json_populate_recordset(NULL::{name}, {rows})",
        ]
    return statements


async def _sequences(connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    return [statement for (statement,) in await connection.fetch(_SEQUENCES)]
