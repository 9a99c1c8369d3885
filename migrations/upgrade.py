"""Bringing a database to the newest version, with the nodes that the model seeds."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from datamodel.errors import Invalid
from datamodel.model import Model
from datamodel.postgres.connect import connect
from datamodel.postgres.facets import fill_facets
from datamodel.postgres.kinds import adopt
from datamodel.postgres.store import PostgresStore
from datamodel.seeds import seed

_ADVISORY_LOCK = 7_316_551
"""Two programs that migrate at once take turns."""


async def migrate(database_url: str, model: Model) -> None:
    """Upgrades the schema, and once what is stored suits the model, fills in what its kinds declare selectable by now, and
    writes its missing seeds. Safe to run again, and by several programs at once. Raises `Invalid` with a list of what the model
    breaks, and `Transient` where the database does not answer."""
    url = _sqlalchemy_url(database_url)
    await (await connect(database_url)).close()  # which says better than the engine why there is none
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()
    await adopt(database_url, model)
    await fill_facets(database_url, model)
    async with PostgresStore(database_url, model) as store:
        await seed(store)


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _sqlalchemy_url(database_url: str) -> str:
    scheme, separator, rest = database_url.partition("://")
    if not separator or scheme not in ("postgresql", "postgres"):
        raise Invalid("TENDRIL_DATABASE_URL must begin with postgresql://", field="TENDRIL_DATABASE_URL")
    return f"postgresql+asyncpg://{rest}"
