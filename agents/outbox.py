"""The outbox: every report is on disk before anybody acts on it, and stays until the hub has committed it.

One SQLite file a process, `synchronous=FULL`, written by one thread in group commits. Numbers are dense from 1 within an
incarnation; a lost disk is a new incarnation, which starts at 1 again and is never confused with the old one.
"""

import asyncio
import sqlite3
import uuid
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import structlog

from datamodel.errors import Transient

GROUP_REPORTS = 400
"""Two variables each, of the 999 that any SQLite takes in a statement."""
FORGET_REPORTS = 1_000
"""Committed reports that may stay on the disk: taking them away costs a write of its own, and the hub skips them if they are
sent again after a crash."""
LOCKED_S = 1.0
"""How long to wait for a former process that still has the file."""
LIMIT_REPORTS = 1_000_000
"""Reports that may wait; more and the agent takes no new work until the hub has committed some."""

_log = structlog.get_logger("outbox")

# The exclusive lock keeps a second agent with the same home from using the same numbers.
_SCHEMA = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS identity (incarnation TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS reports (number INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL);
"""


class Outbox:
    """Open it with `async with`, which raises `Transient` where the file is no outbox or another process has it.

    `pending` mirrors what is on disk and not yet committed by the hub, in order.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox")
        self._connection: sqlite3.Connection | None = None
        self._arriving: list[tuple[bytes, asyncio.Future[int]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._last = 0
        self._forget_through = 0
        self._forgotten = 0
        self.incarnation = ""
        self.pending: deque[tuple[int, bytes]] = deque()
        self.grown = asyncio.Event()
        """Set whenever `pending` has grown; who sends it clears it, and sets it where there is something to send again."""

    @property
    def full(self) -> bool:
        return len(self.pending) >= LIMIT_REPORTS

    async def __aenter__(self) -> Self:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._open)
        except (sqlite3.Error, OSError) as error:
            self._thread.shutdown()
            raise Transient(f"the outbox {self._path} cannot be opened: {error}") from error
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    async def add(self, body: bytes) -> int:
        """The number of a report, once it is on disk. Raises `Transient` where the disk refuses it."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._arriving.append((body, future))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_groups(), name="outbox")
        return await future

    def committed(self, through: int) -> None:
        """Forgets the reports up to and including `through`; they leave the disk with a later group. A commit of what was
        never written here is not believed: then the file is an older copy of itself, and its reports would be lost."""
        if through > self._last:
            _log.error("the hub has more than this outbox ever held; remove the file", file=str(self._path))
            return
        while self.pending and self.pending[0][0] <= through:
            self.pending.popleft()
        self._forget_through = max(self._forget_through, through)

    async def _write_groups(self) -> None:
        loop = asyncio.get_running_loop()
        while self._arriving:
            group, self._arriving = self._arriving[:GROUP_REPORTS], self._arriving[GROUP_REPORTS:]
            try:
                numbered = [part for number, (body, _) in enumerate(group, self._last + 1) for part in (number, body)]
                await loop.run_in_executor(self._thread, self._write, numbered, self._forget_through)
            except sqlite3.Error as error:
                for _, future in group:
                    if not future.done():
                        future.set_exception(Transient(f"the outbox cannot be written: {error}"))
                continue
            for number, (body, future) in enumerate(group, self._last + 1):
                self.pending.append((number, body))
                if not future.done():
                    future.set_result(number)
            self._last += len(group)
            self.grown.set()
        self._writing = None

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(self._path, timeout=LOCKED_S, isolation_level=None, check_same_thread=False)
        try:
            self._load(connection)
        except sqlite3.Error:
            connection.close()
            raise
        self._connection = connection

    def _load(self, connection: sqlite3.Connection) -> None:
        connection.executescript(_SCHEMA)
        row = connection.execute("SELECT incarnation FROM identity").fetchone()
        if row is None:
            row = (uuid.uuid4().hex,)
            connection.execute("INSERT INTO identity VALUES (?)", row)
        self.incarnation = row[0]
        last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'reports'").fetchone()
        self._last = last[0] if last is not None else 0
        self.pending.extend(connection.execute("SELECT number, body FROM reports ORDER BY number"))

    def _write(self, numbered: list[int | bytes], forget_through: int) -> None:
        """Writes number and body of each report of a group. Each statement that runs lets go of the interpreter's lock and may
        wait long to get it back where the event loop is busy, so there is one for the whole group, a transaction by itself.
        """
        connection = self._connection
        assert connection is not None
        try:
            if forget_through - self._forgotten >= FORGET_REPORTS:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("DELETE FROM reports WHERE number <= ?", (forget_through,))
            rows = ", ".join(["(?, ?)"] * (len(numbered) // 2))
            connection.execute(f"INSERT INTO reports (number, body) VALUES {rows}", numbered)  # noqa: S608 - marks only
            if connection.in_transaction:
                connection.execute("COMMIT")
                self._forgotten = forget_through
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.execute("DELETE FROM reports WHERE number <= ?", (self._forget_through,))
            self._connection.close()
