"""The outbox on a real disk: what was added is there after any end, and what is forgotten was committed."""

import asyncio
import shutil
import sqlite3
from pathlib import Path

import pytest

from agents.journal import FORGET_REPORTS
from agents.outbox import Outbox
from agents.sqlite_journal import SqliteJournal
from datamodel.errors import Transient


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "outbox.sqlite"


def opened(path: Path) -> Outbox:
    return Outbox(SqliteJournal(path))


def pending(outbox: Outbox) -> list[tuple[int, bytes]]:
    return list(outbox.pending)


def on_disk(path: Path, copy: Path) -> list[tuple[int, bytes]]:
    """What a machine that fails now would find: the files as they are, read by somebody else."""
    copy.mkdir(exist_ok=True)
    for file in path.parent.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    connection = sqlite3.connect(copy / path.name)
    try:
        return connection.execute("SELECT number, body FROM reports ORDER BY number").fetchall()
    finally:
        connection.close()


async def test_what_was_added_is_on_disk(path: Path, tmp_path: Path) -> None:
    async with opened(path) as outbox:
        assert await outbox.add(b"one") == 1
        assert on_disk(path, tmp_path / "1") == [(1, b"one")]
        assert await outbox.add(b"two") == 2
        assert on_disk(path, tmp_path / "2") == pending(outbox) == [(1, b"one"), (2, b"two")]


async def test_what_gathers_is_written_together_and_in_order(path: Path) -> None:
    async with opened(path) as outbox:
        numbers = await asyncio.gather(*(outbox.add(str(n).encode()) for n in range(2500)))
        assert numbers == list(range(1, 2501))
        assert pending(outbox) == [(n + 1, str(n).encode()) for n in range(2500)]


async def test_a_restart_goes_on(path: Path) -> None:
    async with opened(path) as outbox:
        incarnation = outbox.incarnation
        await asyncio.gather(*(outbox.add(body) for body in (b"a", b"b", b"c")))
        outbox.committed(2)
    async with opened(path) as outbox:
        assert outbox.incarnation == incarnation
        assert pending(outbox) == [(3, b"c")]
        assert await outbox.add(b"d") == 4


async def test_a_file_of_before_there_was_anything_to_confirm_goes_on(path: Path) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.executescript("""
        CREATE TABLE identity (incarnation TEXT NOT NULL);
        CREATE TABLE reports (number INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL);
        INSERT INTO identity VALUES ('i');
        INSERT INTO reports VALUES (6, X'61');
    """)
    connection.close()
    async with opened(path) as outbox:
        assert outbox.incarnation == "i"
        assert await outbox.add(b"b") == 7
        assert pending(outbox) == [(6, b"a"), (7, b"b")]


async def test_a_lost_file_is_a_new_incarnation_from_one(path: Path) -> None:
    async with opened(path) as outbox:
        before = outbox.incarnation
        await outbox.add(b"a")
    for file in path.parent.iterdir():
        file.unlink()
    async with opened(path) as outbox:
        assert outbox.incarnation != before
        assert await outbox.add(b"b") == 1


async def test_a_file_that_was_put_back_becomes_another_incarnation(path: Path, tmp_path: Path) -> None:
    async with opened(path) as outbox:
        former = outbox.incarnation
        await outbox.add(b"a")
    copy = shutil.copy(path, tmp_path / "copy")
    async with opened(path) as outbox:
        await outbox.add(b"b")
        await outbox.add(b"c")
    shutil.copy(copy, path)
    async with opened(path) as outbox:
        await asyncio.gather(*(outbox.add(f"new {n}".encode()) for n in range(3)))
        outbox.committed(3)
        assert await outbox.add(b"last") == 5
        assert outbox.incarnation != former
        bodies = [b"a", b"new 0", b"new 1", b"new 2", b"last"]
        assert on_disk(path, tmp_path / "1") == pending(outbox) == list(enumerate(bodies, 1))


async def test_what_was_committed_leaves_the_disk_many_at_a_time(path: Path, tmp_path: Path) -> None:
    async with opened(path) as outbox:
        await asyncio.gather(*(outbox.add(b"a") for _ in range(FORGET_REPORTS)))
        outbox.committed(FORGET_REPORTS - 1)
        await outbox.add(b"b")
        assert len(on_disk(path, tmp_path / "1")) == FORGET_REPORTS + 1
        outbox.committed(FORGET_REPORTS)
        await outbox.add(b"c")
        assert (
            on_disk(path, tmp_path / "2") == pending(outbox) == [(FORGET_REPORTS + 1, b"b"), (FORGET_REPORTS + 2, b"c")]
        )


async def test_two_agents_cannot_share_a_file(path: Path) -> None:
    async with opened(path) as outbox:
        await outbox.add(b"a")
        with pytest.raises(Transient, match="another agent has it open"):
            await opened(path).__aenter__()
        assert await outbox.add(b"b") == 2


@pytest.fixture
def spoilt(path: Path) -> Path:
    path.parent.mkdir()
    path.write_bytes(b"something else altogether" * 1000)
    return path


async def test_what_is_no_outbox_is_refused(spoilt: Path) -> None:
    with pytest.raises(Transient, match="not a database"):
        await opened(spoilt).__aenter__()
