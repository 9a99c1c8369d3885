"""The journal on a real disk: one SQLite file a process, `synchronous=FULL`, written by one thread."""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agents.journal import BOOTS_KEPT, FORGET_REPORTS, GROUP_REPORTS, Found
from datamodel.errors import Transient

LOCKED_S = 1.0
"""How long to wait for a former process that still has the file."""
ROOM_BYTES = 16 * 1024 * 1024
"""What must be free on the disk while new work is begun: some ten thousand reports of what runs then still fit."""

# The exclusive lock keeps a second agent with the same home from using the same numbers. `unconfirmed` has at most one row.
_SCHEMA = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS identity (incarnation TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS unconfirmed (after INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS boots (number INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS reports (number INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL);
"""


class SqliteJournal:
    """A file that is made, with its directory, where there is none. It is opened once."""

    def __init__(self, path: Path, *, room_bytes: int = ROOM_BYTES) -> None:
        """`room_bytes`: what `check` wants to be free."""
        self._path = path
        self._room_bytes = room_bytes
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox")
        self._connection: sqlite3.Connection | None = None
        self._forgotten = 0
        self._checks = 0
        self._unconfirmed_after: int | None = None

    async def open(self) -> Found | None:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._open)
        except (sqlite3.Error, OSError) as error:
            self._thread.shutdown()
            locked = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_BUSY
            reason = "another agent has it open; each needs an EDGE_HOME of its own" if locked else error
            raise Transient(f"the outbox {self._path} cannot be opened: {reason}") from error

    async def begin(self, incarnation: str, bodies: Sequence[bytes], *, boot: int | None = None) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._begin, incarnation, bodies, boot)
        except sqlite3.Error as error:
            raise Transient(f"the outbox {self._path} cannot begin an incarnation: {error}") from error

    async def take(self, boot: int) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._take, boot)
        except sqlite3.Error as error:
            raise Transient(f"the outbox {self._path} cannot keep a start: {error}") from error

    async def write(
        self, first: int, bodies: Sequence[bytes], *, forget_through: int, unconfirmed_after: int | None
    ) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(
                self._thread, self._write, first, bodies, forget_through, unconfirmed_after
            )
        except sqlite3.Error as error:
            raise Transient(f"the outbox cannot be written: {error}") from error

    async def check(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._check)
        except (sqlite3.Error, OSError) as error:
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
        (self._checks,) = connection.execute("PRAGMA user_version").fetchone()
        self._unconfirmed_after = found.unconfirmed_after if found is not None else None
        return found

    def _begin(self, incarnation: str, bodies: Sequence[bytes], boot: int | None) -> None:
        assert self._connection is not None
        with _transaction(self._connection) as connection:
            for table in ("identity", "unconfirmed", "reports"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - the schema's own names
            connection.execute("DELETE FROM sqlite_sequence WHERE name = 'reports'")
            connection.execute("INSERT INTO identity VALUES (?)", (incarnation,))
            for start in range(0, len(bodies), GROUP_REPORTS):
                _insert(connection, start + 1, bodies[start : start + GROUP_REPORTS])
            if boot is not None:
                connection.execute("DELETE FROM boots")
                connection.execute("INSERT INTO boots VALUES (?)", (boot,))
        self._forgotten = 0
        self._unconfirmed_after = None

    def _take(self, boot: int) -> None:
        assert self._connection is not None
        with _transaction(self._connection) as connection:
            connection.execute("INSERT OR IGNORE INTO boots VALUES (?)", (boot,))
            newest = "SELECT number FROM boots ORDER BY number DESC LIMIT ?"
            connection.execute(f"DELETE FROM boots WHERE number NOT IN ({newest})", (BOOTS_KEPT,))  # noqa: S608 - no value

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

    def _check(self) -> None:
        assert self._connection is not None
        self._checks = (self._checks + 1) % 2**31
        self._connection.execute(
            f"PRAGMA user_version = {self._checks}"
        )  # nobody reads it; what stays the same is not written
        disk = os.statvfs(self._path)
        if (free_bytes := disk.f_bavail * disk.f_frsize) < self._room_bytes:
            raise OSError(f"its disk has {free_bytes} bytes left, and is to have {self._room_bytes}")

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
        boots=tuple(number for (number,) in connection.execute("SELECT number FROM boots ORDER BY number")),
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
