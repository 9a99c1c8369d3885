"""After a cut: what an edge has to tell comes first, what the hub wants of it next, and only then what is new."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec
import pytest

from agents.link import ASK_S, Link
from agents.loop import Agent
from agents.memory_journal import Disk, MemoryJournal
from agents.outbox import Outbox
from agents.runtimes.simulated import SimulatedRuntime
from agents.runtimes.supply import Constant
from agents.session import Session
from datamodel.feed.memory import MemoryFeed, MemoryMessages, MemoryStreams
from datamodel.ports import Message
from datamodel.scheduling import wire
from tests.integration.test_agent_alone import NAME, TOMBSTONE, Alone, message
from tests.waiting import until

LONG_WS = 1e9


class Line(MemoryMessages):
    """A connection that can be cut, with a hub behind it that takes everything when it is told to answer."""

    def __init__(self) -> None:
        super().__init__()
        self.connected = True
        self.answers = True
        self.takes = 10**9
        """So many reports are committed, and no more."""
        self.told: list[str] = []
        self.introduced: list[str] = []
        self.taken: dict[str, int] = {}
        """Up to which number it has the reports of each incarnation."""
        self._reconnected: list[object] = []

    async def publish(self, subject: str, body: bytes) -> None:
        if not self.connected or not subject.startswith("report."):
            return
        window = wire.decode_window(body)
        taken = self.taken.get(window.incarnation, 0)
        for number, raw in enumerate(window.reports, window.first):
            if number == taken + 1 <= self.takes and self.answers:
                taken = number
                report = wire.decode_report(raw)
                if isinstance(report, wire.AttemptReport):
                    self.told.append(f"{report.attempt} {report.phase}")
                else:
                    self.introduced.append(report.edge)
        if self.answers:
            self.taken[window.incarnation] = taken
            answer = wire.encode(wire.Committed(window.incarnation, taken, window.first > taken + 1))
            asyncio.get_running_loop().call_soon(self._arrive, answer)

    def on_reconnect(self, call: object) -> None:
        self._reconnected.append(call)

    def mend(self) -> None:
        self.connected = True
        for call in self._reconnected:
            assert callable(call)
            call()

    def _arrive(self, answer: bytes) -> None:
        for received in self.listeners(wire.committed_subject("s", "e")):
            received(wire.committed_subject("s", "e"), answer)


@asynccontextmanager
async def linked(line: Line, *edges: wire.EdgeReport, ask_s: float = ASK_S) -> AsyncIterator[Alone]:
    runtime = SimulatedRuntime(Constant(100.0))
    async with Outbox(MemoryJournal(Disk())) as outbox:
        agent = Agent(runtime, outbox, edges)
        feed = MemoryFeed(MemoryStreams())
        session = Session(outbox)
        link = Link(line, feed, outbox, "s", "e", ["e"], session=session, resend_s=0.2, cut_s=0.5, ask_s=ask_s)
        tasks = [asyncio.create_task(agent.run()), asyncio.create_task(link.run(lambda _: None, agent.tell_anew))]
        try:
            yield Alone(agent, outbox, runtime)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await runtime.close()


def _edge() -> wire.EdgeReport:
    return wire.EdgeReport("e", datetime.now(UTC), 1.0, 2**30, 9.0, "simulated", "1")


def another(name: str, **asked: float) -> Message:
    found = message(**asked)  # type: ignore[arg-type]
    return msgspec.structs.replace(found, path=found.path.replace(NAME, name), uid=name)


async def test_what_waits_is_told_before_anything_new_is_begun() -> None:
    line = Line()
    async with linked(line) as one:
        one.show(message(work_ws=30.0))
        await until(lambda: line.told == [f"{NAME} running"])
        line.connected = False
        await until(lambda: not one.runtime._attempts, timeout_s=30.0)
        assert one.outbox.pending, "it has ended, and nobody could be told"
        line.answers = False
        line.mend()
        one.agent.deliver(another("new-0-1", work_ws=LONG_WS))
        await asyncio.sleep(0.5)
        assert "new-0-1" not in one.runtime._attempts
        line.answers = True
        await until(lambda: "new-0-1" in one.runtime._attempts)
        assert line.told[:2] == [f"{NAME} running", f"{NAME} succeeded"]


async def test_so_it_is_when_the_hub_is_heard_again_though_the_connection_was_there() -> None:
    """It is to a server of the site, and that one's line was cut."""
    line = Line()
    async with linked(line) as one:
        one.show(message(work_ws=30.0))
        await until(lambda: one.told == [] and bool(line.told))
        line.answers = False
        await until(lambda: not one.runtime._attempts, timeout_s=5.0)
        edge = wire.encode(_edge())
        for _ in range(5):
            await one.outbox.add(edge)
        await asyncio.sleep(1.0)
        assert not one.outbox.owes, "what was wanted before is begun while it is cut off"
        line.takes, line.answers = 3, True
        await until(lambda: one.outbox.owes)
        one.agent.deliver(another("new-0-1", work_ws=LONG_WS))
        await asyncio.sleep(0.5)
        assert "new-0-1" not in one.runtime._attempts
        line.takes = 10**9
        await until(lambda: "new-0-1" in one.runtime._attempts)


async def test_while_it_is_cut_off_it_begins_what_was_wanted_before() -> None:
    line = Line()
    async with linked(line) as one:
        one.show()
        line.connected = False
        one.agent.deliver(message(work_ws=30.0))
        await until(lambda: one.told == ["running", "succeeded"])
        assert not line.told
        line.mend()
        await until(lambda: line.told == [f"{NAME} running", f"{NAME} succeeded"])


@pytest.mark.parametrize("answer", ["keep", "stop", "gone", "unknown"])
async def test_the_present_says_of_each_attempt_whether_it_stays(answer: str) -> None:
    """`gone`: its node was deleted meanwhile. `unknown`: the hub, put back to before it was placed, has never heard of it."""
    line = Line()
    async with linked(line) as one:
        one.show(message(work_ws=LONG_WS))
        await until(lambda: line.told == [f"{NAME} running"])
        line.connected = False
        await asyncio.sleep(0.05)
        line.mend()
        if answer == "keep":
            one.show(message("running", work_ws=LONG_WS))
        elif answer == "stop":
            one.show(message("running", work_ws=LONG_WS, intent="abandon", generation=2))
        elif answer == "gone":
            one.agent.deliver(TOMBSTONE)
        else:
            one.show()
        if answer == "keep":
            await asyncio.sleep(0.5)
            assert NAME in one.runtime._attempts
            assert line.told == [f"{NAME} running"]
            return
        await until(lambda: not one.runtime._attempts)
        told = {"stop": [f"{NAME} running", f"{NAME} stopped"]}.get(answer, [f"{NAME} running"])
        await until(lambda: line.told == told)


async def test_a_database_that_was_put_back_unseen_is_told_again_how_an_attempt_ended() -> None:
    """The feed goes on as it was, since the relay had not told what is lost now, and the agent has nothing else to tell."""
    line = Line()
    async with linked(line, ask_s=0.5) as one:
        one.show(message(work_ws=30.0))
        await until(lambda: line.told == [f"{NAME} running"])
        one.agent.deliver(message("running", work_ws=30.0))
        await until(lambda: line.told == [f"{NAME} running", f"{NAME} succeeded"])
        await until(lambda: not one.outbox.pending and not one.runtime._attempts)
        former = one.outbox.incarnation
        line.taken[former] = 1
        await until(lambda: len(line.told) == 3)
        assert line.told[2] == f"{NAME} interrupted"
        assert one.outbox.incarnation != former


async def test_a_database_that_was_put_back_unseen_to_before_it_knew_the_edge_is_told_of_it_again() -> None:
    line = Line()
    async with linked(line, _edge(), ask_s=0.5) as one:
        await until(lambda: line.introduced == ["e"] and not one.outbox.pending)
        line.taken.clear()
        await until(lambda: line.introduced == ["e", "e"])
