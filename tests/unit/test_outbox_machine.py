"""The outbox against a hub and a disk that are plain dictionaries: whatever fails, nothing that was added is swallowed.

The machine plays everything around the outbox: the link, the hub, the disk, and a process that crashes. Every report is
another number, in the order in which they are added, so what became of each can be told.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Literal, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agents.journal import Found
from agents.memory_journal import Content, Disk, MemoryJournal
from agents.outbox import Outbox
from datamodel.errors import Transient

FORGET_REPORTS = 3
IN_FLIGHT = 8
ROUNDS = 4
"""To deliver everything: a question and its answer, for both incarnations, then the reports."""


class HeldUp:
    """A journal that can be held up before or after what it does."""

    def __init__(self, disk: Disk) -> None:
        self._journal = MemoryJournal(disk, forget_reports=FORGET_REPORTS)
        self._goes = asyncio.Event()
        self._stops: Literal["before", "after"] | None = None

    def hold_up(self, stops: Literal["before", "after"]) -> None:
        self._stops = stops
        self._goes.clear()

    def let_go(self) -> None:
        self._stops = None
        self._goes.set()

    async def open(self) -> Found | None:
        return await self._journal.open()

    async def begin(self, incarnation: str, bodies: Sequence[bytes], *, boot: int | None = None) -> None:
        await self._wait("before")
        await self._journal.begin(incarnation, bodies, boot=boot)
        await self._wait("after")

    async def take(self, boot: int) -> None:
        await self._wait("before")
        await self._journal.take(boot)
        await self._wait("after")

    async def write(
        self, first: int, bodies: Sequence[bytes], *, forget_through: int, unconfirmed_after: int | None
    ) -> None:
        await self._wait("before")
        await self._journal.write(first, bodies, forget_through=forget_through, unconfirmed_after=unconfirmed_after)
        await self._wait("after")

    async def check(self) -> None:
        await self._journal.check()

    async def close(self, forget_through: int) -> None:
        await self._journal.close(forget_through)

    async def _wait(self, step: Literal["before", "after"]) -> None:
        if self._stops == step:
            await self._goes.wait()


class Process(NamedTuple):
    """One life of the agent."""

    journal: HeldUp
    outbox: Outbox


class Window(NamedTuple):
    incarnation: str
    first: int
    bodies: list[bytes]


class Answer(NamedTuple):
    incarnation: str
    through: int


class World(RuleBasedStateMachine):
    """One agent, its disk and the hub.

    What is on its way when an older copy is put back is lost: no answer to the former process reaches the one on the copy.
    And copies are put back in one direction: the ones that are newer than the one put back are of a past that never was.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.disk = Disk()
        self.process: Process | None = None
        self.incarnations = 0
        self.added = 0
        self.adding: list[asyncio.Task[None]] = []
        self.owed: set[bytes] = set()
        """What must not get lost: acknowledged, and still there when an older copy was put back."""
        self.taken: dict[str, list[bytes]] = {}
        """What the hub has of each incarnation; the mark is its length."""
        self.windows: list[Window] = []
        self.answers: list[Answer] = []
        self.copies: list[Content] = []
        self.bodies: dict[tuple[str, int], bytes] = {}
        """What was ever pending under an incarnation and number."""
        self.start()

    def teardown(self) -> None:
        self.deliver_everything()
        assert self.process is not None
        self.run(self.process.outbox.__aexit__())
        self.loop.close()

    @precondition(lambda self: self.process is None)
    @rule()
    def start(self) -> None:
        journal = HeldUp(self.disk)
        outbox = Outbox(journal, self.new_incarnation)
        try:
            self.run(outbox.__aenter__())
        except Transient:
            assert not self.disk.held
        else:
            self.process = Process(journal, outbox)

    @precondition(lambda self: self.process is not None)
    @rule(count=st.integers(1, 4))
    def add(self, count: int) -> None:
        assert self.process is not None
        for _ in range(count):
            self.added += 1
            self.adding.append(self.loop.create_task(self.acknowledge(self.process, b"%d" % self.added)))
        self.settle()

    @rule(failure=st.sampled_from(["full", "sync", None]))
    def fail(self, failure: Literal["full", "sync"] | None) -> None:
        self.disk.failure = failure

    @precondition(lambda self: self.process is not None)
    @rule(stops=st.sampled_from(["before", "after", None]))
    def hold_up(self, stops: Literal["before", "after"] | None) -> None:
        assert self.process is not None
        if stops is None:
            self.process.journal.let_go()
            self.settle()
        else:
            self.process.journal.hold_up(stops)

    @precondition(lambda self: self.process is not None)
    @rule(unsynced=st.booleans())
    def crash(self, unsynced: bool) -> None:  # noqa: FBT001 - drawn by name
        assert self.process is not None
        process, self.process = self.process, None
        self.disk.crash(unsynced=unsynced)
        process.journal.let_go()
        self.settle()

    @precondition(lambda self: self.process is not None)
    @rule()
    def stop(self) -> None:
        assert self.process is not None
        self.process.journal.let_go()
        self.settle()
        self.run(self.process.outbox.__aexit__())
        self.process = None

    @precondition(lambda self: self.process is not None and self.process.outbox.pending)
    @rule(skipped=st.sampled_from([0, 0, 0, 1, 2]), count=st.integers(1, 4))
    def send(self, skipped: int, count: int) -> None:
        self.windows = [*self.windows, self.window(skipped, count)][-IN_FLIGHT:]

    @precondition(lambda self: self.windows)
    @rule(data=st.data(), again=st.booleans())
    def arrive(self, data: st.DataObject, again: bool) -> None:  # noqa: FBT001 - drawn by name
        index = data.draw(st.integers(0, len(self.windows) - 1))
        window = self.windows[index] if again else self.windows.pop(index)
        self.answers = [*self.answers, self.take(window)][-IN_FLIGHT:]

    @precondition(lambda self: self.process is not None and self.answers)
    @rule(data=st.data(), again=st.booleans())
    def answer(self, data: st.DataObject, again: bool) -> None:  # noqa: FBT001 - drawn by name
        index = data.draw(st.integers(0, len(self.answers) - 1))
        self.tell(self.answers[index] if again else self.answers.pop(index))

    @precondition(lambda self: self.disk.content is not None)
    @rule()
    def copy(self) -> None:
        assert self.disk.content is not None
        self.copies.append(self.disk.content)

    @precondition(lambda self: self.copies)
    @rule(data=st.data())
    def put_back(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.copies) - 1))
        copy = self.copies[index]
        self.lose()
        self.copies = self.copies[: index + 1]
        self.disk.put_back(copy)
        self.owed = set(copy.reports.values())
        self.bodies = {
            key: body for key, body in self.bodies.items() if key[0] != copy.incarnation or key[1] <= copy.last
        }

    @rule()
    def lose(self) -> None:
        if self.process is not None:
            self.crash(unsynced=False)
        self.disk.put_back(None)
        self.owed.clear()
        self.windows.clear()
        self.answers.clear()

    @invariant()
    def nothing_is_swallowed(self) -> None:
        taken = {body for bodies in self.taken.values() for body in bodies}
        on_disk = set(self.disk.content.reports.values()) if self.disk.content is not None else set()
        assert self.owed <= taken | on_disk
        if self.process is not None:
            assert self.owed <= taken | {body for _, body in self.process.outbox.pending}

    @invariant()
    def what_is_pending_is_dense_and_in_order(self) -> None:
        if self.process is not None and self.process.outbox.pending:
            numbers, bodies = zip(*self.process.outbox.pending, strict=True)
            assert numbers == tuple(range(numbers[0], numbers[0] + len(numbers)))
            assert list(map(int, bodies)) == sorted(set(map(int, bodies)))

    @invariant()
    def a_number_has_one_body(self) -> None:
        if self.process is None:
            return
        outbox = self.process.outbox
        taken = self.taken.get(outbox.incarnation, [])
        for number, body in outbox.pending:
            assert self.bodies.setdefault((outbox.incarnation, number), body) == body
            assert not outbox.confirmed or number > len(taken) or taken[number - 1] == body

    def deliver_everything(self) -> None:
        """When nothing fails any more, all that is pending gets to the hub."""
        self.fail(None)
        if self.process is None:
            self.start()
        self.hold_up(None)
        assert self.process is not None
        outbox = self.process.outbox
        for _ in range(ROUNDS):
            if outbox.pending:
                self.tell(self.take(self.window(0, len(outbox.pending))))
        assert not outbox.pending
        self.nothing_is_swallowed()

    def window(self, skipped: int, count: int) -> Window:
        """What the link may send."""
        assert self.process is not None
        outbox = self.process.outbox
        reports = list(outbox.pending)[skipped:][:count]
        if not outbox.confirmed or not reports:
            return Window(outbox.incarnation, 1, [])
        return Window(outbox.incarnation, reports[0][0], [body for _, body in reports])

    def take(self, window: Window) -> Answer:
        """What the hub does with a window."""
        taken = self.taken.setdefault(window.incarnation, [])
        if window.first <= len(taken) + 1:
            taken.extend(window.bodies[len(taken) + 1 - window.first :])
        return Answer(window.incarnation, len(taken))

    def tell(self, answer: Answer) -> None:
        assert self.process is not None
        if answer.incarnation == self.process.outbox.incarnation:
            self.loop.call_soon(self.process.outbox.committed, answer.through)
            self.settle()

    def new_incarnation(self) -> str:
        self.incarnations += 1
        return f"i{self.incarnations}"

    async def acknowledge(self, process: Process, body: bytes) -> None:
        try:
            await process.outbox.add(body)
        except Transient:
            return
        if process is self.process:
            self.owed.add(body)

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        self.loop.run_until_complete(work)

    def settle(self) -> None:
        """Lets everything go on that does not wait for the journal."""
        for _ in range(5):
            self.run(asyncio.sleep(0))


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
