"""The migrations make what the metadata says, go back, and may run as often and as concurrently as programs start."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

import migrations
from datamodel.audit import Audit
from datamodel.command import Actor, Command
from datamodel.postgres.rebuild import rebuild
from datamodel.postgres.store import PostgresStore
from datamodel.postgres.tables import METADATA
from datamodel.query import Query, page
from datamodel.scheduling.model import MODEL
from datamodel.segments import Segment
from datamodel.sorting import sort_of
from datamodel.verify import verify
from migrations.upgrade import migrate
from tests.graph import JOBS, SYSTEM, done, new_edge, new_job, place, report
from tests.library import BOOKS, READER, book, shelf
from tests.segments import SIZE, based, in_small_segments

_CONSTRAINTS = (
    "SELECT conrelid::regclass::text AS of, conname, pg_get_constraintdef(oid) AS says FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version' ORDER BY 1, 2"
)
_TABLES = (
    "SELECT relname, reloptions::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')"
    " AND relname NOT LIKE 'alembic%' ORDER BY 1"
)
_FIRST_SHAPE = (
    "UPDATE events SET part = jsonb_set(part::jsonb, '{links,job}', part::jsonb -> 'links' -> 'job' -> 0)::json"
    " WHERE kind = 'Attempt' AND op = 'created'"
)
_COLLATIONS = (
    "SELECT table_name, column_name, collation_name, column_default, identity_generation FROM information_schema.columns"
    " WHERE table_schema = 'public' AND table_name <> 'alembic_version' ORDER BY 1, 2"
)


async def test_the_migrations_make_what_the_metadata_says(database_url: str) -> None:
    assert await on(database_url, _differences) == []


async def test_a_rebuilt_projection_is_what_the_metadata_says(database_url: str) -> None:
    migrated = await on(database_url, _catalog)
    await rebuild(database_url, MODEL)
    assert await on(database_url, _differences) == []
    assert await on(database_url, _catalog) == migrated


async def test_constraints_storage_and_collations_are_the_metadatas_too(database_url: str) -> None:
    """What Alembic does not compare."""
    migrated = await on(database_url, _catalog)
    await on(database_url, _recreate)
    assert await on(database_url, _catalog) == migrated


async def test_the_sum_over_all_owners_is_made_of_what_is_there(database_url: str) -> None:
    """Of a log that was written before the sum was kept."""
    async with PostgresStore(database_url, MODEL) as store:
        await new_edge(store)
        for name in ("a", "b"):
            await report(store, await place(store, await new_job(store, name)), phase="succeeded")
        written = await store.sum_totals()
    await on(database_url, lambda connection: command.downgrade(_config(connection), "0002"))
    async with PostgresStore(database_url, MODEL) as store:
        assert (await store.sum_totals()).phases == {}
        await migrate(database_url, MODEL)
        assert await store.sum_totals() == written
        assert (written.phases, written.progress) == ({"succeeded": 2}, 2000)
        assert (await verify(store)).clean


async def test_facets_are_made_of_what_is_there(database_url: str) -> None:
    """Of nodes that were written before there were any, and after a kind declares others."""
    async with PostgresStore(database_url, MODEL) as store:
        await new_edge(store)
        await new_job(store)
        await done(store, Command("patchSpec", f"{JOBS}/j", {}, labels={"team": "a", "tier": ""}))
        await done(store, Command("patchStatus", f"{JOBS}/j", {"phase": "running"}), actor=SYSTEM)
        await on(database_url, lambda connection: command.downgrade(_config(connection), "0003"))
        await migrate(database_url, MODEL)
        assert (await verify(store)).clean
        await on(
            database_url,
            lambda connection: connection.execute(
                text(
                    "WITH gone AS (DELETE FROM facets WHERE facet = 'status.phase' AND kind = 'Job')"
                    " UPDATE facets SET facet = 'spec.former' WHERE facet = 'spec.agent'"
                )
            ),
        )
        assert not (await verify(store)).clean
        await migrate(database_url, MODEL)
        assert (await verify(store)).clean


async def test_fields_that_were_written_in_another_order_are_written_anew(database_url: str) -> None:
    """As they were before lists could be sorted: what is missing was an empty text, and times were as they came."""
    async with PostgresStore(database_url, BOOKS) as store:
        await done(store, Command("create", "/library"), Command("create", shelf("a")), actor=READER)
        commands = [book("z"), book("y", since="2026-01-01T01:00:00+02:00"), book("x", since="2026-01-01T00:00:00.5Z")]
        await done(store, *commands, actor=READER)
        query = Query("Book", sort=sort_of("spec.since"))
        written = (await page(store, query)).nodes
        assert [node.path[-1] for node in written] == ["y", "x", "z"]
        await on(database_url, lambda connection: command.downgrade(_config(connection), "0006"))
        await on(
            database_url,
            lambda connection: connection.execute(
                text(
                    "INSERT INTO facets SELECT path, 'spec.since', kind, coalesce(spec ->> 'since', '') FROM nodes"
                    " WHERE kind = 'Book'"
                )
            ),
        )
        await migrate(database_url, BOOKS)
        assert (await verify(store)).clean
        assert (await page(store, query)).nodes == written
        changed_last = await page(store, replace(query, sort=sort_of("-version")))
        assert [node.path[-1] for node in changed_last.nodes] == ["x", "y", "z"]


async def test_links_and_owners_are_made_of_what_is_there(database_url: str) -> None:
    """Of a log that was written before a link had many targets and a field an owner."""
    async with PostgresStore(database_url, MODEL) as store:
        await new_edge(store)
        job = await new_job(store)
        attempt = await place(store, job)
        await done(store, Command("patchSpec", attempt, {"intent": "stop"}), actor=Actor("retention", "system"))
        await done(store, Command("patchSpec", job.path, {}, {"zone": "a"}), actor=Actor("tom", "user"))
        written = await store.nodes([job.path, attempt])
        assert written[attempt].owners == {"": "placement", "/spec/intent": "retention"}
    await on(database_url, lambda connection: command.downgrade(_config(connection), "0003"))
    await on(database_url, lambda connection: connection.execute(text(_FIRST_SHAPE)))
    await migrate(database_url, MODEL)
    async with PostgresStore(database_url, MODEL) as store:
        assert await store.nodes([job.path, attempt]) == written
        assert [node.path for node in await store.linked("Attempt", "job", job.uid)] == [attempt]
        found = await verify(store, Audit(MODEL))
        assert found.clean, str(found)


async def test_the_log_that_was_becomes_the_first_segment(database_url: str) -> None:
    """Its table stays the same, and is not copied; back again it is one table, however many segments it has."""
    async with PostgresStore(database_url, MODEL) as store:
        await in_small_segments(store, database_url, count=3)
        for number in range(SIZE):
            await new_job(store, f"j{number}")
        written = await store.events(0, 1_000)
    await on(database_url, lambda connection: command.downgrade(_config(connection), "0006"))
    before = await on(database_url, _catalog)
    table = await on(database_url, lambda connection: connection.scalar(text("SELECT 'events'::regclass::oid")))
    await migrate(database_url, MODEL)
    async with PostgresStore(database_url, MODEL) as store:
        assert await store.segments() == [Segment(1, 999_999)]
        assert await store.events(0, 1_000) == written
        await new_job(store, "after")
        found = await verify(store, Audit(MODEL))
        assert found.clean, str(found)
    kept = await on(
        database_url, lambda connection: connection.scalar(text("SELECT 'segments.events_1'::regclass::oid"))
    )
    assert kept == table
    await on(database_url, lambda connection: command.downgrade(_config(connection), "0006"))
    assert await on(database_url, _catalog) == before


async def test_a_log_without_its_beginning_is_not_downgraded(database_url: str) -> None:
    async with PostgresStore(database_url, MODEL) as store:
        await based(store, (await store.head()).position)
        with pytest.raises(RuntimeError, match="kept from position"):
            await on(database_url, lambda connection: command.downgrade(_config(connection), "0006"))
        assert (await verify(store)).clean


async def test_a_downgrade_leaves_nothing_and_an_upgrade_brings_it_back(database_url: str) -> None:
    await on(database_url, lambda connection: command.downgrade(_config(connection), "base"))
    connection = await asyncpg.connect(database_url)
    left = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    await connection.close()
    assert [row["tablename"] for row in left] == ["alembic_version"]
    await migrate(database_url, MODEL)
    assert await on(database_url, _differences) == []
    async with PostgresStore(database_url, MODEL) as store:
        assert sorted(seed.path for seed in MODEL.seeds) == sorted(await store.nodes([s.path for s in MODEL.seeds]))


async def test_a_database_that_is_migrated_again_stays_as_it_is(database_url: str) -> None:
    async with PostgresStore(database_url, MODEL) as store:
        await new_job(store)
        before = await store.head()
        await asyncio.gather(*(migrate(database_url, MODEL) for _ in range(3)))
        assert await store.head() == before


async def test_programs_may_migrate_a_new_database_at_once(database_url: str) -> None:
    await on(database_url, lambda connection: command.downgrade(_config(connection), "base"))
    await asyncio.gather(*(migrate(database_url, MODEL) for _ in range(4)))
    async with PostgresStore(database_url, MODEL) as store:
        assert (await store.head()).position == len(MODEL.seeds)
        assert (await verify(store)).clean


async def on(database_url: str, do: Callable[[Connection], Any]) -> Any:
    """What a synchronous function makes of a connection, in a transaction."""
    engine = create_async_engine(database_url.replace("postgresql://", "postgresql+asyncpg://"), poolclass=NullPool)
    async with engine.begin() as connection:
        return await connection.run_sync(do)


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    return config


def _differences(connection: Connection) -> Any:
    options = {"compare_type": True, "compare_server_default": True}
    return compare_metadata(MigrationContext.configure(connection, opts=options), METADATA)


def _catalog(connection: Connection) -> list[list[tuple[Any, ...]]]:
    return [[tuple(row) for row in connection.execute(text(query))] for query in (_CONSTRAINTS, _TABLES, _COLLATIONS)]


def _recreate(connection: Connection) -> None:
    METADATA.drop_all(connection)
    METADATA.create_all(connection)
