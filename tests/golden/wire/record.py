"""`python -m tests.golden.wire.record VERSION`: records a session and the files of an agent, by the code as it is."""

import asyncio
import base64
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from nacl.public import PrivateKey, SealedBox

from agents.link import Link
from agents.loop import Agent
from agents.outbox import Outbox
from agents.runtimes.process.runtime import ProcessRuntime
from agents.runtimes.protocol import Step, Work
from agents.runtimes.simulated import SimulatedRuntime
from agents.runtimes.supply import Constant
from agents.secrets.asking import Asking
from agents.sqlite_journal import SqliteJournal
from datamodel.command import Command
from datamodel.feed.memory import MemoryFeed, MemoryMessages, MemoryStreams
from datamodel.feed.ports import Received
from datamodel.memory import MemoryStore
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.scheduling import wire
from datamodel.secrets.memory import MemorySecrets
from datamodel.secrets.ports import Scope
from datamodel.secrets.value import hidden
from datamodel.seeds import seed
from reconcilers.calling.exposure import Exposure
from reconcilers.calling.memory import MemorySender
from reconcilers.calling.ports import Call, Reply
from reconcilers.program import Program
from reconcilers.settings import Settings
from tests.graph import done, memory_store, new_job, present
from tests.hub import attempts_of, attempts_when, node_when
from tests.waiting import eventually, until

FOLDER = Path(__file__).parent
POWER_W = 100.0
SECRET = {"user": "reader", "password": "golden"}


class Line(msgspec.Struct, frozen=True):
    """One message: who sent it, where to, and its bytes as text."""

    sender: str
    subject: str
    body: str


class Head(msgspec.Struct, frozen=True):
    """What a hub must have for the session to be replayed: jobs and attempts, by the events that created them; and the key
    that the secrets of the session are sealed to."""

    jobs: list[Node]
    attempts: list[Node]
    key: str


class Tapped(MemoryMessages):
    """A message server that keeps what goes over it. `is_cut`: nothing of the agent's or for it arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Line] = []
        self.is_cut = False

    async def publish(self, subject: str, body: bytes) -> None:
        kind = subject.partition(".")[0]
        if kind in {"report", "beat", "secrets", "lease"}:
            sender = "agent"
        elif kind in {"committed", "sealed", "leased"}:
            sender = "hub"
        else:
            return await super().publish(subject, body)
        if self.is_cut:
            return None
        self.lines.append(Line(sender, subject, body.decode()))
        return await super().publish(subject, body)


class Connection:
    """One agent's, which ends with it."""

    connected = True

    def __init__(self, server: MemoryMessages) -> None:
        self._server = server
        self._receivers: list[Received] = []

    async def publish(self, subject: str, body: bytes) -> None:
        await self._server.publish(subject, body)

    async def subscribe(self, subject: str, received: Received) -> None:
        self._receivers.append(received)
        await self._server.subscribe(subject, received)

    def on_reconnect(self, call: Callable[[], None]) -> None:
        """It is never lost."""

    def leave(self) -> None:
        for received in self._receivers:
            self._server.unsubscribe(received)


async def _nobody(_: Call) -> Reply | None:
    return None


@asynccontextmanager
async def _hub(
    store: MemoryStore, bus: MemoryMessages, streams: MemoryStreams, safe: MemorySecrets
) -> AsyncIterator[None]:
    settings = Settings(database_url="golden:", nats_url="golden:", lease_ttl_s=2.0)
    task = asyncio.create_task(
        Program(settings, store, bus, streams, MemorySender(_nobody, Exposure(), 1.0), secrets=safe).run()
    )
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def _agent(bus: Tapped, streams: MemoryStreams, home: Path, public_key: str) -> AsyncIterator[Outbox]:
    runtime, line = SimulatedRuntime(Constant(POWER_W)), Connection(bus)
    edge = wire.EdgeReport(
        edge="e",
        at=datetime.now(UTC),
        cpu=4.0,
        memory_bytes=2**30,
        power_w=POWER_W,
        runtime="simulated",
        agent_version="0.1.0",
        labels={"rack": "a"},
        public_key=public_key,
        gpus={"nvidia": 1},
    )
    async with Outbox(SqliteJournal(home / "outbox.sqlite")) as outbox:
        agent, link = Agent(runtime, outbox, [edge]), Link(line, MemoryFeed(streams), outbox, "s", "e", ["e"])
        tasks = [asyncio.create_task(agent.run()), asyncio.create_task(link.run(agent.deliver, agent.tell_anew))]
        try:
            yield outbox
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            line.leave()
            await runtime.close()


async def _ended(store: Store, job: Node, phase: str) -> None:
    await node_when(store, job.path, lambda node: node.phase == phase, timeout_s=30.0)


async def record_session(folder: Path) -> None:
    """One agent's life: it registers, runs chunks, asks for secrets, is killed and finds what is left, and is cut off."""
    store, bus, streams, safe, key = memory_store(), Tapped(), MemoryStreams(), MemorySecrets(), PrivateKey.generate()
    await seed(store)
    group = await present(store, "/config/job-groups/default")
    await safe.put(Scope("default", group.uid), "database", hidden(SECRET))
    home = Path(tempfile.mkdtemp())
    asking = Asking(bus, "s", "e")
    asking._box, asking.public_key = SealedBox(key), base64.b64encode(bytes(key.public_key)).decode()
    answers: list[Any] = []
    await asking.listen(lambda *told: answers.append(told))
    async with _hub(store, bus, streams, safe):
        async with _agent(bus, streams, home, asking.public_key):
            steps = [{"name": "s", "image": "i", "secrets": [{"secret": "database", "key": "user", "env": "U"}]}]
            first = await new_job(store, "first", chunks=2, steps=steps, workWs=2 * 3.0 * POWER_W)
            running = await attempts_when(store, first, lambda found: any(one.phase == "running" for one in found))
            await asking.ask("e", running[0].path.rpartition("/")[2])
            await until(lambda: bool(answers))
            await _ended(store, first, "succeeded")
            second = await new_job(store, "second", workWs=1e9)
            await attempts_when(store, second, lambda found: any(one.phase == "running" for one in found))
            await done(store, Command("patchSpec", second.path, {"intent": "abort"}))
            await _ended(store, second, "aborted")
            third = await new_job(store, "third", workWs=1.0 * POWER_W)
            await attempts_when(store, third, lambda found: any(one.phase == "running" for one in found))
        async with _agent(bus, streams, home, asking.public_key) as outbox:
            await _ended(store, third, "succeeded")
            fourth = await new_job(store, "fourth", workWs=2.0 * POWER_W)
            await attempts_when(store, fourth, lambda found: any(one.phase == "running" for one in found))
            bus.is_cut = True
            await until(lambda: any(b'"succeeded"' in body for _, body in outbox.pending), timeout_s=30.0)
            _copy_outbox(home, folder)
        jobs = [await present(store, job.path) for job in (first, second, third, fourth)]
        attempts = [attempt for job in jobs for attempt in await attempts_of(store, job)]
    head = msgspec.json.encode(Head(jobs, attempts, base64.b64encode(bytes(key)).decode()))
    lines = [msgspec.json.encode(line) for line in bus.lines]
    (folder / "session.jsonl").write_bytes(b"".join(line + b"\n" for line in (head, *lines)))
    shutil.rmtree(home)


def _copy_outbox(home: Path, folder: Path) -> None:
    """As a crash would leave it."""
    for file in home.glob("outbox.sqlite*"):
        if not file.name.endswith("-shm"):
            shutil.copyfile(file, folder / file.name)


async def record_attempts(folder: Path) -> None:
    """What a process runtime keeps: one attempt that has ended, and one that runs."""
    home = Path(tempfile.mkdtemp())
    runtime = ProcessRuntime(site="s", edges=["e"], state_dir=home / "attempts")
    await runtime.open(lambda _: None)
    steps = (Step("one", "", "echo out; echo err >&2"), Step("two", "", "echo '{\"n\": 7}' > $SHARED_DIR/result.json"))
    ended, runs = (Work("s", "e", name, steps, {}, uid=f"uid-{name}") for name in ("ended", "runs"))
    for index in range(2):
        await runtime.start_step(ended, index)
        await eventually(lambda: _has_ended(runtime))
    await runtime.start_step(msgspec.structs.replace(runs, steps=(Step("long", "", "sleep 600"),)), 0)
    for name in ("ended", "runs"):
        _copy_attempt(home / "attempts" / name, folder / "attempts" / name)
    for name in ("ended", "runs"):
        await runtime.remove(name)
    await runtime.close()
    shutil.rmtree(home)


async def _has_ended(runtime: ProcessRuntime) -> bool:
    found = await runtime.observe("ended")
    return found is not None and found.steps[-1].phase == "exited"


def _copy_attempt(found: Path, kept: Path) -> None:
    """Without the links that lead elsewhere: what they show is put in their place."""
    kept.mkdir(parents=True)
    for file in found.iterdir():
        if file.is_file():
            shutil.copyfile(file, kept / file.name)
    (kept / "shared").mkdir()
    for file in (found / "shared").resolve().iterdir():
        shutil.copyfile(file, kept / "shared" / file.name)


def main(version: int) -> None:
    folder = FOLDER / str(version)
    folder.mkdir()
    asyncio.run(record_session(folder))
    asyncio.run(record_attempts(folder))
    sys.stdout.write(f"{len((folder / 'session.jsonl').read_bytes().splitlines()) - 1} messages\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
