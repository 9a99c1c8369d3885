"""ingest on a real log and a real NATS: every report counts once, whatever an agent sends and whoever takes it in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest_asyncio
from nats.aio.msg import Msg

from datamodel.appender import Appender
from datamodel.command import Advance, Command, Unit
from datamodel.feed.bus import Bus
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling import wire
from datamodel.scheduling.model import MODEL
from datamodel.scheduling.windows import SPEAKS
from reconcilers.ingest import INBOX_WINDOWS, Ingest
from reconcilers.runtime.controller import Controller
from reconcilers.runtime.metrics import Metrics
from reconcilers.runtime.shards import Shards, lease_name
from tests.conftest import StartNats
from tests.feed import connected
from tests.graph import SYSTEM, done, new_edge, new_job, place, present
from tests.waiting import eventually, until

AT = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass
class Agent:
    """An agent's words on the wire, and the hub's answers."""

    bus: Bus
    name: str = "e"
    site: str = "s"
    incarnation: str = "1"
    answers: list[wire.Committed] = field(default_factory=list)

    async def listen(self) -> None:
        async def on_committed(message: Msg) -> None:
            self.answers.append(wire.decode_committed(message.data))

        await self.bus.client.subscribe(wire.committed_subject(self.site, self.name), cb=on_committed)

    async def send(self, first: int, *reports: wire.Report | bytes) -> None:
        raws = [msgspec.Raw(report if isinstance(report, bytes) else wire.encode(report)) for report in reports]
        window = wire.Window(wire.WIRE_VERSION, self.site, self.name, self.incarnation, first, raws)
        await self.send_bytes(wire.encode(window))

    async def send_bytes(self, body: bytes) -> None:
        await self.bus.client.publish(wire.report_subject(self.site, self.name), body)

    def report(self, path: str, phase: Any, **more: Any) -> wire.AttemptReport:
        said: dict[str, Any] = {"edge": "e", "attempt": path.rpartition("/")[2], "at": AT, "phase": phase, **more}
        return wire.AttemptReport(**said)

    async def committed(self, through: int) -> None:
        await until(lambda: any((a.incarnation, a.through) == (self.incarnation, through) for a in self.answers))


@dataclass
class Hub:
    """One replica of the ingest reconciler."""

    ingest: Ingest
    shards: Shards
    metrics: Metrics


@asynccontextmanager
async def running(store: PostgresStore, bus: Bus) -> AsyncIterator[Hub]:
    metrics, shards = Metrics(), Shards(store, ttl_s=1.0)
    async with Appender(store) as appender:
        ingest = Ingest(store, appender, bus, metrics)
        controller = Controller(ingest, shards, metrics, workers=8)
        await ingest.listen(controller.wake)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(shards.run()), group.create_task(controller.run())]
            await until(lambda: all(shards.fence(lease_name("ingest", shard)) for shard in range(ingest.shards)))
            yield Hub(ingest, shards, metrics)
            for task in tasks:
                task.cancel()


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(database_url, MODEL) as store:
        await new_edge(store)
        yield store


@pytest_asyncio.fixture
async def bus(nats_server: StartNats) -> AsyncIterator[Bus]:
    async with connected((await nats_server()).access()) as bus:
        yield bus


@pytest_asyncio.fixture
async def hub(store: PostgresStore, bus: Bus) -> AsyncIterator[Hub]:
    async with running(store, bus) as hub:
        yield hub


@pytest_asyncio.fixture
async def agent(bus: Bus, hub: Hub) -> Agent:
    agent = Agent(bus)
    await agent.listen()
    return agent


@pytest_asyncio.fixture
async def job(store: PostgresStore) -> Node:
    return await new_job(store, chunks=3)


async def phases(store: Store, job: Node) -> dict[str, int]:
    return dict((await store.totals([job.uid]))[job.uid].phases)


async def test_reports_are_settled_with_their_mark(store: PostgresStore, agent: Agent, job: Node) -> None:
    path = await place(store, job)
    await agent.send(1, agent.report(path, "running", percent=50.0))
    await agent.committed(1)
    assert (await present(store, path)).phase == "running"
    await agent.send(2, agent.report(path, "succeeded", outputs={"n": 1}))
    await agent.committed(2)
    assert await phases(store, job) == {"succeeded": 1}
    assert (await store.marks(["s/e/1"])) == {"s/e/1": 2}
    (entry,) = await store.entries(job.uid)
    assert entry.outputs is not None
    assert bytes(entry.outputs) == b'{"n":1}'


async def test_an_agent_registers_its_edge(store: PostgresStore, agent: Agent) -> None:
    agent.site, agent.answers = "new", []
    await agent.listen()
    said = wire.EdgeReport(
        edge="e", at=AT, cpu=2.0, memory_bytes=1, power_w=1.0, runtime="simulated", agent_version="1"
    )
    await agent.send(1, said)
    await agent.committed(1)
    node = await present(store, "/inventory/sites/new/edges/e")
    assert node.spec["capacity"]["cpu"] == 2.0
    assert node.spec["agent"] == "e"


async def test_a_gap_is_asked_for_again(store: PostgresStore, agent: Agent, job: Node) -> None:
    path = await place(store, job)
    await agent.send(2, agent.report(path, "succeeded"))
    await until(lambda: agent.answers == [wire.Committed("1", 0, gap=True, speaks=SPEAKS)])
    assert (await present(store, path)).phase == ""
    await agent.send(1, agent.report(path, "running"), agent.report(path, "succeeded"))
    await agent.committed(2)
    assert agent.answers[-1].gap is False
    assert await phases(store, job) == {"succeeded": 1}


async def test_a_window_that_comes_twice_counts_once(store: PostgresStore, agent: Agent, job: Node, hub: Hub) -> None:
    path = await place(store, job)
    before = (await store.head()).position
    for _ in range(5):
        await agent.send(1, agent.report(path, "failed"))
    await agent.committed(1)
    await agent.send(1, agent.report(path, "failed"), agent.report(path, "interrupted"))
    await agent.committed(2)
    assert (await store.head()).position == before + 1
    (entry,) = await store.entries(job.uid)
    assert (entry.phase, entry.failures) == ("retry", 1)
    assert hub.metrics.counts["ingest", "duplicate"] == 1


async def test_an_older_epoch_is_superseded(store: PostgresStore, agent: Agent, job: Node) -> None:
    first = await place(store, job)
    await done(store, Command("patchSpec", first, {"intent": "abandon"}), actor=SYSTEM)
    second = await place(store, job, epoch=2)
    await agent.send(1, agent.report(first, "succeeded", outputs={"n": 1}), agent.report(second, "running"))
    await agent.committed(2)
    assert (await present(store, first)).status["settlement"] == "superseded"
    assert await phases(store, job) == {"running": 1}
    await agent.send(3, agent.report(second, "succeeded", outputs={"n": 2}))
    await agent.committed(3)
    (entry,) = await store.entries(job.uid)
    assert entry.outputs is not None
    assert bytes(entry.outputs) == b'{"n":2}'


async def test_the_late_success_of_what_was_not_replaced_yet_counts(
    store: PostgresStore, agent: Agent, job: Node
) -> None:
    path = await place(store, job)
    await done(store, Command("patchSpec", path, {"intent": "abandon"}), actor=SYSTEM)
    assert await phases(store, job) == {"retry": 1}
    await agent.send(1, agent.report(path, "succeeded"))
    await agent.committed(1)
    assert await phases(store, job) == {"succeeded": 1}


async def test_bad_reports_are_quarantined_and_acknowledged_and_others_go_on(
    store: PostgresStore, agent: Agent, job: Node, hub: Hub
) -> None:
    path, other = await place(store, job), await place(store, job, index=1)
    bad: list[wire.Report | bytes] = [
        b'{"type":"news"}',
        agent.report(path, "running", edge="somebody"),
        agent.report("/x/no-such-attempt", "running"),
        wire.EdgeReport("e", AT, cpu=-1.0, memory_bytes=1, power_w=1.0, runtime="", agent_version=""),
    ]
    await agent.send(1, agent.report(path, "succeeded"), *bad, agent.report(other, "succeeded"))
    await agent.committed(6)
    assert await phases(store, job) == {"succeeded": 2}
    assert await store.quarantined() == len(bad)
    assert hub.metrics.counts["ingest", "quarantined"] == len(bad)


async def test_an_end_with_impossible_details_is_an_end(store: PostgresStore, agent: Agent, job: Node) -> None:
    path = await place(store, job)
    await agent.send(1, agent.report(path, "succeeded", outputs={"text": "x" * 200_000}))
    await agent.committed(1)
    status = (await present(store, path)).status
    assert (status["phase"], status["reason"]) == ("failed", "InvalidReport")


async def test_what_is_no_window_is_quarantined_and_stops_nobody(
    store: PostgresStore, agent: Agent, job: Node, hub: Hub
) -> None:
    path = await place(store, job)
    garbage = [b"", b"\x00\xff", b"[" * 100_000, b'{"version":1}']
    for body in garbage:
        await agent.send_bytes(body)
    for window in (
        wire.Window(99, "s", "e", "1", 1, []),
        wire.Window(1, "s", "other", "1", 1, []),
        wire.Window(1, "s", "e", "\x00", 1, []),
        wire.Window(1, "s", "e", "1", 0, []),
    ):
        await agent.send_bytes(wire.encode(window))
    await agent.bus.client.publish("report.Not_A_Site.e", b"{}")
    await agent.send(1, agent.report(path, "succeeded"))
    await agent.committed(1)
    await until(lambda: hub.metrics.counts["ingest", "quarantined"] == len(garbage) + 5)
    assert hub.metrics.counts["ingest", "crashed"] == 0


async def test_a_new_incarnation_begins_at_one(store: PostgresStore, agent: Agent, job: Node) -> None:
    path, other = await place(store, job), await place(store, job, index=1)
    await agent.send(1, agent.report(path, "running"), agent.report(path, "succeeded"))
    await agent.committed(2)
    agent.incarnation = "2"
    await agent.send(1, agent.report(other, "succeeded"))
    await agent.committed(1)
    assert await phases(store, job) == {"succeeded": 2}
    assert await store.marks(["s/e/1", "s/e/2"]) == {"s/e/1": 2, "s/e/2": 1}


async def test_an_empty_window_asks_how_far_the_hub_is(store: PostgresStore, agent: Agent, job: Node) -> None:
    await agent.send(1)
    await agent.committed(0)
    path = await place(store, job)
    await agent.send(1, agent.report(path, "running"), agent.report(path, "succeeded"))
    await agent.committed(2)
    # Another replica had the lease for a while, and this one remembers an older mark.
    await store.append([Unit((), SYSTEM, advance=Advance("s/e/1", 2, 7))])
    agent.answers.clear()
    await agent.send(1)
    await agent.committed(7)
    assert agent.answers == [wire.Committed("1", 7, gap=False, speaks=SPEAKS)]


async def test_what_a_database_that_was_put_back_has_forgotten_is_written_again(
    store: PostgresStore, agent: Agent, job: Node
) -> None:
    path = await place(store, job)
    window = agent.report(path, "running"), agent.report(path, "succeeded")
    await agent.send(1, *window)
    await agent.committed(2)
    await store.append([Unit((), SYSTEM, advance=Advance("s/e/1", 2, 0))])
    agent.answers.clear()
    await agent.send(1, *window)  # the answer had been lost
    await agent.committed(2)
    assert await store.marks(["s/e/1"]) == {"s/e/1": 2}, "and not only remembered"


async def test_a_replica_without_the_lease_keeps_and_writes_nothing(
    store: PostgresStore, agent: Agent, job: Node, hub: Hub, bus: Bus
) -> None:
    path = await place(store, job)
    metrics, shards = Metrics(), Shards(store, ttl_s=1.0)
    async with Appender(store) as appender:
        idle = Ingest(store, appender, bus, metrics)
        controller = Controller(idle, shards, metrics)
        await idle.listen(controller.wake)
        await agent.send(1, agent.report(path, "running"))
        await agent.committed(1)
        assert idle._inboxes == {}


async def test_a_fenced_replica_cannot_write_and_the_next_one_takes_the_windows(
    store: PostgresStore, agent: Agent, job: Node, hub: Hub
) -> None:
    path = await place(store, job)
    await agent.send(1, agent.report(path, "running"))
    await agent.committed(1)
    fences = [f"ingest/{shard}" for shard in range(4)]
    await store.release(fences, hub.shards._holder)  # as if it had been stopped for longer than its lease
    await store.acquire(fences, "another", 0.3)
    before = (await store.head()).position
    await agent.send(2, agent.report(path, "succeeded"))
    await until(lambda: hub.metrics.counts["ingest", "fenced"] + hub.metrics.counts["ingest", "conflict"] > 0)
    assert (await store.head()).position == before
    await agent.committed(2)  # the other is gone; what waited was not lost


async def test_two_replicas_that_follow_each_other_agree_on_the_mark(store: PostgresStore, bus: Bus, job: Node) -> None:
    agent = Agent(bus)
    await agent.listen()
    paths = [await place(store, job, index=index) for index in range(3)]
    for number, path in enumerate(paths, start=1):
        async with running(store, bus):
            await agent.send(number, agent.report(path, "succeeded"))
            await agent.committed(number)
    assert await phases(store, job) == {"succeeded": 3}


async def test_a_busy_hub_keeps_room_for_what_agents_send_ahead(hub: Hub) -> None:
    assert INBOX_WINDOWS >= wire.WINDOWS_IN_FLIGHT
    for number in range(100):
        hub.ingest._keep("s/away", bytes([number]))
    assert hub.ingest._inboxes["s/away"] == [bytes([number]) for number in range(INBOX_WINDOWS)], "the first ones stay"
    assert hub.ingest._waiting_bytes == INBOX_WINDOWS


async def test_windows_wait_for_a_database_that_is_away(database_url: str, bus: Bus) -> None:
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(PostgresStore(database_url, MODEL))
        await new_edge(store)
        job = await new_job(store)
        path = await place(store, job)
        hub = await stack.enter_async_context(running(store, bus))
        agent = Agent(bus)
        await agent.listen()
        killer = await stack.enter_async_context(PostgresStore(database_url, MODEL))
        await killer._database.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        await agent.send(1, agent.report(path, "running"), agent.report(path, "succeeded"))
        await agent.committed(2)
        await eventually(lambda: _succeeded(killer, job))
        assert hub.metrics.counts["ingest", "crashed"] == 0


async def _succeeded(store: Store, job: Node) -> bool:
    return await phases(store, job) == {"succeeded": 1}
