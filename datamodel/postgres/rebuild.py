"""A projection made anew from the base and the log, beside the one that is in use, and then put in its place."""

import asyncio
import time
from collections.abc import Callable

import asyncpg
from sqlalchemy import MetaData
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement, SetTableComment

from datamodel.errors import Conflict, Transient
from datamodel.model import Model
from datamodel.ports import Head
from datamodel.postgres import rows
from datamodel.postgres.base_rows import ALL_ROWS, states
from datamodel.postgres.connect import Connection, connect_writer, transient
from datamodel.postgres.refold import BATCH_EVENTS, Refold
from datamodel.postgres.segments import KEEPERS_LOCK
from datamodel.postgres.statements import DEFINE, WRITE, arguments
from datamodel.postgres.tables import FACETS, LEDGER, LINKS, METADATA, NODES, POOLS, TOTALS

BESIDE, FORMER = "beside", "former"
"""Schemas: of the new projection until it takes the place, and of the one that was in use until it is dropped."""
PROJECTION = (NODES, LINKS, FACETS, POOLS, LEDGER, TOTALS)
LOCK_TIMEOUT_S = 2.0
"""How long the log may stand still for readers that are at the tables. Then appends go on, and it is tried again."""
LOCK_PAUSE_S = 3.0
PATIENCE_S = 60.0
NO_LIMIT_S = 24 * 3600.0


async def rebuild(
    url: str, model: Model, told: Callable[[int], None] = lambda _: None, *, patience_s: float = PATIENCE_S
) -> Head:
    """Folds all that is kept of the log while the store is in use; returns where it stood when the new projection took the
    place of the other. `told(position)` hears how far it is, `patience_s` is how long readers of the tables are waited for.
    Programs that run need not be told: the rows that they remember are rows of the log. It holds the whole graph in memory.

    Raises `Transient` where the database does not answer, or readers leave no gap to change the tables, `Invalid` where the log
    does not fit the model, and `Conflict` where somebody else rebuilds it; then everything is as before.
    """
    connection = await connect_writer(url, f"SET search_path = {BESIDE}, public")
    try:
        with transient("rebuild"):
            await _begin(connection)
            refold = Refold(model)
            await _take_base(connection, refold)
            while await _fold_next(connection, refold):
                told(refold.position)
            for table in PROJECTION:
                await connection.execute(f"ANALYZE {table.name}", timeout=NO_LIMIT_S)
            await _take_place(connection, refold, patience_s)
            return Head(refold.position, refold.at)
    finally:
        connection.terminate()


async def _begin(connection: Connection) -> None:
    if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", KEEPERS_LOCK):
        raise Conflict("the projection is being rebuilt already, or the log's base is being moved")
    await connection.execute(f"DROP SCHEMA IF EXISTS {BESIDE} CASCADE; CREATE SCHEMA {BESIDE}; {_tables()}; {DEFINE}")


def _tables() -> str:
    """What makes the projection's tables: as they are in the schema `public`, names of indexes and constraints included."""
    metadata, dialect = MetaData(naming_convention=METADATA.naming_convention), postgresql.dialect()  # type: ignore[no-untyped-call]
    tables = [table.to_metadata(metadata, schema=BESIDE) for table in PROJECTION]
    made: list[ExecutableDDLElement] = []
    for table in tables:
        made += [CreateTable(table), SetTableComment(table), *map(CreateIndex, table.indexes)]
    return ";".join(str(make.compile(dialect=dialect)) for make in made)


async def _take_base(connection: Connection, refold: Refold) -> None:
    """The base stays as it is meanwhile: who moves it needs the same advisory lock."""
    async with connection.transaction():
        row = await connection.fetchrow("SELECT position, at FROM base")
        assert row is not None, "the database is migrated"
        refold.begin(Head(row["position"], row["at"]))
        async for base in states(refold.model, aiter(connection.cursor(ALL_ROWS, prefetch=BATCH_EVENTS))):
            await connection.execute(WRITE, *arguments(refold.base_writes(base), 0))


async def _fold_next(connection: Connection, refold: Refold) -> bool:
    """Whether there may be more."""
    found = await connection.fetch(
        "SELECT * FROM events WHERE position > $1 ORDER BY position LIMIT $2", refold.position, BATCH_EVENTS
    )
    if found:
        writes = refold.writes([rows.event(refold.model, row) for row in found], log=False)
        await connection.execute(WRITE, *arguments(writes, 0))
    return len(found) == BATCH_EVENTS


async def _take_place(connection: Connection, refold: Refold, patience_s: float) -> None:
    await _lock(connection, time.monotonic() + patience_s)
    while await _fold_next(connection, refold):
        pass
    moved = (
        f"ALTER TABLE public.{table.name} SET SCHEMA {FORMER}; ALTER TABLE {BESIDE}.{table.name} SET SCHEMA public"
        for table in PROJECTION
    )
    await connection.execute(
        f"CREATE SCHEMA {FORMER}; {'; '.join(moved)}; DROP SCHEMA {FORMER} CASCADE; DROP SCHEMA {BESIDE}; COMMIT"
    )


async def _lock(connection: Connection, deadline_s: float) -> None:
    """Begins a transaction for which the log and the tables of the projection stand still."""
    names = ", ".join(f"public.{table.name}" for table in PROJECTION)
    while True:
        try:
            await connection.execute(
                f"BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s';"
                f" SELECT FROM head FOR UPDATE; LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"
            )
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
            await connection.execute("ROLLBACK")
            if time.monotonic() >= deadline_s:
                raise Transient("the tables are read without a gap; end what reads for long") from error
            await asyncio.sleep(LOCK_PAUSE_S)
        else:
            return
