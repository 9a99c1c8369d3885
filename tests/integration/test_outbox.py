"""The outbox on a real disk: what was added is there after any end, and what is forgotten was committed."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from agents.outbox import FORGET_REPORTS, Outbox
from datamodel.errors import Transient


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "outbox.sqlite"


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
    async with Outbox(path) as outbox:
        assert await outbox.add(b"one") == 1
        assert outbox.grown.is_set()
        assert on_disk(path, tmp_path / "1") == [(1, b"one")]
        assert await outbox.add(b"two") == 2
        assert on_disk(path, tmp_path / "2") == pending(outbox) == [(1, b"one"), (2, b"two")]


async def test_what_gathers_is_written_together_and_in_order(path: Path) -> None:
    async with Outbox(path) as outbox:
        numbers = await asyncio.gather(*(outbox.add(str(n).encode()) for n in range(2500)))
        assert numbers == list(range(1, 2501))
        assert pending(outbox) == [(n + 1, str(n).encode()) for n in range(2500)]


async def test_a_restart_goes_on(path: Path) -> None:
    async with Outbox(path) as outbox:
        incarnation = outbox.incarnation
        await asyncio.gather(*(outbox.add(body) for body in (b"a", b"b", b"c")))
        outbox.committed(2)
    async with Outbox(path) as outbox:
        assert outbox.incarnation == incarnation
        assert pending(outbox) == [(3, b"c")]
        assert await outbox.add(b"d") == 4


async def test_numbers_go_on_where_everything_was_committed(path: Path) -> None:
    async with Outbox(path) as outbox:
        await outbox.add(b"a")
        outbox.committed(1)
    async with Outbox(path) as outbox:
        assert pending(outbox) == []
        assert await outbox.add(b"b") == 2


async def test_a_lost_file_is_a_new_incarnation_from_one(path: Path) -> None:
    async with Outbox(path) as outbox:
        before = outbox.incarnation
        await outbox.add(b"a")
    for file in path.parent.iterdir():
        file.unlink()
    async with Outbox(path) as outbox:
        assert outbox.incarnation != before
        assert await outbox.add(b"b") == 1


async def test_committed_forgets_and_never_remembers(path: Path) -> None:
    async with Outbox(path) as outbox:
        await asyncio.gather(*(outbox.add(body) for body in (b"a", b"b", b"c")))
        outbox.committed(2)
        assert pending(outbox) == [(3, b"c")]
        outbox.committed(1)
        assert pending(outbox) == [(3, b"c")]
        outbox.committed(3)
        assert pending(outbox) == []
        await outbox.add(b"d")
        assert pending(outbox) == [(4, b"d")]


async def test_what_was_committed_leaves_the_disk_many_at_a_time(path: Path, tmp_path: Path) -> None:
    async with Outbox(path) as outbox:
        await asyncio.gather(*(outbox.add(b"a") for _ in range(FORGET_REPORTS)))
        outbox.committed(FORGET_REPORTS - 1)
        await outbox.add(b"b")
        assert len(on_disk(path, tmp_path / "1")) == FORGET_REPORTS + 1
        outbox.committed(FORGET_REPORTS)
        await outbox.add(b"c")
        assert (
            on_disk(path, tmp_path / "2") == pending(outbox) == [(FORGET_REPORTS + 1, b"b"), (FORGET_REPORTS + 2, b"c")]
        )


async def test_a_commit_of_what_was_never_written_loses_nothing(path: Path) -> None:
    async with Outbox(path) as outbox:
        await outbox.add(b"a")
        outbox.committed(7)
        await outbox.add(b"b")
        assert pending(outbox) == [(1, b"a"), (2, b"b")]


async def test_two_agents_cannot_share_a_file(path: Path) -> None:
    async with Outbox(path) as outbox:
        await outbox.add(b"a")
        with pytest.raises(Transient, match="locked"):
            await Outbox(path).__aenter__()
        assert await outbox.add(b"b") == 2


async def test_a_full_disk_fails_the_writer_and_nobody_after_it(path: Path) -> None:
    async with Outbox(path) as outbox:
        await outbox.add(b"a")
        assert outbox._connection is not None
        (pages,) = outbox._connection.execute("PRAGMA page_count").fetchone()
        outbox._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(Transient, match="full"):
            await outbox.add(b"x" * 100_000)
        outbox._connection.execute("PRAGMA max_page_count = 1000000")
        assert await outbox.add(b"b") == 2, "no number is skipped, or the hub would wait for it"
        assert pending(outbox) == [(1, b"a"), (2, b"b")]


@pytest.fixture
def spoilt(path: Path) -> Path:
    path.parent.mkdir()
    path.write_bytes(b"something else altogether" * 1000)
    return path


async def test_what_is_no_outbox_is_refused(spoilt: Path) -> None:
    with pytest.raises(Transient, match="not a database"):
        await Outbox(spoilt).__aenter__()


async def test_a_caller_that_gives_up_leaves_its_report_behind(path: Path) -> None:
    async with Outbox(path) as outbox:
        task = asyncio.create_task(outbox.add(b"a"))
        await asyncio.sleep(0)
        task.cancel()
        assert await outbox.add(b"b") == 2
        assert pending(outbox) == [(1, b"a"), (2, b"b")]
