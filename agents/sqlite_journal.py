"""The journal on a real disk: one SQLite file a process, `synchronous=FULL`, written by one thread."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agents.journal import FORGET_REPORTS, GROUP_REPORTS, Found
from datamodel.errors import Transient

LOCKED_S = 1.0
"""How long to wait for a former process that still has the file."""

# The exclusive lock keeps a second agent with the same home from using the same numbers. `unconfirmed` has at most one row.
_SCHEMA = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS identity (incarnation TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS unconfirmed (after INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS reports (number INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL);
"""


class SqliteJournal:
    """A file that is made, with its directory, where there is none. It is opened once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox")
        self._connection: sqlite3.Connection | None = None
        self._forgotten = 0
        self._unconfirmed_after: int | None = None

    async def open(self) -> Found | None:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._open)
        except (sqlite3.Error, OSError) as error:
            self._thread.shutdown()
            raise Transient(f"the outbox {self._path} cannot be opened: {error}") from error

    async def begin(self, incarnation: str, bodies: Sequence[bytes]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._begin, incarnation, bodies)
        except sqlite3.Error as error:
            raise Transient(f"the outbox {self._path} cannot begin an incarnation: {error}") from error

    async def write(
        self, first: int, bodies: Sequence[bytes], *, forget_through: int, unconfirmed_after: int | None
    ) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(
                self._thread, self._write, first, bodies, forget_through, unconfirmed_after
            )
        except sqlite3.Error as error:
            raise Transient(f"the outbox cannot be written: {error}") from error

    async def close(self, forget_through: int) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close, forget_through)
        self._thread.shutdown()

    def _open(self) -> Found | None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(self._path, timeout=LOCKED_S, isolation_level=None, check_same_thread=False)
        try:
            found = _load(connection)
        except sqlite3.Error:
            connection.close()
            raise
        self._connection = connection
        self._unconfirmed_after = found.unconfirmed_after if found is not None else None
        return found

    def _begin(self, incarnation: str, bodies: Sequence[bytes]) -> None:
        assert self._connection is not None
        with _transaction(self._connection) as connection:
            for table in ("identity", "unconfirmed", "reports"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - the schema's own names
            connection.execute("DELETE FROM sqlite_sequence WHERE name = 'reports'")
            connection.execute("INSERT INTO identity VALUES (?)", (incarnation,))
            for start in range(0, len(bodies), GROUP_REPORTS):
                _insert(connection, start + 1, bodies[start : start + GROUP_REPORTS])
        self._forgotten = 0
        self._unconfirmed_after = None

    def _write(self, first: int, bodies: Sequence[bytes], forget_through: int, unconfirmed_after: int | None) -> None:
        """Each statement that runs lets go of the interpreter's lock and may wait long to get it back where the event loop is
        busy, so there is one for the whole group, a transaction by itself."""
        assert self._connection is not None
        forgets = forget_through - self._forgotten >= FORGET_REPORTS
        if bodies and not forgets and unconfirmed_after == self._unconfirmed_after:
            _insert(self._connection, first, bodies)
            return
        with _transaction(self._connection) as connection:
            if forgets:
                connection.execute("DELETE FROM reports WHERE number <= ?", (forget_through,))
            connection.execute("DELETE FROM unconfirmed")
            if unconfirmed_after is not None:
                connection.execute("INSERT INTO unconfirmed VALUES (?)", (unconfirmed_after,))
            if bodies:
                _insert(connection, first, bodies)
        if forgets:
            self._forgotten = forget_through
        self._unconfirmed_after = unconfirmed_after

    def _close(self, forget_through: int) -> None:
        assert self._connection is not None
        with contextlib.suppress(sqlite3.Error):  # what stays is skipped by the hub
            self._connection.execute("DELETE FROM reports WHERE number <= ?", (forget_through,))
        self._connection.close()


def _load(connection: sqlite3.Connection) -> Found | None:
    connection.executescript(_SCHEMA)
    identity = connection.execute("SELECT incarnation FROM identity").fetchone()
    if identity is None:
        return None
    last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'reports'").fetchone()
    unconfirmed = connection.execute("SELECT after FROM unconfirmed").fetchone()
    return Found(
        incarnation=identity[0],
        last=last[0] if last is not None else 0,
        reports=connection.execute("SELECT number, body FROM reports ORDER BY number").fetchall(),
        unconfirmed_after=unconfirmed[0] if unconfirmed is not None else None,
    )


def _insert(connection: sqlite3.Connection, first: int, bodies: Sequence[bytes]) -> None:
    rows = ", ".join(["(?, ?)"] * len(bodies))
    numbered = [part for number, body in enumerate(bodies, first) for part in (number, body)]
    connection.execute(f"INSERT INTO reports (number, body) VALUES {rows}", numbered)  # noqa: S608 - marks only


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
