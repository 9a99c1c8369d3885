"""Connections: how this project opens them, and what their failures mean."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import asyncpg

from datamodel.errors import Invalid, NotMigrated, Transient

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection  # generic for the type checker only

STATEMENT_TIMEOUT_S = 30.0
HOLDER_TIMEOUT_MS = 5_000
"""A transaction that sits idle for longer is ended by Postgres: it may hold the log's lock. The largest unit that is admitted
under it, a deletion of 10,000 nodes, takes a second or two to judge on a busy machine."""

SEND_BUFFER_BYTES = 1024 * 1024
"""Of a writer's Unix socket, where the kernel permits it: more than a batch of small nodes takes on its way."""

_SETTINGS = {
    "application_name": "tendril",
    "idle_in_transaction_session_timeout": str(HOLDER_TIMEOUT_MS),
    "jit": "off",
    # A plan that was cached while the tables were small scans them for ever: appends then went at half the rate.
    "plan_cache_mode": "force_custom_plan",
    "timezone": "UTC",
    "standard_conforming_strings": "on",
}
_KEYED_SETTINGS = _SETTINGS | {
    # Who touches rows by key, or a run of an index, never wants a table as a whole, whatever Postgres believes of its size: it
    # may have counted a table that was just being filled. Then no plan needs to be made twice.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
    "enable_incremental_sort": "off",
    "enable_material": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
    # A plan that does not know how few rows are asked for may think of another process to share the work: to start one takes
    # a hundred times as long as the rows.
    "max_parallel_workers_per_gather": "0",
}

type_failures = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the driver loses its place where a connection is cut in the middle of a script
    asyncpg.OperatorInterventionError,
    asyncpg.InvalidTransactionStateError,
    asyncpg.ObjectNotInPrerequisiteStateError,  # it takes no connections just now
    asyncpg.InvalidCatalogNameError,  # it is being restored
    asyncpg.TransactionRollbackError,
    asyncpg.InsufficientResourcesError,
    OSError,
    TimeoutError,
    asyncio.IncompleteReadError,
)


@contextlib.contextmanager
def transient(doing: str) -> Iterator[None]:
    """Turns failures of the connection or the server into `Transient`, and tables that are not there (yet) too."""
    try:
        yield
    except asyncpg.UndefinedTableError as error:
        raise NotMigrated(f"{doing}: the database is not migrated: `tendril migrate` does that ({error})") from error
    except type_failures as error:
        if isinstance(error, ValueError):  # an argument that does not fit its column: trying again cannot heal it
            raise
        raise Transient(
            f"{doing}: the database did not answer as it should ({type(error).__name__}: {error})"
        ) from error


async def connect(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    """One connection for queries of any shape. Raises `Transient`."""
    return await _connect(url, _SETTINGS)


async def connect_writer(url: str, define: str) -> "asyncpg.Connection[asyncpg.Record]":
    """The connection of a process' writer, for which the script `define` is run first. Raises `Transient`."""
    connection = await _connect(url, _KEYED_SETTINGS)
    try:
        with transient("define"):
            _send_at_once(connection)
            await connection.execute(define)
    except BaseException:
        connection.terminate()
        raise
    return connection


def _send_at_once(connection: Connection) -> None:
    """Lets the kernel take a whole batch at a time. Of a larger one than it takes, the rest would lie here while Python decides
    the next batch, and Postgres would wait for it. Over TCP, the kernel finds a size by itself."""
    transport: asyncio.BaseTransport = getattr(connection, "_transport")  # noqa: B009 - the driver has no other way to it
    opened = transport.get_extra_info("socket")
    if opened is not None and opened.family == socket.AF_UNIX:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)


async def _connect(url: str, settings: dict[str, str]) -> "asyncpg.Connection[asyncpg.Record]":
    with transient("connect"), _understood():
        return await asyncpg.connect(
            url, server_settings=settings, command_timeout=STATEMENT_TIMEOUT_S, timeout=STATEMENT_TIMEOUT_S
        )


async def open_pool(
    url: str, size: int, *, keyed: bool, connected: Callable[[], None]
) -> "asyncpg.Pool[asyncpg.Record]":
    """Connections for readers: `keyed` for rows by key, else for queries of any shape; `connected()` is told of each. They keep
    no session state, so nothing is reset between uses (it would cost a round trip). Raises `Transient`."""

    async def init(_: object) -> None:
        connected()

    with transient("connect"), _understood():
        return await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=size,
            server_settings=_KEYED_SETTINGS if keyed else _SETTINGS,
            command_timeout=STATEMENT_TIMEOUT_S,
            timeout=STATEMENT_TIMEOUT_S,
            init=init,
            reset=_nothing,
        )


@contextlib.contextmanager
def _understood() -> Iterator[None]:
    """Raises `Invalid` where the URL is none."""
    try:
        yield
    except (asyncpg.exceptions.ClientConfigurationError, OverflowError) as error:
        raise Invalid(f"the database URL is not right: {error}", field="TENDRIL_DATABASE_URL") from error


async def _nothing(_: object) -> None:
    return
