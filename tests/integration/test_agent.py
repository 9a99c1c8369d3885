"""An agent with the simulated runtime and all reconcilers: it runs what it is given, through its own restarts."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest_asyncio

from agents.desk import Desk
from agents.link import Link
from agents.loop import Agent
from agents.news.images import DeclaredImages, ImageNews
from agents.news.ports import News
from agents.news.power import PowerNews
from agents.news.power_file import PowerFile
from agents.outbox import Outbox
from agents.runtimes.simulated import SimulatedRuntime
from agents.runtimes.supply import Constant
from agents.sqlite_journal import SqliteJournal
from datamodel.command import Command
from datamodel.feed.follow import NatsFeed
from datamodel.feed.signing import Signing
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling import wire
from datamodel.scheduling.edges import inventory_path
from datamodel.scheduling.model import MODEL
from datamodel.verify import verify
from tests.conftest import StartNats
from tests.feed import connected
from tests.graph import done, new_job, present
from tests.hub import attempts_of, attempts_when, gone, node_when, running_hub
from tests.services import PrivateNats, agent_key
from tests.waiting import until

EDGE = inventory_path("s", "e")
POWER_W = 100.0


class Running:
    """A running agent: its parts, and how it ends."""

    def __init__(
        self, agent: Agent, outbox: Outbox, runtime: SimulatedRuntime, tasks: "list[asyncio.Task[None]]"
    ) -> None:
        self.agent, self.outbox, self.runtime, self._tasks = agent, outbox, runtime, tasks

    def die(self) -> None:
        """Ends it without a word to anybody."""
        for task in self._tasks:
            task.cancel()


@asynccontextmanager
async def running_agent(server: PrivateNats, home: Path, *news: News) -> AsyncIterator[Running]:
    """An agent of one edge with four places. What its runtime has is lost with it."""
    runtime = SimulatedRuntime(Constant(POWER_W))
    edge = wire.EdgeReport(
        edge="e",
        at=datetime.now(UTC),
        cpu=1.0,
        memory_bytes=2**30,
        power_w=POWER_W,
        runtime="simulated",
        agent_version="1",
    )
    async with connected(server.agent("s", "e")) as bus, Outbox(SqliteJournal(home / "outbox.sqlite")) as outbox:
        messages = Signing(bus, agent_key("s", "e"))
        desk = Desk(messages, "s", "e", ["e"])
        await desk.listen()
        agent, link = (
            Agent(runtime, outbox, [edge], news=news),
            Link(messages, NatsFeed(bus, desk), outbox, "s", "e", ["e"]),
        )
        tasks = [asyncio.create_task(agent.run()), asyncio.create_task(link.run(agent.deliver, agent.tell_anew))]
        running = Running(agent, outbox, runtime, tasks)
        try:
            yield running
        finally:
            running.die()
            await asyncio.gather(*tasks, return_exceptions=True)
            await runtime.close()


@pytest_asyncio.fixture
async def server(nats_server: StartNats) -> PrivateNats:
    return await nats_server()


@pytest_asyncio.fixture
async def store(database_url: str, server: PrivateNats) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(database_url, MODEL) as store, running_hub(database_url, server.access()):
        yield store
        found = await verify(store)
        assert found.clean, str(found)


async def online(store: PostgresStore) -> None:
    async def known() -> bool:
        return bool(await store.nodes([EDGE]))

    async with asyncio.timeout(30):
        while not await known():  # noqa: ASYNC110 - what the hub does sets no event of ours
            await asyncio.sleep(0.01)
    await node_when(store, EDGE, lambda node: node.phase == "online")


async def test_it_registers_and_runs_what_it_is_given(
    store: PostgresStore, server: PrivateNats, tmp_path: Path
) -> None:
    async with running_agent(server, tmp_path) as running:
        await online(store)
        job = await new_job(store, chunks=20)
        finished = await node_when(store, job.path, lambda node: node.phase == "succeeded")
        assert finished.status["chunks"] == {"succeeded": 20}
        assert len(await attempts_of(store, job)) == 20
        await until(lambda: not running.outbox.pending)
        await until(lambda: not running.runtime._attempts, timeout_s=30.0)
        await until(lambda: not running.agent._told and not running.agent._desired, timeout_s=30.0)


async def test_progress_is_told_while_it_runs(store: PostgresStore, server: PrivateNats, tmp_path: Path) -> None:
    async with running_agent(server, tmp_path):
        await online(store)
        job = await new_job(store, workWs=3 * POWER_W)
        await attempts_when(
            store, job, lambda found: any(0 < attempt.status.get("percent", 0) < 100 for attempt in found)
        )
        await node_when(store, job.path, lambda node: node.phase == "succeeded")


async def test_what_it_lost_by_a_crash_is_interrupted_and_tried_again(
    store: PostgresStore, server: PrivateNats, tmp_path: Path
) -> None:
    async with running_agent(server, tmp_path):
        await online(store)
        job = await new_job(store, chunks=6, workWs=6 * 0.2 * POWER_W, retries=0)
        await attempts_when(store, job, lambda found: sum(attempt.phase == "running" for attempt in found) >= 2)
    async with running_agent(server, tmp_path):
        finished = await node_when(store, job.path, lambda node: node.phase == "succeeded", timeout_s=30.0)
        assert finished.status["chunks"] == {"succeeded": 6}
        interrupted = [attempt for attempt in await attempts_of(store, job) if attempt.phase == "interrupted"]
        assert interrupted
        assert {attempt.status["reason"] for attempt in interrupted} == {"Vanished"}


async def test_an_agent_whose_disk_was_put_back_goes_on_as_another_incarnation(
    store: PostgresStore, server: PrivateNats, tmp_path: Path
) -> None:
    async def run_one(chunks: int) -> str:
        async with running_agent(server, tmp_path) as running:
            await online(store)
            job = await new_job(store, f"of-{chunks}", chunks=chunks)
            await node_when(store, job.path, lambda node: node.phase == "succeeded")
            await until(lambda: not running.outbox.pending)
            assert (await present(store, EDGE)).spec["incarnation"] == running.outbox.incarnation
            return running.outbox.incarnation

    file, copy = tmp_path / "outbox.sqlite", tmp_path / "copy"
    first = await run_one(2)
    shutil.copy(file, copy)
    assert await run_one(10) == first
    shutil.copy(copy, file)
    assert await run_one(3) != first


async def test_an_agent_that_is_told_to_stop_reports_what_it_interrupts(
    store: PostgresStore, server: PrivateNats, tmp_path: Path
) -> None:
    async with running_agent(server, tmp_path) as running:
        await online(store)
        job = await new_job(store, chunks=3, workWs=3 * 600 * POWER_W, retries=0)
        await attempts_when(store, job, lambda found: [attempt.phase for attempt in found] == ["running"] * 3)
        await running.agent.interrupt()
        await attempts_when(store, job, lambda found: sum(attempt.phase == "interrupted" for attempt in found) == 3)
        assert not running.runtime._attempts
    first = [attempt for attempt in await attempts_of(store, job) if attempt.phase == "interrupted"]
    assert {attempt.status["reason"] for attempt in first} == {"AgentStopped"}
    assert (await store.entries(job.uid))[0].failures == 0


async def test_a_job_that_is_deleted_stops_on_the_edge(
    store: PostgresStore, server: PrivateNats, tmp_path: Path
) -> None:
    async with running_agent(server, tmp_path) as running:
        await online(store)
        job = await new_job(store, chunks=2, workWs=2 * 600 * POWER_W)
        await attempts_when(store, job, lambda found: [attempt.phase for attempt in found] == ["running"] * 2)
        await done(store, Command("delete", job.path))
        await gone(store, job.path)
        assert not running.runtime._attempts
        assert not (await store.pools([EDGE]))[EDGE].used


async def test_a_server_that_is_away_costs_nothing_but_time(
    store: PostgresStore, server: PrivateNats, tmp_path: Path
) -> None:
    async with running_agent(server, tmp_path):
        await online(store)
        job = await new_job(store, chunks=8, workWs=8 * 0.1 * POWER_W)
        await attempts_when(store, job, lambda found: any(attempt.phase == "running" for attempt in found))
        await server.kill()
        server.wipe()
        await server.start()
        finished = await node_when(store, job.path, lambda node: node.phase == "succeeded", timeout_s=30.0)
        assert finished.status["chunks"] == {"succeeded": 8}
        assert len(await attempts_of(store, job)) == 8, "nothing ran twice"


async def test_an_edge_whose_power_shrinks_sheds_what_matters_least_which_runs_when_there_is_power_again(
    store: PostgresStore, server: PrivateNats, tmp_path: Path
) -> None:
    file = tmp_path / "power.json"

    def has(power_w: float) -> None:
        (tmp_path / "new.json").write_text(f'{{"availableW": {power_w}}}')
        (tmp_path / "new.json").replace(file)

    has(POWER_W)
    news = PowerNews(PowerFile(file), ["e"], POWER_W, lambda: datetime.now(UTC), read_s=0.05)
    await done(store, Command("apply", "/config/sites/s", {"shed": "lowestPriority"}))
    async with running_agent(server, tmp_path / "home", news, ImageNews(DeclaredImages(["busybox"]), ["e"])) as running:
        await online(store)
        asks = {"cpu": 0.1, "memoryBytes": 2**20, "powerW": POWER_W / 2}
        jobs = [
            await new_job(store, f"p{priority}", priority=priority, requests=asks, workWs=POWER_W * 2)
            for priority in (90, 10)
        ]
        for job in jobs:
            await attempts_when(store, job, lambda found: [attempt.phase for attempt in found] == ["running"])
        has(POWER_W / 2)
        await node_when(store, EDGE, lambda node: node.spec["capacity"]["powerW"] == POWER_W / 2)
        (shed,) = await attempts_when(store, jobs[1], lambda found: found[0].phase == "stopped")
        assert (shed.spec["intent"], shed.spec["intentReason"]) == ("abandon", "Shed")
        await node_when(store, jobs[0].path, lambda node: node.phase == "succeeded")
        has(POWER_W)
        finished = await node_when(store, jobs[1].path, lambda node: node.phase == "succeeded")
        assert finished.status["chunks"] == {"succeeded": 1}
        assert [attempt.spec.get("intentReason") for attempt in await attempts_of(store, jobs[1])] == ["Shed", None]
        (kept,) = await attempts_of(store, jobs[0])
        assert kept.spec["intent"] == "run", "what matters more went on"
        await node_when(store, EDGE, lambda node: node.spec.get("images") == ["docker.io/library/busybox:latest"])
        await until(lambda: not running.outbox.pending)
