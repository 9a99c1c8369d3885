"""The outbox's logic, on disks in memory: numbers, groups, commits, and what becomes of it on a disk of another time."""

import asyncio
from collections.abc import Sequence

import pytest

from agents.journal import GROUP_REPORTS, Found
from agents.memory_journal import Disk, MemoryJournal
from agents.outbox import Outbox
from datamodel.errors import Transient
from tests.waiting import until


class Slow:
    """A journal whose writes wait until they may go on."""

    def __init__(self, disk: Disk) -> None:
        self._journal = MemoryJournal(disk)
        self.waiting = 0
        self.groups: list[int] = []
        self.goes = asyncio.Event()
        self.goes.set()

    async def open(self) -> Found | None:
        return await self._journal.open()

    async def begin(self, incarnation: str, bodies: Sequence[bytes], *, boot: int | None = None) -> None:
        await self._turn()
        await self._journal.begin(incarnation, bodies, boot=boot)

    async def take(self, boot: int) -> None:
        await self._turn()
        await self._journal.take(boot)

    async def write(
        self, first: int, bodies: Sequence[bytes], *, forget_through: int, unconfirmed_after: int | None
    ) -> None:
        await self._turn()
        self.groups.append(len(bodies))
        await self._journal.write(first, bodies, forget_through=forget_through, unconfirmed_after=unconfirmed_after)

    async def check(self) -> None:
        await self._journal.check()

    async def close(self, forget_through: int) -> None:
        await self._journal.close(forget_through)

    async def _turn(self) -> None:
        self.waiting += 1
        await self.goes.wait()
        self.waiting -= 1


@pytest.fixture
def disk() -> Disk:
    return Disk()


def opened(disk: Disk) -> Outbox:
    return Outbox(MemoryJournal(disk))


def pending(outbox: Outbox) -> list[tuple[int, bytes]]:
    return list(outbox.pending)


async def add(outbox: Outbox, *bodies: bytes) -> list[int]:
    return await asyncio.gather(*map(outbox.add, bodies))


async def told(outbox: Outbox, through: int) -> None:
    """The hub's word, once the outbox has drawn its conclusion."""
    outbox.committed(through)
    await until(lambda: outbox._writing is None)


async def test_what_was_added_is_on_the_disk_and_pending(disk: Disk) -> None:
    async with opened(disk) as outbox:
        assert outbox.confirmed
        assert await outbox.add(b"a") == 1
        assert outbox.grown.is_set()
        assert disk.content is not None
        assert disk.content.reports == {1: b"a"}
        assert await outbox.add(b"b") == 2
        assert pending(outbox) == [(1, b"a"), (2, b"b")]


async def test_what_gathers_is_written_together_and_in_order(disk: Disk) -> None:
    journal = Slow(disk)
    async with Outbox(journal) as outbox:
        journal.goes.clear()
        first = asyncio.create_task(outbox.add(b"first"))
        await until(lambda: journal.waiting == 1)
        rest = asyncio.gather(*(outbox.add(str(n).encode()) for n in range(2 * GROUP_REPORTS)))
        await asyncio.sleep(0)
        journal.goes.set()
        assert await first == 1
        assert await rest == list(range(2, 2 * GROUP_REPORTS + 2))
        assert journal.groups == [1, GROUP_REPORTS, GROUP_REPORTS]
        assert [body for _, body in outbox.pending][1:] == [str(n).encode() for n in range(2 * GROUP_REPORTS)]


async def test_a_restart_goes_on(disk: Disk) -> None:
    async with opened(disk) as outbox:
        incarnation = outbox.incarnation
        await add(outbox, b"a", b"b", b"c")
        outbox.committed(2)
    async with opened(disk) as outbox:
        assert outbox.incarnation == incarnation
        assert pending(outbox) == [(3, b"c")]
        assert await outbox.add(b"d") == 4


async def test_numbers_go_on_where_everything_was_committed(disk: Disk) -> None:
    async with opened(disk) as outbox:
        await outbox.add(b"a")
        outbox.committed(1)
    async with opened(disk) as outbox:
        assert pending(outbox) == []
        assert await outbox.add(b"b") == 2


async def test_a_lost_disk_is_a_new_incarnation_from_one(disk: Disk) -> None:
    async with opened(disk) as outbox:
        before = outbox.incarnation
        await outbox.add(b"a")
    disk.put_back(None)
    async with opened(disk) as outbox:
        assert outbox.incarnation != before
        assert outbox.confirmed
        assert await outbox.add(b"b") == 1


async def test_committed_forgets_and_never_remembers(disk: Disk) -> None:
    async with opened(disk) as outbox:
        await add(outbox, b"a", b"b", b"c")
        outbox.committed(2)
        assert pending(outbox) == [(3, b"c")]
        outbox.committed(1)
        assert pending(outbox) == [(3, b"c")]
        outbox.committed(3)
        assert pending(outbox) == []
        await outbox.add(b"d")
        assert pending(outbox) == [(4, b"d")]


async def test_trouble_begins_with_a_refusal_and_ends_with_a_check(disk: Disk) -> None:
    async with opened(disk) as outbox:
        await outbox.check()
        assert not outbox.trouble
        disk.failure = "full"
        with pytest.raises(Transient):
            await outbox.add(b"a")
        assert "full" in outbox.trouble
        await outbox.check()
        assert "full" in outbox.trouble
        disk.failure = None
        assert await outbox.add(b"a") == 1
        await outbox.check()
        assert not outbox.trouble


async def test_too_many_reports_that_wait_are_trouble(disk: Disk) -> None:
    async with Outbox(MemoryJournal(disk), limit_reports=3) as outbox:
        await add(outbox, b"a", b"b")
        assert not outbox.trouble
        await add(outbox, b"c", b"d")
        assert "4 reports wait" in outbox.trouble
        assert len(disk.content.reports if disk.content is not None else ()) == 4, "none is dropped"
        await told(outbox, 2)
        assert not outbox.trouble


async def test_what_is_pending_is_owed_until_it_is_committed_or_it_is_too_late(disk: Disk) -> None:
    async with opened(disk) as outbox:
        assert not outbox.owes
        await add(outbox, b"a", b"b")
        now_s = asyncio.get_running_loop().time()
        outbox.owe(now_s + 60)
        await add(outbox, b"c")
        assert outbox.owes
        await told(outbox, 1)
        assert outbox.owes
        await told(outbox, 2)
        assert not outbox.owes, "what came after is not waited for"
        outbox.owe(now_s - 1)
        assert not outbox.owes


async def test_what_is_owed_is_owed_by_the_next_incarnation(disk: Disk) -> None:
    async with opened(disk) as outbox:
        await add(outbox, b"a", b"b")
    async with opened(disk) as outbox:
        outbox.owe(asyncio.get_running_loop().time() + 60)
        await told(outbox, 9)
        assert outbox.owes
        await told(outbox, 2)
        assert not outbox.owes


async def test_it_knows_which_reports_are_not_committed(disk: Disk) -> None:
    async with opened(disk) as outbox:
        incarnation = outbox.incarnation
        await add(outbox, b"a", b"b")
        await told(outbox, 1)
        assert not outbox.holds(incarnation, 1)
        assert outbox.holds(incarnation, 2)
        assert not outbox.holds("former", 2)


async def test_a_full_disk_fails_the_writer_and_nobody_after_it(disk: Disk) -> None:
    async with opened(disk) as outbox:
        await outbox.add(b"a")
        disk.failure = "full"
        results = await asyncio.gather(outbox.add(b"x"), outbox.add(b"y"), return_exceptions=True)
        assert [type(result) for result in results] == [Transient, Transient]
        disk.failure = None
        assert await outbox.add(b"b") == 2, "no number is skipped, or the hub would wait for it"
        assert pending(outbox) == [(1, b"a"), (2, b"b")]


async def test_a_disk_that_cannot_be_written_is_not_kept_locked(disk: Disk) -> None:
    disk.failure = "full"
    with pytest.raises(Transient, match="full"):
        await opened(disk).__aenter__()
    disk.failure = None
    async with opened(disk) as outbox:
        assert await outbox.add(b"a") == 1


async def test_a_caller_that_gives_up_leaves_its_report_behind(disk: Disk) -> None:
    async with opened(disk) as outbox:
        task = asyncio.create_task(outbox.add(b"a"))
        await asyncio.sleep(0)
        task.cancel()
        assert await outbox.add(b"b") == 2
        assert pending(outbox) == [(1, b"a"), (2, b"b")]


async def test_an_opened_outbox_is_confirmed_by_the_hub(disk: Disk) -> None:
    async with opened(disk) as outbox:
        incarnation = outbox.incarnation
        await add(outbox, b"a", b"b")
    async with opened(disk) as outbox:
        assert not outbox.confirmed
        await outbox.add(b"c")
        assert not outbox.confirmed
        outbox.grown.clear()
        await told(outbox, 1)
        assert outbox.confirmed
        assert outbox.grown.is_set()
        assert outbox.incarnation == incarnation
        assert pending(outbox) == [(2, b"b"), (3, b"c")]


async def restored(disk: Disk) -> str:
    """Reports 1 to 4 were sent, and the disk has 1 and 2 of them; returns their incarnation."""
    async with opened(disk) as outbox:
        await add(outbox, b"a", b"b")
        copy = disk.content
        await add(outbox, b"c", b"d")
        incarnation = outbox.incarnation
    disk.put_back(copy)
    return incarnation


@pytest.mark.parametrize("added", [0, 1, 2, 5])
async def test_an_older_copy_becomes_another_incarnation_once_the_hub_tells_of_more(disk: Disk, added: int) -> None:
    former = await restored(disk)
    new = [f"new {n}".encode() for n in range(added)]
    async with opened(disk) as outbox:
        await add(outbox, *new)
        await told(outbox, 4)
        assert outbox.incarnation != former
        assert outbox.confirmed
        assert pending(outbox) == list(enumerate([b"a", b"b", *new], 1))
        assert await outbox.add(b"e") == added + 3
        incarnation = outbox.incarnation
        disk.crash()
    async with opened(disk) as outbox:
        assert outbox.incarnation == incarnation
        assert pending(outbox) == list(enumerate([b"a", b"b", *new, b"e"], 1))


async def test_an_older_copy_is_found_out_also_by_the_process_after_the_next(disk: Disk) -> None:
    former = await restored(disk)
    async with opened(disk) as outbox:
        await add(outbox, b"new 1", b"new 2", b"new 3")
    for _ in range(2):
        async with opened(disk) as outbox:
            assert outbox.incarnation == former
    async with opened(disk) as outbox:
        await told(outbox, 4)
        assert outbox.incarnation != former
        assert pending(outbox) == list(enumerate([b"a", b"b", b"new 1", b"new 2", b"new 3"], 1))


async def test_what_was_confirmed_may_have_been_sent(disk: Disk) -> None:
    async with opened(disk) as outbox:
        await outbox.add(b"a")
    async with opened(disk) as outbox:
        await outbox.add(b"b")
        await told(outbox, 1)
        await outbox.add(b"c")
        incarnation = outbox.incarnation
        disk.crash()
    async with opened(disk) as outbox:
        await told(outbox, 3)
        assert outbox.incarnation == incarnation
        assert pending(outbox) == []


async def test_a_commit_of_more_than_was_ever_added_renews_a_confirmed_outbox_too(disk: Disk) -> None:
    async with opened(disk) as outbox:
        former = outbox.incarnation
        await add(outbox, b"a", b"b")
        outbox.committed(1)
        await told(outbox, 3)
        assert outbox.incarnation != former
        assert pending(outbox) == [(1, b"b")]


async def test_what_is_added_during_the_renewal_is_of_the_new_incarnation(disk: Disk) -> None:
    await restored(disk)
    journal = Slow(disk)
    async with Outbox(journal) as outbox:
        journal.goes.clear()
        outbox.committed(4)
        await until(lambda: journal.waiting == 1)
        adding = asyncio.create_task(add(outbox, b"new 1", b"new 2"))
        await asyncio.sleep(0)
        outbox.committed(1)
        outbox.committed(4)
        await asyncio.sleep(0)
        journal.goes.set()
        assert await adding == [3, 4]
        assert pending(outbox) == [(1, b"a"), (2, b"b"), (3, b"new 1"), (4, b"new 2")]
        assert disk.content is not None
        assert list(disk.content.reports.items()) == pending(outbox)


async def test_what_is_being_written_is_renewed_with_the_rest(disk: Disk) -> None:
    await restored(disk)
    journal = Slow(disk)
    async with Outbox(journal) as outbox:
        journal.goes.clear()
        adding = asyncio.create_task(outbox.add(b"new"))
        await until(lambda: journal.waiting == 1)
        outbox.committed(4)
        journal.goes.set()
        await adding
        await until(lambda: outbox.confirmed)
        assert pending(outbox) == [(1, b"a"), (2, b"b"), (3, b"new")]


async def test_the_hub_may_tell_of_more_while_it_is_being_believed(disk: Disk) -> None:
    former = await restored(disk)
    journal = Slow(disk)
    async with Outbox(journal) as outbox:
        journal.goes.clear()
        outbox.committed(1)
        await until(lambda: journal.waiting == 1)
        outbox.committed(4)
        journal.goes.set()
        await until(lambda: outbox.confirmed)
        assert outbox.incarnation != former
        assert pending(outbox) == [(1, b"b")]


@pytest.mark.parametrize("through", [1, 4])
async def test_a_disk_that_fails_leaves_it_unconfirmed_until_the_hub_tells_again(disk: Disk, through: int) -> None:
    former = await restored(disk)
    async with opened(disk) as outbox:
        outbox.grown.clear()
        disk.failure = "full"
        await told(outbox, through)
        assert not outbox.confirmed
        assert not outbox.grown.is_set()
        assert outbox.incarnation == former
        disk.failure = None
        assert await outbox.add(b"new") == 3
        assert not outbox.confirmed
        await told(outbox, through)
        assert outbox.confirmed
        assert outbox.grown.is_set()
        assert (outbox.incarnation != former) == (through == 4)
        assert [body for _, body in outbox.pending][-2:] == [b"b", b"new"]
