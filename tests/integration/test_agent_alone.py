"""An agent without a hub: the test plays the feed, on a real outbox and the simulated runtime."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.logs.shipper import Shipper
from agents.loop import LOOK_S, Agent
from agents.outbox import Outbox
from agents.runtimes.protocol import Observed, Refusal, Work
from agents.runtimes.simulated import SimulatedRuntime
from agents.runtimes.supply import Constant
from agents.sqlite_journal import SqliteJournal
from agents.work import desired_of
from datamodel.ports import FeedItem, Message, Restarted, Synced
from datamodel.scheduling import wire
from datamodel.scheduling.logs import decode
from datamodel.transcripts.memory import MemoryTranscripts
from tests.waiting import until

NAME = "a-0-1"
LONG_WS = 1e9


def message(
    phase: str = "",
    *,
    work_ws: float = 0.0,
    intent: str = "run",
    generation: int = 1,
    uid: str = "u",
    **asked: Any,
) -> Message:
    """The attempt as the feed has it; without a phase nothing has been heard of it."""
    spec = {
        "index": 0,
        "count": 1,
        "steps": [{"name": "s", "image": "i"}],
        "requests": {},
        "workWs": work_ws,
        "intent": intent,
        **asked,
    }
    return Message(
        f"/desired-config/sites/s/edges/e/attempts/{NAME}",
        uid,
        "Attempt",
        1,
        generation=generation,
        spec=msgspec.Raw(msgspec.json.encode(spec)),
        status=msgspec.Raw(msgspec.json.encode({"phase": phase} if phase else {})),
    )


class Unforeseen(SimulatedRuntime):
    """Cannot say how far an attempt is, so nobody looks again before `LOOK_S` are over without a reason."""

    async def observe(self, attempt: str) -> Observed | None:
        found = await super().observe(attempt)
        return found and msgspec.structs.replace(found, percent=None)


TOMBSTONE = Message(f"/desired-config/sites/s/edges/e/attempts/{NAME}", "u", "Attempt", 9, deleted=True)


class Alone:
    """The agent and what it has told."""

    def __init__(self, agent: Agent, outbox: Outbox, runtime: SimulatedRuntime) -> None:
        self.agent, self.outbox, self.runtime = agent, outbox, runtime

    @property
    def told(self) -> list[str]:
        reports = [wire.decode_report(body) for _, body in self.outbox.pending]
        return [report.phase for report in reports if isinstance(report, wire.AttemptReport)]

    @property
    def end(self) -> wire.AttemptReport:
        report = wire.decode_report(self.outbox.pending[-1][1])
        assert isinstance(report, wire.AttemptReport)
        return report

    def show(self, *messages: Message) -> None:
        """Delivers a present of exactly these."""
        present: tuple[FeedItem, ...] = (Restarted(), *messages, Synced())
        for item in present:
            self.agent.deliver(item)

    def knows_nothing(self) -> bool:
        return not self.agent._told and not self.agent._desired

    async def over(self) -> None:
        """Until it has run to its end, and all is told and removed."""
        await until(lambda: NAME in self.agent._told and self.agent._told[NAME].gone)
        assert self.told == ["succeeded"]
        assert not self.runtime._attempts
        assert not len(self.agent._queue)


class Unable(SimulatedRuntime):
    """One that cannot give what is asked for."""

    def refuses(self, _: Work) -> Refusal | None:
        return Refusal("Unsupported", "no network here")


@asynccontextmanager
async def alone(home: Path, runtime: SimulatedRuntime | None = None) -> AsyncIterator[Alone]:
    runtime = runtime or SimulatedRuntime(Constant(100.0))
    async with Outbox(SqliteJournal(home / "outbox.sqlite")) as outbox:
        agent = Agent(runtime, outbox, [])
        task = asyncio.create_task(agent.run())
        try:
            yield Alone(agent, outbox, runtime)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await runtime.close()


@pytest.mark.parametrize("last", [message("succeeded"), TOMBSTONE])
async def test_what_is_over_is_forgotten_when_the_hub_says_so(tmp_path: Path, last: Message) -> None:
    async with alone(tmp_path) as one:
        one.show(message())
        await one.over()
        one.agent.deliver(message("running"))
        assert not len(one.agent._queue), "nothing can come of it"
        one.agent.deliver(last)
        assert one.knows_nothing()
        assert not len(one.agent._queue)


async def test_what_is_over_is_not_run_again_before_the_hub_knows(tmp_path: Path) -> None:
    async with alone(tmp_path) as one:
        one.show(message())
        await one.over()
        for _ in range(2):
            one.show(message())
            await until(lambda: not len(one.agent._queue) and not one.agent._busy)
            one.agent.deliver(message())
            await one.over()


async def test_what_is_over_and_not_in_the_present_any_more_is_forgotten(tmp_path: Path) -> None:
    async with alone(tmp_path) as one:
        one.show(message())
        await one.over()
        one.show()
        await until(one.knows_nothing)
        assert one.told == ["succeeded"]


async def test_an_agents_own_report_wakes_nobody_and_another_intent_does(tmp_path: Path) -> None:
    async with alone(tmp_path) as one:
        one.show(message(work_ws=LONG_WS))
        await until(lambda: one.told == ["running"])
        one.agent.deliver(message("running", work_ws=LONG_WS))
        assert not len(one.agent._queue)
        one.agent.deliver(message("running", work_ws=LONG_WS, intent="stop", generation=2))
        await until(lambda: one.told == ["running", "stopped"])
        await until(lambda: not one.runtime._attempts)


@pytest.mark.parametrize("last", [message("interrupted", work_ws=LONG_WS), TOMBSTONE])
async def test_what_runs_and_is_wanted_no_more_ends_without_a_word(tmp_path: Path, last: Message) -> None:
    async with alone(tmp_path) as one:
        one.show(message(work_ws=LONG_WS))
        await until(lambda: one.told == ["running"])
        one.agent.deliver(last)
        await until(one.knows_nothing)
        assert not one.runtime._attempts
        assert one.told == ["running"]
        one.agent.deliver(last)
        assert one.knows_nothing()


async def test_what_another_node_of_this_name_has_left_is_cleared_away_and_it_runs_anew(tmp_path: Path) -> None:
    async with alone(tmp_path) as one:
        one.show(message(work_ws=LONG_WS))
        await until(lambda: one.told == ["running"])
        one.agent.deliver(message(uid="after"))  # the hub's database was put back, and it places the attempt again
        await until(lambda: NAME in one.agent._told and one.agent._told[NAME].gone)
        assert one.told == ["running", "succeeded"], "that the other one was stopped is no failure of this one"
        assert one.end.uid == "after"
        assert not one.runtime._attempts


async def test_what_another_node_has_left_is_cleared_away_though_this_one_is_over(tmp_path: Path) -> None:
    async with alone(tmp_path) as one:
        one.show(message(work_ws=LONG_WS))
        await until(lambda: one.told == ["running"])
        one.agent.deliver(message("stopped", uid="after"))
        await until(one.knows_nothing)
        assert not one.runtime._attempts
        assert one.told == ["running"]


async def test_what_ends_before_the_present_is_known_is_told_as_it_ended(tmp_path: Path) -> None:
    """Of an engine's word alone, an agent that was just started cannot know that anybody wants it."""
    async with alone(tmp_path) as one:
        await until(lambda: one.runtime._changed == one.agent._queue.add)
        await one.runtime.start_step(desired_of(message(work_ws=0.05), "", None).work, 0)
        await until(lambda: len(one.agent._queue) > 0)
        one.show(message("running"))
        await one.over()


async def test_a_restart_runs_nothing_again_that_its_outbox_has_ended(tmp_path: Path) -> None:
    async with alone(tmp_path) as one:
        one.show(message())
        await one.over()
    async with alone(tmp_path) as one:
        await until(lambda: NAME in one.agent._told)
        one.show(message())
        await one.over()
        one.agent.deliver(message("succeeded"))
        assert one.knows_nothing()


async def test_what_runs_too_long_is_stopped_and_has_failed(tmp_path: Path) -> None:
    async with alone(tmp_path, Unforeseen(Constant(100.0))) as one:
        one.show(message(work_ws=LONG_WS, limits={"timeoutS": 0.3}))
        await until(lambda: one.told == ["running"])
        began_s = time.monotonic()
        await until(lambda: one.told == ["running", "failed"])
        assert time.monotonic() - began_s < LOOK_S / 2, "it is looked at when its time is over, not at the next turn"
        assert (one.end.reason, one.end.message) == ("TimedOut", "it ran longer than 0.3 s")
        assert one.end.exit_codes == (143,)
        await until(lambda: not one.runtime._attempts)


async def test_what_the_runtime_cannot_give_fails_at_once_and_starts_nothing(tmp_path: Path) -> None:
    async with alone(tmp_path, Unable(Constant(100.0))) as one:
        one.show(message(network="bridge"))
        await until(lambda: one.told == ["failed"])
        assert (one.end.reason, one.end.message) == ("Unsupported", "no network here")
        assert not one.runtime._attempts
        one.agent.deliver(message("failed", network="bridge"))
        await until(one.knows_nothing)


@pytest.mark.parametrize(("present", "frames"), [(message("succeeded"), 1), (None, 0)])
async def test_what_is_found_with_its_end_settled_is_kept_until_its_log_is_whole(
    tmp_path: Path, present: Message | None, frames: int
) -> None:
    """The agent before this one was killed in between. What nobody wants any more has no reader."""
    runtime, transcripts = SimulatedRuntime(Constant(100.0)), MemoryTranscripts()
    await runtime.start_step(desired_of(message(), "", None).work, 0)
    async with Outbox(SqliteJournal(tmp_path / "outbox.sqlite")) as outbox:
        agent = Agent(runtime, outbox, [], logs=Shipper(runtime, transcripts))
        task = asyncio.create_task(agent.run())
        one = Alone(agent, outbox, runtime)
        one.show(*([present] if present is not None else []))
        await until(lambda: not runtime._attempts)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await runtime.close()
    found = [decode(entry.body) for entry in transcripts.entries(f"s.e.{NAME}")]
    assert [frame.last for frame in found] == [True] * frames


class Slow(MemoryTranscripts):
    """Takes nothing in before it may."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.may = asyncio.Event(), asyncio.Event()

    async def append(self, key: str, after: int, body: bytes) -> int:
        self.asked.set()
        await self.may.wait()
        return await super().append(key, after, body)


async def test_what_is_found_with_its_end_settled_is_kept_though_the_outbox_becomes_another_one(tmp_path: Path) -> None:
    runtime, transcripts = SimulatedRuntime(Constant(100.0)), Slow()
    await runtime.start_step(desired_of(message(), "", None).work, 0)
    async with Outbox(SqliteJournal(tmp_path / "outbox.sqlite")) as outbox:
        agent = Agent(runtime, outbox, [], logs=Shipper(runtime, transcripts))
        task = asyncio.create_task(agent.run())
        Alone(agent, outbox, runtime).show(message("succeeded"))
        await transcripts.asked.wait()
        agent.tell_anew()
        await until(lambda: not len(agent._queue) and agent._idle.is_set())
        assert runtime._attempts, "what is not told yet would be lost with it"
        transcripts.may.set()
        await until(lambda: not runtime._attempts)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await runtime.close()
    found = [decode(entry.body) for entry in transcripts.entries(f"s.e.{NAME}")]
    assert [frame.last for frame in found] == [True]
