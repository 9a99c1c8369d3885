"""An agent's link over a real NATS, with the hub's side played by the test: nothing is forgotten that was not committed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest_asyncio
from nats.aio.msg import Msg

from agents.desk import Desk
from agents.link import ASK_S, RESEND_S, Link
from agents.memory_journal import Disk, MemoryJournal
from agents.outbox import Outbox
from agents.session import Session
from agents.sqlite_journal import SqliteJournal
from datamodel.feed.bus import Bus
from datamodel.feed.follow import NatsFeed
from datamodel.scheduling import wire
from tests.conftest import StartNats
from tests.feed import Seen, arrived, connected
from tests.services import PrivateNats
from tests.waiting import until


class Hub:
    """What arrives of one agent."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.windows: list[wire.Window] = []
        self.beats: list[wire.Beat] = []

    async def listen(self) -> None:
        async def on_window(message: Msg) -> None:
            self.windows.append(wire.decode_window(message.data))

        async def on_beat(message: Msg) -> None:
            self.beats.append(wire.decode_beat(message.data))

        await self.bus.client.subscribe(wire.report_subject("s", "e"), cb=on_window)
        await self.bus.client.subscribe(wire.beat_subject("s", "e"), cb=on_beat)
        await arrived(self.bus)

    @property
    def numbers(self) -> list[int]:
        return [window.first + k for window in self.windows for k in range(len(window.reports))]

    async def commit(self, incarnation: str, through: int, *, gap: bool = False) -> None:
        body = wire.encode(wire.Committed(incarnation, through, gap))
        await self.bus.client.publish(wire.committed_subject("s", "e"), body)


@pytest_asyncio.fixture
async def server(nats_server: StartNats) -> PrivateNats:
    return await nats_server()


@pytest_asyncio.fixture
async def hub(server: PrivateNats) -> AsyncIterator[Hub]:
    async with connected(server.access()) as bus:
        hub = Hub(bus)
        await hub.listen()
        yield hub


@pytest_asyncio.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    async with Outbox(SqliteJournal(tmp_path / "outbox.sqlite")) as outbox:
        yield outbox


@asynccontextmanager
async def linked(
    server: PrivateNats,
    outbox: Outbox,
    renewed: list[str] | None = None,
    *,
    resend_s: float = RESEND_S,
    ask_s: float = ASK_S,
) -> AsyncIterator[Link]:
    """The link in the agent's own role, with the permissions that come with it. `renewed` gets each incarnation
    that follows another."""
    renewed = [] if renewed is None else renewed
    async with connected(server.agent("s", "e")) as bus, asyncio.TaskGroup() as group:
        session = Session(outbox)
        session.version = 1  # the hub of these tests has said so
        feed = NatsFeed(bus, Desk(bus, "s", "e", ["e"]))
        link = Link(bus, feed, outbox, "s", "e", ["e"], resend_s=resend_s, ask_s=ask_s, session=session)
        task = group.create_task(link.run(Seen().deliver, lambda: renewed.append(outbox.incarnation)))
        yield link
        task.cancel()


@pytest_asyncio.fixture
async def link(server: PrivateNats, outbox: Outbox, hub: Hub) -> AsyncIterator[Link]:
    async with linked(server, outbox) as link:
        await until(lambda: bool(hub.beats))
        yield link


@pytest_asyncio.fixture
async def patient(server: PrivateNats, outbox: Outbox, hub: Hub) -> AsyncIterator[Link]:
    """A link that sends nothing again only because no answer comes: not while a test waits for it."""
    async with linked(server, outbox, resend_s=1000.0) as link:
        await until(lambda: bool(hub.beats))
        yield link


@pytest_asyncio.fixture
async def copy(tmp_path: Path) -> AsyncIterator[Outbox]:
    """An outbox that holds reports 1 and 2, and whose file is an older copy where the hub has more."""
    path = tmp_path / "copy.sqlite"
    async with Outbox(SqliteJournal(path)) as outbox:
        await add(outbox, 2)
    async with Outbox(SqliteJournal(path)) as outbox:
        yield outbox


async def add(outbox: Outbox, count: int, *, body: bytes = b"{}") -> None:
    await asyncio.gather(*(outbox.add(body) for _ in range(count)))


async def test_reports_leave_in_order_and_are_forgotten_once_committed(link: Link, outbox: Outbox, hub: Hub) -> None:
    await add(outbox, 5)
    await until(lambda: hub.numbers == [1, 2, 3, 4, 5])
    assert {window.incarnation for window in hub.windows} == {outbox.incarnation}
    flushed = asyncio.create_task(link.flushed())
    await hub.commit(outbox.incarnation, 3)
    await until(lambda: [number for number, _ in outbox.pending] == [4, 5])
    assert not flushed.done()
    await hub.commit(outbox.incarnation, 5)
    await flushed
    await add(outbox, 1)
    await until(lambda: hub.numbers == [1, 2, 3, 4, 5, 6])


async def test_it_sends_a_few_windows_ahead_and_what_gathers_goes_into_the_next(
    link: Link, outbox: Outbox, hub: Hub
) -> None:
    for number in range(1, wire.WINDOWS_IN_FLIGHT + 1):
        await outbox.add(b"{}")
        await until(lambda: len(hub.windows) == number)  # noqa: B023 - awaited before the next turn
    await add(outbox, 100)
    await hub.commit(outbox.incarnation, 1)
    await until(lambda: len(hub.windows) == wire.WINDOWS_IN_FLIGHT + 1)
    assert hub.numbers == list(range(1, wire.WINDOWS_IN_FLIGHT + 101))
    assert len(hub.windows[-1].reports) == 100


async def test_windows_are_bounded(link: Link, outbox: Outbox, hub: Hub) -> None:
    await add(outbox, 1000)
    await until(lambda: len(hub.numbers) == 1000)
    assert max(len(window.reports) for window in hub.windows) <= wire.WINDOW_REPORTS
    await hub.commit(outbox.incarnation, 1000)
    hub.windows.clear()
    await add(outbox, 6, body=b'"' + b"x" * 200_000 + b'"')
    await until(lambda: len(hub.numbers) == 6)
    assert max(len(window.reports) for window in hub.windows) == 2
    assert hub.numbers == list(range(1001, 1007))


async def test_unanswered_reports_are_sent_again(link: Link, outbox: Outbox, hub: Hub) -> None:
    await add(outbox, 3)
    await until(lambda: hub.numbers == [1, 2, 3])
    began = asyncio.get_running_loop().time()
    await until(lambda: hub.numbers == [1, 2, 3, 1, 2, 3])
    assert asyncio.get_running_loop().time() - began > RESEND_S / 2


async def test_a_hub_that_goes_on_committing_is_not_sent_the_rest_again(link: Link, outbox: Outbox, hub: Hub) -> None:
    await add(outbox, 2)
    await until(lambda: hub.numbers == [1, 2])
    await asyncio.sleep(RESEND_S / 2)  # the hub's time to answer runs from here on anew
    await hub.commit(outbox.incarnation, 1)
    began = asyncio.get_running_loop().time()
    await until(lambda: hub.numbers == [1, 2, 2])
    assert asyncio.get_running_loop().time() - began > RESEND_S * 0.9


async def test_a_gap_is_closed_at_once_and_only_once(patient: Link, outbox: Outbox, hub: Hub) -> None:
    await add(outbox, 3)
    await until(lambda: hub.numbers == [1, 2, 3])
    hub.windows.clear()
    for _ in range(3):  # one for each window that was in flight behind the gap
        await hub.commit(outbox.incarnation, 1, gap=True)
    await until(lambda: hub.numbers == [2, 3])
    await hub.commit(outbox.incarnation, 3)
    await patient.flushed()
    assert hub.numbers == [2, 3]


async def test_commits_of_another_incarnation_are_not_ours(link: Link, outbox: Outbox, hub: Hub) -> None:
    await add(outbox, 2)
    await hub.commit("another", 2)
    await hub.bus.client.publish(wire.committed_subject("s", "e"), b"no commit")
    await hub.commit(outbox.incarnation, 1)
    await until(lambda: [number for number, _ in outbox.pending] == [2])


async def test_after_an_outage_everything_that_is_not_committed_is_sent(
    link: Link, outbox: Outbox, hub: Hub, server: PrivateNats
) -> None:
    await add(outbox, 2)
    await until(lambda: hub.numbers == [1, 2])
    await server.kill()
    await add(outbox, 2)
    hub.beats.clear()
    await server.start()
    await until(lambda: set(hub.numbers[2:]) == {1, 2, 3, 4})
    await until(lambda: bool(hub.beats))


async def test_heartbeats_name_the_edges(link: Link, hub: Hub) -> None:
    assert hub.beats[0] == wire.Beat()


async def test_what_waited_before_the_start_is_sent(server: PrivateNats, outbox: Outbox, hub: Hub) -> None:
    await add(outbox, 300)
    async with linked(server, outbox):
        await until(lambda: hub.numbers == list(range(1, 301)))


async def test_an_opened_outbox_sends_nothing_before_the_hub_has_said_how_far_it_is(
    server: PrivateNats, copy: Outbox, hub: Hub
) -> None:
    async with linked(server, copy):
        await until(lambda: len(hub.windows) == 1)
        await add(copy, 1)
        await until(lambda: len(hub.windows) == 2)  # unanswered, it asks again
        assert hub.windows == [wire.Window(wire.WIRE_VERSION, "s", "e", copy.incarnation, 1, [])] * 2
        await hub.commit(copy.incarnation, 1)
        await until(lambda: hub.numbers == [2, 3])


async def test_an_older_copy_sends_everything_as_another_incarnation(
    server: PrivateNats, copy: Outbox, hub: Hub
) -> None:
    former = copy.incarnation
    async with linked(server, copy) as link:
        await add(copy, 5)
        await until(lambda: bool(hub.windows))
        hub.windows.clear()
        await hub.commit(former, 4)
        await until(lambda: hub.numbers == [1, 2, 3, 4, 5, 6, 7])
        assert {window.incarnation for window in hub.windows} == {copy.incarnation}
        assert copy.incarnation != former
        await hub.commit(former, 7)
        flushed = asyncio.create_task(link.flushed())
        await hub.commit(copy.incarnation, 6)
        await until(lambda: [number for number, _ in copy.pending] == [7])
        await hub.commit(copy.incarnation, 7)
        await flushed


async def test_a_renewal_forgets_what_was_sent_and_which_gap_was_closed(
    patient: Link, outbox: Outbox, hub: Hub
) -> None:
    await add(outbox, 3)
    await until(lambda: hub.numbers == [1, 2, 3])
    former = outbox.incarnation
    await hub.commit(former, 1, gap=True)
    await until(lambda: hub.numbers == [1, 2, 3, 2, 3])
    hub.windows.clear()
    await hub.commit(former, 9)
    await until(lambda: hub.numbers == [1, 2])
    assert outbox.incarnation != former
    await hub.commit(outbox.incarnation, 1, gap=True)
    await until(lambda: hub.numbers == [1, 2, 2])


async def test_a_disk_that_fails_is_not_asked_about_more_often_than_what_is_unanswered(
    server: PrivateNats, hub: Hub
) -> None:
    disk = Disk()
    async with Outbox(MemoryJournal(disk)) as outbox:
        await add(outbox, 1)
    async with Outbox(MemoryJournal(disk)) as outbox, linked(server, outbox):
        disk.failure = "full"
        await until(lambda: len(hub.windows) == 1)
        await hub.commit(outbox.incarnation, 5)
        began = asyncio.get_running_loop().time()
        await until(lambda: len(hub.windows) == 2)
        assert asyncio.get_running_loop().time() - began > RESEND_S / 2
        disk.failure = None
        await hub.commit(outbox.incarnation, 5)
        await until(lambda: hub.numbers == [1])


async def test_what_a_hub_has_forgotten_ends_the_incarnation(server: PrivateNats, outbox: Outbox, hub: Hub) -> None:
    renewed: list[str] = []
    first = outbox.incarnation
    async with linked(server, outbox, renewed):
        await add(outbox, 3)
        await until(lambda: hub.numbers == [1, 2, 3])
        await hub.commit(first, 3)
        await until(lambda: not outbox.pending)
        await add(outbox, 2, body=b'{"new": 1}')
        await until(lambda: hub.numbers[3:5] == [4, 5])
        await hub.commit(first, 1, gap=True)  # as one whose database was put back
        await until(lambda: not hub.windows[-1].reports)
        assert (hub.windows[-1].incarnation, renewed) == (first, []), "it asks before it believes that"
        await hub.commit(first, 1)
        await until(lambda: bool(renewed) and bool(hub.windows[-1].reports))
        assert renewed == [outbox.incarnation] != [first]
        assert [number for number, _ in outbox.pending] == [1, 2]
        last = hub.windows[-1]
        assert (last.incarnation, last.first, len(last.reports)) == (outbox.incarnation, 1, 2)


async def test_a_late_word_of_a_gap_ends_nothing(server: PrivateNats, outbox: Outbox, hub: Hub) -> None:
    first = outbox.incarnation
    async with linked(server, outbox):
        await add(outbox, 3)
        await until(lambda: hub.numbers == [1, 2, 3])
        await hub.commit(first, 3)
        await until(lambda: not outbox.pending)
        await add(outbox, 1)
        await until(lambda: hub.numbers[-1] == 4)
        await hub.commit(first, 1, gap=True)
        await until(lambda: not hub.windows[-1].reports)
        await hub.commit(first, 3)
        await until(lambda: outbox.confirmed and bool(hub.windows[-1].reports))
        assert (outbox.incarnation, hub.numbers[-1]) == (first, 4)


async def test_an_agent_with_nothing_to_tell_asks_whether_the_hub_still_has_everything(
    server: PrivateNats, outbox: Outbox, hub: Hub
) -> None:
    renewed: list[str] = []
    first = outbox.incarnation
    async with linked(server, outbox, renewed, ask_s=0.5):
        await add(outbox, 3)
        await until(lambda: hub.numbers == [1, 2, 3])
        await hub.commit(first, 3)
        question = wire.Window(wire.WIRE_VERSION, "s", "e", first, 4, [])
        await until(lambda: hub.windows[-2:] == [question] * 2)  # again, though the first is not answered
        await hub.commit(first, 3)
        await until(lambda: hub.windows[-3:] == [question] * 3)
        assert outbox.confirmed, "it doubts nothing by itself"
        await hub.commit(first, 1, gap=True)
        await until(lambda: hub.windows[-1].first == 1)
        await hub.commit(first, 1)
        await until(lambda: bool(renewed))
        assert renewed == [outbox.incarnation] != [first]


async def test_what_is_told_and_taken_in_is_not_asked_about(link: Link, outbox: Outbox, hub: Hub) -> None:
    await add(outbox, 3)
    await until(lambda: hub.numbers == [1, 2, 3])
    await hub.commit(outbox.incarnation, 3)
    await asyncio.sleep(1.5 * RESEND_S)
    assert [window for window in hub.windows if not window.reports] == []
