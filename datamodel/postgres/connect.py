"""Connections: how this project opens them, and what their failures mean."""

import asyncio
import contextlib
from collections.abc import Iterator

import asyncpg

from datamodel.errors import Transient

STATEMENT_TIMEOUT_S = 30.0
HOLDER_TIMEOUT_MS = 1_000
"""A transaction that sits idle for longer is ended by Postgres: it may hold the log's lock."""

_SETTINGS = {
    "application_name": "tendril",
    "idle_in_transaction_session_timeout": str(HOLDER_TIMEOUT_MS),
    "jit": "off",
    # A plan that was cached while the tables were small scans them for ever: 20,000 chunks then went at half the rate.
    "plan_cache_mode": "force_custom_plan",
    "timezone": "UTC",
}

type_failures = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.InvalidTransactionStateError,
    asyncpg.TransactionRollbackError,
    asyncpg.InsufficientResourcesError,
    OSError,
    TimeoutError,
    asyncio.IncompleteReadError,
)


@contextlib.contextmanager
def transient(doing: str) -> Iterator[None]:
    """Turns failures of the connection or the server into `Transient`."""
    try:
        yield
    except type_failures as error:
        if isinstance(error, ValueError):  # an argument that does not fit its column: trying again cannot heal it
            raise
        raise Transient(
            f"{doing}: the database did not answer as it should ({type(error).__name__}: {error})"
        ) from error


async def connect(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    """One connection for the writer. Raises `Transient`."""
    with transient("connect"):
        return await asyncpg.connect(
            url, server_settings=_SETTINGS, command_timeout=STATEMENT_TIMEOUT_S, timeout=STATEMENT_TIMEOUT_S
        )


async def open_pool(url: str, size: int) -> "asyncpg.Pool[asyncpg.Record]":
    """Connections for readers. They keep no session state, so nothing is reset between uses (it would cost a round trip).
    Raises `Transient`."""
    with transient("connect"):
        return await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=size,
            server_settings=_SETTINGS,
            command_timeout=STATEMENT_TIMEOUT_S,
            timeout=STATEMENT_TIMEOUT_S,
            reset=_nothing,
        )


async def _nothing(_: object) -> None:
    return
