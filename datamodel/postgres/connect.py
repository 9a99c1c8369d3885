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
    "standard_conforming_strings": "on",
}
_WRITER_SETTINGS = _SETTINGS | {
    # The writer touches rows by key and nothing else: scans are never right, and then no plan needs to be made twice.
    "enable_seqscan": "off",
    "plan_cache_mode": "force_generic_plan",
}

type_failures = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the driver loses its place where a connection is cut in the middle of a script
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
    """One connection for a reader. Raises `Transient`."""
    return await _connect(url, _SETTINGS)


async def connect_writer(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    """The connection of a process' writer. Raises `Transient`."""
    return await _connect(url, _WRITER_SETTINGS)


async def _connect(url: str, settings: dict[str, str]) -> "asyncpg.Connection[asyncpg.Record]":
    with transient("connect"):
        return await asyncpg.connect(
            url, server_settings=settings, command_timeout=STATEMENT_TIMEOUT_S, timeout=STATEMENT_TIMEOUT_S
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
