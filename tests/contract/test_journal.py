"""The journal: what it was given is there after any end of its process, and all of a write or nothing."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from agents.journal import BOOTS_KEPT, FORGET_REPORTS, GROUP_REPORTS, Found, Journal
from agents.memory_journal import Disk, MemoryJournal
from agents.sqlite_journal import SqliteJournal
from datamodel.errors import Transient

BODIES = [b"a", b"", b'{"c": "\xc3\xa9"}']
LARGE = b"x" * 100_000


class MemoryMachine:
    """A machine with one agent's disk in memory."""

    def __init__(self) -> None:
        self.disk = Disk()

    async def start(self) -> tuple[Journal, Found | None]:
        """A process that starts, and what it finds."""
        journal = MemoryJournal(self.disk)
        return journal, await journal.open()

    def crash(self) -> None:
        """The process is gone; the next one finds what is on the disk now."""
        self.disk.crash()

    def fill(self) -> None:
        self.disk.failure = "full"

    def make_room(self) -> None:
        self.disk.failure = None

    async def tidy(self) -> None:
        pass


class SqliteMachine:
    """The same with a file. After a crash the process keeps the files that it had open, and the next one gets a copy of them
    as they were at that moment."""

    def __init__(self, home: Path) -> None:
        self.path = home / "0" / "outbox.sqlite"
        self.journals: list[SqliteJournal] = []

    async def start(self) -> tuple[Journal, Found | None]:
        journal = SqliteJournal(self.path)
        found = await journal.open()
        self.journals.append(journal)
        return journal, found

    def crash(self) -> None:
        copy = self.path.parent.parent / str(len(self.journals)) / self.path.name
        copy.parent.mkdir()
        for file in self.path.parent.iterdir():
            (copy.parent / file.name).write_bytes(file.read_bytes())
        self.path = copy

    def fill(self) -> None:
        self._limit("(SELECT page_count FROM pragma_page_count)")

    def make_room(self) -> None:
        self._limit("1000000")

    def _limit(self, pages: str) -> None:
        connection = self.journals[-1]._connection
        assert connection is not None
        (count,) = connection.execute(f"SELECT {pages}").fetchone()
        connection.execute(f"PRAGMA max_page_count = {count}")

    async def tidy(self) -> None:
        for journal in self.journals:
            if journal._connection is not None:
                journal._connection.close()
            journal._thread.shutdown()


Machine = MemoryMachine | SqliteMachine


@pytest_asyncio.fixture(params=["memory", "sqlite"])
async def machine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Machine]:
    machine = MemoryMachine() if request.param == "memory" else SqliteMachine(tmp_path)
    yield machine
    await machine.tidy()


@pytest_asyncio.fixture
async def journal(machine: Machine) -> Journal:
    """Incarnation `i`, in which nothing was written."""
    journal, _ = await machine.start()
    await journal.begin("i", [])
    return journal


async def restart(machine: Machine) -> tuple[Journal, Found | None]:
    """The process after one that crashed, and what it finds."""
    machine.crash()
    return await machine.start()


async def after_a_crash(machine: Machine) -> Found | None:
    _, found = await restart(machine)
    return found


async def write(
    journal: Journal, first: int, *bodies: bytes, forget_through: int = 0, unconfirmed_after: int | None = None
) -> None:
    await journal.write(first, bodies, forget_through=forget_through, unconfirmed_after=unconfirmed_after)


async def test_nothing_is_in_it_until_an_incarnation_is_begun(machine: Machine) -> None:
    journal, found = await machine.start()
    assert found is None
    await journal.close(0)
    journal, found = await machine.start()
    assert found is None
    await journal.begin("i", [])
    assert await after_a_crash(machine) == Found("i", 0, [])


async def test_what_was_written_is_found_after_a_crash(machine: Machine, journal: Journal) -> None:
    await write(journal, 1, *BODIES)
    await write(journal, 4, b"d")
    numbered = list(enumerate([*BODIES, b"d"], 1))
    assert await after_a_crash(machine) == Found("i", 4, numbered)


async def test_a_process_goes_on_where_the_last_one_crashed(machine: Machine, journal: Journal) -> None:
    await write(journal, 1, b"a")
    journal, _ = await restart(machine)
    await write(journal, 2, b"b")
    assert await after_a_crash(machine) == Found("i", 2, [(1, b"a"), (2, b"b")])


async def test_a_full_group_is_one_write(machine: Machine, journal: Journal) -> None:
    bodies = [str(n).encode() for n in range(GROUP_REPORTS)]
    await write(journal, 1, *bodies)
    assert await after_a_crash(machine) == Found("i", GROUP_REPORTS, list(enumerate(bodies, 1)))


async def test_close_forgets_what_is_committed_and_keeps_the_last_number(machine: Machine, journal: Journal) -> None:
    await write(journal, 1, *BODIES)
    await journal.close(2)
    journal, found = await machine.start()
    assert found == Found("i", 3, [(3, BODIES[2])])
    await journal.close(3)
    journal, found = await machine.start()
    assert found == Found("i", 3, [])
    await write(journal, 4, b"d")
    assert await after_a_crash(machine) == Found("i", 4, [(4, b"d")])


async def test_what_is_committed_goes_many_at_a_time_and_nothing_else_does(machine: Machine, journal: Journal) -> None:
    step = GROUP_REPORTS
    for start in range(0, FORGET_REPORTS, step):
        await write(journal, start + 1, *[b"a"] * min(step, FORGET_REPORTS - start))
    await write(journal, FORGET_REPORTS + 1, b"b", forget_through=FORGET_REPORTS - 1)
    journal, found = await restart(machine)
    assert found is not None
    assert len(found.reports) == FORGET_REPORTS + 1
    await write(journal, FORGET_REPORTS + 2, b"c", forget_through=FORGET_REPORTS)
    left = [(FORGET_REPORTS + 1, b"b"), (FORGET_REPORTS + 2, b"c")]
    assert await after_a_crash(machine) == Found("i", FORGET_REPORTS + 2, left)


async def test_a_new_incarnation_takes_the_place_of_everything(machine: Machine, journal: Journal) -> None:
    await write(journal, 1, *BODIES, unconfirmed_after=0)
    await journal.begin("j", BODIES[1:])
    assert await after_a_crash(machine) == Found("j", 2, [(1, BODIES[1]), (2, BODIES[2])])


async def test_a_new_incarnation_numbers_on_from_what_it_began_with(machine: Machine, journal: Journal) -> None:
    many = [str(n).encode() for n in range(2 * GROUP_REPORTS + 1)]
    await journal.begin("j", many)
    await write(journal, len(many) + 1, b"last")
    assert await after_a_crash(machine) == Found("j", len(many) + 1, list(enumerate([*many, b"last"], 1)))


async def test_a_new_incarnation_forgets_its_own_numbers_only(machine: Machine, journal: Journal) -> None:
    await write(journal, 1, *[b"a"] * GROUP_REPORTS)
    await write(journal, GROUP_REPORTS + 1, b"b", forget_through=GROUP_REPORTS)
    await journal.begin("j", [b"b"])
    await write(journal, 2, b"c")
    await journal.close(1)
    _, found = await machine.start()
    assert found == Found("j", 2, [(2, b"c")])


async def test_what_is_unconfirmed_is_kept_until_a_write_says_otherwise(machine: Machine, journal: Journal) -> None:
    await write(journal, 1, b"a")
    await write(journal, 2, b"b", unconfirmed_after=1)
    await write(journal, 3, b"c", unconfirmed_after=1)
    reports = [(1, b"a"), (2, b"b"), (3, b"c")]
    journal, found = await restart(machine)
    assert found == Found("i", 3, reports, unconfirmed_after=1)
    await write(journal, 4)
    assert await after_a_crash(machine) == Found("i", 3, reports)


async def test_a_process_that_starts_knows_what_is_unconfirmed(machine: Machine, journal: Journal) -> None:
    await write(journal, 1, b"a", unconfirmed_after=0)
    journal, _ = await restart(machine)
    await write(journal, 2, b"b")
    assert await after_a_crash(machine) == Found("i", 2, [(1, b"a"), (2, b"b")])


async def test_two_processes_cannot_have_it(machine: Machine, journal: Journal) -> None:
    with pytest.raises(Transient, match="another agent has it open"):
        await machine.start()
    await write(journal, 1, b"a")
    await journal.close(0)
    _, found = await machine.start()
    assert found == Found("i", 1, [(1, b"a")])


async def test_a_full_disk_takes_nothing_of_a_group(machine: Machine, journal: Journal) -> None:
    await write(journal, 1, b"a")
    machine.fill()
    with pytest.raises(Transient, match="full"):
        await write(journal, 2, b"b", LARGE, b"c", unconfirmed_after=1)
    machine.make_room()
    await write(journal, 2, b"d")
    assert await after_a_crash(machine) == Found("i", 2, [(1, b"a"), (2, b"d")])


async def test_a_crash_finds_nothing_that_a_full_disk_refused(machine: Machine, journal: Journal) -> None:
    await write(journal, 1, b"a")
    machine.fill()
    with pytest.raises(Transient, match="full"):
        await write(journal, 2, b"b", LARGE)
    assert await after_a_crash(machine) == Found("i", 1, [(1, b"a")])


async def test_a_full_disk_begins_no_incarnation(machine: Machine, journal: Journal) -> None:
    await write(journal, 1, b"a", unconfirmed_after=0)
    machine.fill()
    with pytest.raises(Transient, match="full"):
        await journal.begin("j", [LARGE])
    machine.make_room()
    await write(journal, 2, b"b", unconfirmed_after=0)
    assert await after_a_crash(machine) == Found("i", 2, [(1, b"a"), (2, b"b")], unconfirmed_after=0)


async def test_a_full_disk_can_be_closed(machine: Machine, journal: Journal) -> None:
    await write(journal, 1, b"a", b"b")
    machine.fill()
    await journal.close(1)
    _, found = await machine.start()
    assert found is not None
    assert found.reports[-1] == (2, b"b")


async def test_it_is_found_out_whether_the_disk_takes_anything(machine: Machine, journal: Journal) -> None:
    await write(journal, 1, b"a", unconfirmed_after=0)
    await journal.check()
    assert await after_a_crash(machine) == Found("i", 1, [(1, b"a")], unconfirmed_after=0)


async def test_starts_are_kept_in_order_through_crashes_and_new_incarnations(
    machine: Machine, journal: Journal
) -> None:
    for boot in (2**62, 5, 7):
        await journal.take(boot)
    await write(journal, 1, b"a")
    found = await after_a_crash(machine)
    assert found == Found("i", 1, [(1, b"a")], boots=(5, 7, 2**62))


async def test_a_new_incarnation_may_know_of_one_start_only(machine: Machine, journal: Journal) -> None:
    await journal.take(5)
    await journal.begin("j", [])
    _, found = await restart(machine)
    assert found == Found("j", 0, [], boots=(5,))
    journal, _ = await restart(machine)
    await journal.begin("k", [b"a"], boot=9)
    assert await after_a_crash(machine) == Found("k", 1, [(1, b"a")], boots=(9,))


async def test_the_newest_starts_stay(machine: Machine, journal: Journal) -> None:
    for boot in range(1, BOOTS_KEPT + 4):
        await journal.take(boot)
    found = await after_a_crash(machine)
    assert found is not None
    assert found.boots == tuple(range(4, BOOTS_KEPT + 4))


async def test_a_full_disk_takes_no_start(machine: Machine, journal: Journal) -> None:
    await journal.take(5)
    await write(journal, 1, LARGE)
    machine.fill()
    with pytest.raises(Transient, match="full"):
        await journal.begin("j", [LARGE, LARGE], boot=9)
    machine.make_room()
    found = await after_a_crash(machine)
    assert found is not None
    assert (found.incarnation, found.boots) == ("i", (5,))
