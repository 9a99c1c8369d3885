"""Leases at the edge, end to end: an attempt runs while the hub says so, and its guard ends it, also with its agent dead."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agents.leases import Leases
from agents.link import Link
from agents.loop import Agent
from agents.memory_journal import Disk, MemoryJournal
from agents.outbox import Outbox
from agents.runtimes.process import lease
from agents.runtimes.process.record import read
from agents.runtimes.process.runtime import ProcessRuntime
from agents.runtimes.protocol import LogPage, Runtime, Step, Work
from agents.runtimes.reasons import LEASE_OVER
from agents.runtimes.simulated import SimulatedRuntime
from agents.runtimes.supply import Constant
from agents.session import Session, boottime_s
from datamodel.feed.memory import MemoryFeed, MemoryMessages, MemoryStreams
from datamodel.scheduling import leases as words
from datamodel.scheduling import windows, wire
from tests.integration.test_agent_alone import NAME, Alone, message
from tests.waiting import eventually, until

LEASE_S = 3.0
_AGENT = """
import asyncio, pathlib, sys, time
from agents.runtimes.process.runtime import ProcessRuntime
from agents.runtimes.protocol import Step, Work

async def main() -> None:
    runtime = ProcessRuntime(site="s", edges=["e"], state_dir=pathlib.Path(sys.argv[1]))
    await runtime.open(lambda attempt: None)
    await runtime.lease("attempt", time.clock_gettime(time.CLOCK_BOOTTIME) + float(sys.argv[2]))
    step = Step("run", "", "trap '' TERM; (trap '' TERM; sleep 600) & while true; do sleep 0.05; done")
    await runtime.start_step(Work("s", "e", "attempt", (step,), {}, lease_s=float(sys.argv[2])), 0)
    print("started", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


class Hub(MemoryMessages):
    """Believes the agent, takes all that it tells, and grants leases while it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.grants = True
        self.asked: list[words.LeaseAsk] = []
        self.told: list[wire.AttemptReport] = []
        self._taken = self._boot = 0

    async def publish(self, subject: str, body: bytes) -> None:
        if subject.startswith("report."):
            self._take(windows.decode_window(body))
        elif subject.startswith("lease."):
            ask = words.decode_ask(body)
            self.asked.append(ask)
            if self.grants:
                answer = words.LeaseAnswer(ask.number, {held.attempt: LEASE_S for held in ask.attempts})
                self._say(words.answer_subject("s", "e"), words.encode(answer))

    def _take(self, window: wire.Window) -> None:
        if isinstance(window, windows.Window) and window.after == self._boot:
            self._boot = window.boot
        for number, raw in enumerate(window.reports, window.first):
            if number == self._taken + 1:
                self._taken = number
                report = wire.decode_report(raw)
                if isinstance(report, wire.AttemptReport):
                    self.told.append(report)
        answer = wire.Committed(window.incarnation, self._taken, speaks=windows.SPEAKS, boot=self._boot)
        self._say(wire.committed_subject("s", "e"), wire.encode(answer))

    def _say(self, subject: str, body: bytes) -> None:
        for received in self.listeners(subject):
            asyncio.get_running_loop().call_soon(received, subject, body)


@asynccontextmanager
async def running(hub: Hub, runtime: Runtime) -> AsyncIterator[Alone]:
    async with Outbox(MemoryJournal(Disk())) as outbox:
        session = Session(outbox)
        leases = Leases(hub, session, runtime, "s", "e")
        agent = Agent(runtime, outbox, [], leases=leases)
        link = Link(hub, MemoryFeed(MemoryStreams()), outbox, "s", "e", ["e"], session=session)
        tasks = [asyncio.create_task(agent.run()), asyncio.create_task(link.run(lambda _: None, agent.tell_anew))]
        await outbox.add(wire.encode(registration()))
        await until(lambda: session.believed)
        try:
            yield Alone(agent, outbox, runtime)  # type: ignore[arg-type]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await runtime.close()


def registration() -> wire.EdgeReport:
    body = b'{"type":"edge","edge":"e","at":"2030-01-01T00:00:00Z","cpu":1,"memoryBytes":1,"powerW":1,'
    found = wire.decode_report(body + b'"runtime":"simulated","agentVersion":"1"}')
    assert isinstance(found, wire.EdgeReport)
    return found


async def test_it_runs_as_long_as_the_hub_says_so_and_no_longer() -> None:
    hub, runtime = Hub(), SimulatedRuntime(Constant(100.0))
    async with running(hub, runtime) as one:
        one.show(message(work_ws=1e9, leaseS=LEASE_S))
        await until(lambda: bool(hub.told))
        await asyncio.sleep(LEASE_S + 1.0)
        assert NAME in runtime._attempts, "its lease was renewed"
        assert {ask.boot for ask in hub.asked} == {one.agent._starting._leases._session.boot}  # type: ignore[union-attr]
        hub.grants = False
        asked_s = time.monotonic()
        await until(lambda: hub.told[-1].phase == "interrupted", timeout_s=LEASE_S + 3.0)
        assert time.monotonic() - asked_s < LEASE_S + 1.0
        assert hub.told[-1].reason == LEASE_OVER


async def test_nothing_is_started_without_a_lease() -> None:
    hub, runtime = Hub(), SimulatedRuntime(Constant(100.0))
    hub.grants = False
    async with running(hub, runtime) as one:
        one.show(message(work_ws=10.0, leaseS=LEASE_S))
        await until(lambda: len(hub.asked) > 1)
        assert not runtime._attempts
        hub.grants = True
        await until(lambda: [report.phase for report in hub.told][-1:] == ["succeeded"])
        asked = len(hub.asked)
        one.show()
        await asyncio.sleep(LEASE_S)
        assert len(hub.asked) <= asked + 1, "what is over is not asked for"


async def test_what_the_hub_knows_to_be_over_is_not_asked_for() -> None:
    hub, runtime = Hub(), SimulatedRuntime(Constant(100.0))
    async with running(hub, runtime) as one:
        one.show(message(work_ws=10.0, leaseS=LEASE_S))
        await until(lambda: [report.phase for report in hub.told][-1:] == ["succeeded"])
        await until(lambda: not runtime._attempts and not one.outbox.pending)
        one.agent.deliver(message("succeeded", work_ws=10.0, leaseS=LEASE_S))
        asked = len(hub.asked)
        await asyncio.sleep(LEASE_S)
        assert len(hub.asked) <= asked + 1


async def test_an_agent_that_is_told_to_stop_ends_it_before_it_says_so() -> None:
    """The chunk begins elsewhere as soon as the hub knows."""
    hub, running_when_told = Hub(), list[bool]()

    class Slow(SimulatedRuntime):
        async def stop(self, attempt: str, grace_s: float) -> None:
            await asyncio.sleep(0.5)
            running_when_told.append(any(report.phase == "interrupted" for report in hub.told))
            await super().stop(attempt, grace_s)

    async with running(hub, Slow(Constant(100.0))) as one:
        one.show(message(work_ws=1e9, leaseS=LEASE_S))
        await until(lambda: bool(hub.told))
        await one.agent.interrupt()
        await until(lambda: hub.told[-1].phase == "interrupted")
        assert hub.told[-1].reason == "AgentStopped"
    assert running_when_told[0] is False


class Unguarded(SimulatedRuntime):
    guards = False


async def test_a_runtime_without_a_guard_refuses() -> None:
    hub, runtime = Hub(), Unguarded(Constant(100.0))
    async with running(hub, runtime) as one:
        one.show(message(work_ws=10.0, leaseS=LEASE_S))
        await until(lambda: len(hub.told) == 1)
        assert (hub.told[0].phase, hub.told[0].reason) == ("failed", "Unsupported")
        assert "exclusive" in hub.told[0].message


async def test_an_answer_counts_from_its_question_and_a_late_one_takes_nothing_back() -> None:
    now_s = [100.0]
    granted: list[float] = []

    class Noting(SimulatedRuntime):
        async def lease(self, attempt: str, until_s: float) -> None:
            granted.append(until_s)

    hub = Hub()
    hub.grants = False
    runtime = Noting(Constant(100.0))
    async with Outbox(MemoryJournal(Disk())) as outbox:
        session = Session(outbox)
        session.version, session.boot, session._accepted = 2, 7, True
        leases = Leases(hub, session, runtime, "s", "e", clock=lambda: now_s[0])
        task = asyncio.create_task(leases.run(lambda _: None))
        work = Work("s", "e", NAME, (), {}, lease_s=LEASE_S)
        leases._wanted[NAME] = work
        leases._woken.set()
        await until(lambda: len(hub.asked) == 1)
        now_s[0] = 101.0
        await until(lambda: len(hub.asked) == 2)
        now_s[0] = 130.0  # the machine was suspended meanwhile
        for number in (2, 1):
            hub._say(words.answer_subject("s", "e"), words.encode(words.LeaseAnswer(number, {NAME: LEASE_S})))
        hub._say(words.answer_subject("s", "e"), words.encode(words.LeaseAnswer(999, {NAME: LEASE_S})))
        await until(lambda: bool(granted))
        await asyncio.sleep(0.05)
        assert granted == [101.0 + LEASE_S]
        assert leases.ready(work) is False, "it is over by now"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def started(home: Path, lease_s: float) -> "asyncio.subprocess.Process":
    agent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _AGENT, str(home), str(lease_s)),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert agent.stdout is not None
    await asyncio.wait_for(agent.stdout.readuntil(b"started"), 20)
    return agent


async def test_a_guard_outlives_a_killed_agent_and_ends_all_of_the_step(tmp_path: Path) -> None:
    agent = await started(tmp_path / "state", LEASE_S)
    until_s = boottime_s() + lease.left_s(str(tmp_path / "state" / "attempt" / "lease"))
    path = tmp_path / "state" / "attempt" / "step-0.json"
    record = read(str(path))
    assert record is not None
    assert record.step is not None
    os.kill(agent.pid, signal.SIGKILL)
    await agent.wait()
    await until(lambda: (found := read(str(path))) is not None and found.exit_code is not None, timeout_s=LEASE_S + 10)
    assert until_s <= boottime_s() < until_s + words.GUARD_S
    record = read(str(path))
    assert record is not None
    assert (record.exit_code, record.reason) == (137, LEASE_OVER)
    runtime = ProcessRuntime(site="s", edges=["e"], state_dir=tmp_path / "state")
    await runtime.open(lambda _: None)
    (found,) = await runtime.discover()
    assert (found.steps[0].phase, found.steps[0].reason) == ("exited", LEASE_OVER)
    assert isinstance(await runtime.logs("attempt", 0, "", 1000), LogPage)
    await runtime.remove("attempt")
    await runtime.close()


async def test_the_next_agent_moves_the_end_on(tmp_path: Path) -> None:
    agent = await started(tmp_path / "state", LEASE_S)
    os.kill(agent.pid, signal.SIGKILL)
    await agent.wait()
    runtime = ProcessRuntime(site="s", edges=["e"], state_dir=tmp_path / "state")
    await runtime.open(lambda _: None)
    await runtime.lease("attempt", boottime_s() + 3 * LEASE_S)
    await runtime.lease("attempt", boottime_s() + 0.1)  # never back
    await asyncio.sleep(LEASE_S + 1.0)
    (found,) = await runtime.discover()
    assert found.steps[0].phase == "running"

    async def is_over() -> bool:
        seen = await runtime.observe("attempt")
        return seen is not None and seen.steps[0].reason == LEASE_OVER

    await eventually(is_over, timeout_s=3 * LEASE_S)
    await runtime.remove("attempt")
    await runtime.close()


async def test_a_step_whose_lease_is_over_before_it_begins_is_ended_at_once(tmp_path: Path) -> None:
    runtime = ProcessRuntime(site="s", edges=["e"], state_dir=tmp_path / "state")
    await runtime.open(lambda _: None)
    await runtime.start_step(Work("s", "e", "late", (Step("s", "", "sleep 600"),), {}, lease_s=1.0), 0)

    async def is_over() -> bool:
        seen = await runtime.observe("late")
        return seen is not None and seen.steps[0].reason == LEASE_OVER

    await eventually(is_over, timeout_s=5.0)
    await runtime.remove("late")
    await runtime.close()


@pytest.mark.parametrize(
    "text", ["", "{}", '{"boot": "another", "until_s": 1e12}', '{"boot": 1, "until_s": "x"}', "\x00"]
)
def test_nobody_runs_on_a_guess(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lease"
    assert lease.left_s(str(path)) == 0.0
    path.write_text(text)
    assert lease.left_s(str(path)) == 0.0
    lease.extend(str(path), lease.now_s() + 60)
    assert 59 < lease.left_s(str(path)) <= 60
    lease.extend(str(path), lease.now_s() + 10)
    assert 59 < lease.left_s(str(path)) <= 60
