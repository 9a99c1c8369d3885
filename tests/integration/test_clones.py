"""Agents of one name: restarted, put back to an older copy, and run twice from copies of one disk, at hubs of any version."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
import pytest
import pytest_asyncio

from agents.link import Link
from agents.memory_journal import Content, Disk, MemoryJournal
from agents.outbox import Outbox
from agents.session import Session
from datamodel.feed.memory import MemoryFeed, MemoryMessages, MemoryStreams
from datamodel.memory import MemoryStore
from datamodel.node import Node
from datamodel.scheduling import windows, wire
from datamodel.scheduling.edges import inventory_path
from datamodel.seeds import seed
from reconcilers import boots
from tests.golden.wire.record import Connection
from tests.graph import memory_store, new_edge, new_job, place, present
from tests.unit.test_golden_wire import hub
from tests.waiting import eventually, until

EDGE = inventory_path("s", "agent")


class Agent:
    """One process: its outbox, its link, and what it has said."""

    def __init__(self, messages: MemoryMessages, outbox: Outbox, link: Link, session: Session) -> None:
        self.messages, self.outbox, self.link, self.session = messages, outbox, link, session

    async def tell(self, path: str, phase: str, **more: object) -> None:
        body = {"type": "attempt", "edge": "agent", "attempt": path.rpartition("/")[2], "phase": phase}
        await self.outbox.add(json.dumps({**body, "at": "2030-01-01T00:00:00Z", **more}).encode())

    async def committed(self) -> None:
        await until(lambda: not self.outbox.pending)


@asynccontextmanager
async def running(
    messages: MemoryMessages, disk: Disk, *, host: str = "h", resend_s: float = 0.3
) -> AsyncIterator[Agent]:
    """Killed in the end."""
    outbox = Outbox(MemoryJournal(disk))
    await outbox.__aenter__()
    session = Session(outbox, host=host)
    line = Connection(messages)
    link = Link(line, MemoryFeed(MemoryStreams()), outbox, "s", "agent", ["agent"], resend_s=resend_s, session=session)
    task = asyncio.create_task(link.run(lambda _: None, lambda: None))
    try:
        yield Agent(messages, outbox, link, session)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        line.leave()
        disk.crash()


@pytest_asyncio.fixture
async def store() -> MemoryStore:
    store = memory_store()
    await seed(store)
    await new_edge(store, "agent")
    return store


@pytest_asyncio.fixture
async def messages(store: MemoryStore) -> AsyncIterator[MemoryMessages]:
    messages = MemoryMessages()
    async with hub(store, messages):
        yield messages


@pytest_asyncio.fixture
async def job(store: MemoryStore) -> Node:
    return await new_job(store, chunks=4)


async def put(store: MemoryStore, job: Node, index: int) -> str:
    return await place(store, job, index=index, edge="agent")


async def test_a_restart_follows_the_one_before_it_and_keeps_its_outbox(
    store: MemoryStore, messages: MemoryMessages, job: Node
) -> None:
    disk, starts, incarnations = Disk(), list[int](), set[str]()
    for index in range(3):
        path = await put(store, job, index)
        async with running(messages, disk) as agent:
            await agent.tell(path, "succeeded")
            await agent.committed()
            assert agent.session.version == 2
            starts.append(agent.session.boot)
            incarnations.add(agent.outbox.incarnation)
        assert (await store.marks(["s/agent"])) == {"s/agent": starts[-1]}
    assert starts == sorted(set(starts))
    assert len(incarnations) == 1
    assert "clone" not in (await present(store, EDGE)).status


async def test_a_copy_that_is_put_back_becomes_another_outbox_and_loses_nothing(
    store: MemoryStore, messages: MemoryMessages, job: Node
) -> None:
    disk = Disk()
    async with running(messages, disk) as agent:
        await agent.tell(await put(store, job, 0), "succeeded")
        await agent.committed()
        former = agent.outbox.incarnation
    copy = disk.content
    async with running(messages, disk) as agent:
        await agent.tell(await put(store, job, 1), "succeeded")
        await agent.committed()
        assert agent.outbox.incarnation == former
    disk.put_back(copy)
    async with running(messages, disk) as agent:
        path = await put(store, job, 2)
        await agent.tell(path, "succeeded")
        await agent.committed()
        assert agent.outbox.incarnation != former
        assert not agent.session.fenced
        assert (await present(store, path)).phase == "succeeded"


@pytest.mark.parametrize("same_time", [False, True])
async def test_of_two_that_run_from_copies_the_last_one_is_believed_and_neither_swallows_the_others_reports(
    store: MemoryStore, messages: MemoryMessages, job: Node, *, same_time: bool
) -> None:
    disk = Disk()
    async with running(messages, disk) as first:
        await first.tell(await put(store, job, 0), "succeeded")
        await first.committed()
    clone = Disk(disk.content)
    paths = [await put(store, job, index) for index in (1, 2, 3)]
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running(messages, disk))
        await first.tell(paths[0], "running")
        if not same_time:
            await first.committed()
        second = await stack.enter_async_context(running(messages, clone))
        await second.tell(paths[1], "succeeded")
        await until(lambda: first.session.fenced or second.session.fenced)
        loser, winner = (first, second) if first.session.fenced else (second, first)
        if not same_time:
            assert loser is first
        await winner.committed()
        await loser.tell(paths[2], "failed", exitCodes=[1])
        await asyncio.sleep(0.5)
        assert loser.outbox.pending, "what it has to tell stays on its disk"
        assert not loser.session.believed
        assert winner.session.believed
        assert (await present(store, paths[2])).phase == ""
        lost = disk if loser is first else clone
    async with running(messages, lost) as again:
        await again.committed()
        assert (await present(store, paths[2])).phase == "failed", (
            "it was not swallowed, and is told by who is believed"
        )
    assert {(await present(store, path)).phase for path in paths[:2]} <= {"running", "succeeded"}
    assert (await present(store, paths[1])).phase == "succeeded"


async def test_operators_are_shown_a_clone_until_it_is_gone(
    store: MemoryStore, messages: MemoryMessages, job: Node
) -> None:
    disk = Disk()
    async with running(messages, disk) as first:
        await first.tell(await put(store, job, 0), "succeeded")
        await first.committed()
    window = windows.Window(2, "s", "agent", "i", 1, [], boot=1, after=windows.NO_BOOT, host="an old host")
    await messages.publish(wire.report_subject("s", "agent"), wire.encode(window))
    await asyncio.sleep(0.2)
    assert "clone" not in (await present(store, EDGE)).status, "it may have been sent before the newest was started"
    await asyncio.sleep(boots.LATE_S)
    await messages.publish(wire.report_subject("s", "agent"), wire.encode(window))

    async def is_shown() -> bool:
        return bool((await present(store, EDGE)).status.get("clone", {}).get("host") == "an old host")

    await eventually(is_shown)
    async with running(messages, disk) as agent:
        await agent.tell(await put(store, job, 1), "succeeded")
        await agent.committed()

    async def is_cleared() -> bool:
        return "clone" not in (await present(store, EDGE)).status

    await eventually(is_cleared)


async def test_a_late_window_of_a_program_that_is_gone_takes_nothing_over(
    store: MemoryStore, messages: MemoryMessages, job: Node
) -> None:
    disk, sent = Disk(), list[bytes]()
    await messages.subscribe(wire.report_subject("s", "agent"), lambda _, body: sent.append(body))
    for index in range(2):
        async with running(messages, disk) as agent:
            await agent.tell(await put(store, job, index), "succeeded")
            await agent.committed()
            newest = agent.session.boot
    async with running(messages, disk) as agent:
        await agent.tell(await put(store, job, 2), "succeeded")
        await agent.committed()
        newest = agent.session.boot
        for body in tuple(sent):
            await messages.publish(wire.report_subject("s", "agent"), body)
        await agent.tell(await put(store, job, 3), "succeeded")
        await agent.committed()
        assert not agent.session.fenced
    assert await store.marks(["s/agent"]) == {"s/agent": newest}


async def test_a_database_that_was_put_back_is_told_the_start_again(
    store: MemoryStore, messages: MemoryMessages, job: Node
) -> None:
    """Played by its mark: the hub holds an older start than the one that it had taken in."""
    disk = Disk()
    async with running(messages, disk) as agent:
        await agent.tell(await put(store, job, 0), "succeeded")
        await agent.committed()
        boot = agent.session.boot
        answer = wire.Committed(agent.outbox.incarnation, 1, gap=False, speaks=windows.SPEAKS, boot=boot - 1)
        await messages.publish(wire.committed_subject("s", "agent"), wire.encode(answer))
        assert not agent.session.fenced
        await agent.tell(await put(store, job, 1), "succeeded")
        await agent.committed()
        assert agent.session.boot == boot


async def test_a_hub_that_has_forgotten_a_start_is_told_of_it_again(store: MemoryStore, job: Node) -> None:
    """Its database was put back to before the agent was started, which goes on speaking."""
    messages = MemoryMessages()
    async with running(messages, Disk()) as agent:
        async with hub(store, messages):
            await agent.tell(await put(store, job, 0), "succeeded")
            await agent.committed()
        boot = agent.session.boot
        store._marks["s/agent"] = 5
        async with hub(store, messages):
            path = await put(store, job, 1)
            await agent.tell(path, "succeeded")
            await agent.committed()
        assert agent.session.boot == boot
        assert (await present(store, path)).phase == "succeeded"
    assert (await store.marks(["s/agent"])) == {"s/agent": boot}


@pytest.mark.parametrize("reports", [True, False], ids=["reports", "has nothing to report"])
async def test_a_hub_that_runs_on_while_its_database_is_put_back_is_told_of_a_start_again(
    store: MemoryStore, messages: MemoryMessages, job: Node, *, reports: bool
) -> None:
    """It remembers the start; who reads the mark, to let attempts run, does not, and says which it found."""
    async with running(messages, Disk()) as agent:
        path = await put(store, job, 0)
        await agent.tell(path, "succeeded")
        await agent.committed()
        boot = agent.session.boot
        store._marks = {"s/agent": 5}

        async def told_again() -> bool:
            return (await store.marks(["s/agent"]))["s/agent"] == boot

        if reports:
            await agent.tell(path, "succeeded")
        else:
            word = wire.Committed("", 0, speaks=windows.SPEAKS, boot=5)
            await messages.publish(wire.committed_subject("s", "agent"), wire.encode(word))
        await eventually(told_again)
        assert agent.session.boot == boot


class FormerHub:
    """Answers as that of version 1 did, and says so of every window that it cannot read."""

    def __init__(self, messages: MemoryMessages) -> None:
        self.messages = messages
        self.taken: list[bytes] = []
        self.unread = 0
        self.answers = True

    def on_window(self, _: str, body: bytes) -> None:
        if not self.answers:
            return
        try:
            window = wire.decode_window(body)
        except wire.UNREADABLE:
            self.unread += 1
            return
        for number, report in enumerate(window.reports, window.first):
            if number == len(self.taken) + 1:
                self.taken.append(bytes(report))
        answer = {"incarnation": window.incarnation, "through": len(self.taken), "gap": False}
        asyncio.get_running_loop().create_task(
            self.messages.publish(wire.committed_subject("s", "agent"), msgspec.json.encode(answer))
        )


async def test_a_hub_that_is_older_or_becomes_so_is_told_in_its_version(job: Node, store: MemoryStore) -> None:
    messages = MemoryMessages()
    former = FormerHub(messages)
    former.answers = False
    await messages.subscribe(wire.report_subject("s", "agent"), former.on_window)
    disk = Disk(Content("i", {}, 0))
    async with running(messages, disk) as agent:
        async with hub(store, messages):
            await agent.tell(await put(store, job, 0), "running")
            await agent.committed()
            assert agent.session.version == 2
        former.taken, former.answers = [b""], True
        await agent.tell("/x/b", "running")
        await agent.committed()
        assert agent.session.version == 1
        assert former.unread, "it was spoken to by the version of the hub before, until nobody answered"
        assert len(former.taken) == 2


def test_the_highest_common_version_is_spoken() -> None:
    assert windows.common(()) == 1
    assert windows.common((1, 2)) == 2
    assert windows.common((1, 2, 3)) == 2
    assert windows.common((2, 3)) == 2
    assert windows.common((7,)) == 1


def test_a_report_of_a_newer_agent_is_read_by_what_is_known_of_it() -> None:
    body = b'{"type":"attempt","edge":"e","attempt":"a","phase":"running","at":"2030-01-01T00:00:00Z","mood":"good"}'
    with pytest.raises(wire.UNREADABLE):
        windows.decode_report(body, 1)
    report = windows.decode_report(body, 2)
    assert isinstance(report, wire.AttemptReport)
    assert report.phase == "running"
    window = {
        "version": 2,
        "site": "s",
        "agent": "e",
        "incarnation": "i",
        "first": 1,
        "reports": [],
        "boot": 5,
        "mood": 1,
    }
    read = windows.decode_window(msgspec.json.encode(window))
    assert isinstance(read, windows.Window)
    assert (read.boot, read.after) == (5, windows.NO_BOOT)
    for version in (0, 3):
        with pytest.raises(wire.UNREADABLE):
            windows.decode_window(msgspec.json.encode({**window, "version": version}))
    with pytest.raises(wire.UNREADABLE):
        windows.decode_window(msgspec.json.encode({**window, "version": 1}))


def test_boots_grow_and_two_starts_from_one_disk_differ() -> None:
    known: list[int] = []
    for luck in itertools.islice(itertools.cycle([2**32 - 1, 0, 7]), 30):
        boot = windows.next_boot(known, luck)
        assert boot > max(known, default=0)
        known.append(boot)
    assert windows.next_boot(known, 1) != windows.next_boot(known, 2)
