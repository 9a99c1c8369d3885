"""Sessions and files of former versions: today's hub answers them, today's agent speaks to them and goes on from them."""

import asyncio
import base64
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from nacl.public import PrivateKey, SealedBox

from agents.link import Link
from agents.memory_journal import Content, Disk, MemoryJournal
from agents.outbox import Outbox
from agents.runtimes.process.directory import AttemptDirectory
from agents.runtimes.process.identity import identify
from agents.secrets.asking import Asking
from agents.sqlite_journal import SqliteJournal
from datamodel.appender import Appender
from datamodel.command import Command
from datamodel.feed.memory import MemoryFeed, MemoryMessages, MemoryStreams
from datamodel.memory import MemoryStore
from datamodel.node import Node
from datamodel.scheduling import handover, wire
from datamodel.scheduling.logs import Dropped
from datamodel.seeds import seed
from reconcilers.ingest import Ingest
from reconcilers.runtime.controller import Controller
from reconcilers.runtime.metrics import Metrics
from reconcilers.runtime.shards import Shards, lease_name
from tests.golden.wire.record import FOLDER, SECRET, Head, Line
from tests.graph import SYSTEM, done, memory_store, present
from tests.waiting import until

VERSIONS = sorted(int(folder.name) for folder in FOLDER.iterdir() if folder.name.isdecimal())


class Session(NamedTuple):
    """A recorded one."""

    folder: Path
    head: Head
    lines: list[Line]

    def bodies(self, sender: str, subject: str) -> list[bytes]:
        return [line.body.encode() for line in self.lines if (line.sender, line.subject) == (sender, subject)]

    @property
    def reports(self) -> dict[int, bytes]:
        """By number, what the agent told."""
        windows = [json.loads(body) for body in self.bodies("agent", "report.s.e")]
        raw = [msgspec.json.decode(body, type=_Reports) for body in self.bodies("agent", "report.s.e")]
        return {
            window["first"] + k: bytes(report)
            for window, one in zip(windows, raw, strict=True)
            for k, report in enumerate(one.reports)
        }

    @property
    def incarnation(self) -> str:
        found: str = json.loads(self.bodies("agent", "report.s.e")[0])["incarnation"]
        return found


class _Reports(msgspec.Struct):
    reports: list[msgspec.Raw]


class WindowOfOne(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """As version 1 of the hub read it: it answered nothing else."""

    version: int
    site: str
    agent: str
    incarnation: str
    first: int
    reports: list[msgspec.Raw]


@pytest.fixture(params=VERSIONS)
def session(request: pytest.FixtureRequest) -> Session:
    folder = FOLDER / str(request.param)
    head, *lines = (folder / "session.jsonl").read_bytes().splitlines()
    return Session(
        folder, msgspec.json.decode(head, type=Head), [msgspec.json.decode(line, type=Line) for line in lines]
    )


@asynccontextmanager
async def hub(store: MemoryStore, messages: MemoryMessages) -> AsyncIterator[None]:
    shards, metrics = Shards(store, ttl_s=5.0), Metrics()
    async with Appender(store) as appender, asyncio.TaskGroup() as group:
        ingest = Ingest(store, appender, messages, metrics)
        controller = Controller(ingest, shards, metrics, workers=2)
        await ingest.listen(controller.wake)
        tasks = [group.create_task(shards.run()), group.create_task(controller.run())]
        await until(lambda: all(shards.fence(lease_name("ingest", shard)) for shard in range(ingest.shards)))
        yield
        for task in tasks:
            task.cancel()


async def place(store: MemoryStore, head: Head, attempt: Node) -> None:
    """Makes what was there when the attempt was told of: as its job and itself were created, under the same uids."""
    job = next(job for job in head.jobs if job.uid == attempt.links["job"][0])
    commands = [Command("create", attempt.path, attempt.spec, uid=attempt.uid, links={"job": (job.path,)})]
    if not await store.nodes([job.path]):
        commands.insert(0, Command("create", job.path, job.spec, uid=job.uid))
    await done(store, *commands[:-1])
    await done(store, commands[-1], actor=SYSTEM)


async def test_the_hub_answers_as_it_did(session: Session) -> None:
    store, messages, answers = memory_store(), MemoryMessages(), list[bytes]()
    await seed(store)
    await done(
        store,
        Command("apply", "/desired-config/sites/s"),
        Command("create", "/desired-config/sites/s/edges/e"),
        actor=SYSTEM,
    )
    await messages.subscribe(wire.committed_subject("s", "e"), lambda _, body: answers.append(body))
    placed: set[str] = set()
    expected = iter(session.bodies("hub", wire.committed_subject("s", "e")))
    async with hub(store, messages):
        for window in session.bodies("agent", wire.report_subject("s", "e")):
            for attempt in session.head.attempts:
                name = attempt.path.rpartition("/")[2]
                if name.encode() in window and name not in placed:
                    placed.add(name)
                    await place(store, session.head, attempt)
            answers.clear()
            await messages.publish(wire.report_subject("s", "e"), window)
            await until(lambda: bool(answers))
            was, now = json.loads(next(expected)), json.loads(answers[-1])
            assert {name: now[name] for name in was} == was
    assert len(placed) >= 3
    for attempt in session.head.attempts:
        if attempt.path.rpartition("/")[2] in placed:
            assert (await present(store, attempt.path)).status == attempt.status
    assert (await present(store, "/inventory/sites/s/edges/e")).spec["capacity"]["cpu"] == 4.0


def test_the_hub_reads_its_heartbeats(session: Session) -> None:
    beats = [wire.decode_beat(body) for body in session.bodies("agent", "beat.s")]
    assert beats
    assert {(beat.site, beat.agent, tuple(beat.edges), beat.hosted) for beat in beats} == {("s", "e", ("e",), 1)}


async def test_secrets_are_asked_for_and_opened_as_they_were(session: Session) -> None:
    (question,) = session.bodies("agent", handover.ask_subject("s", "e"))
    ask = handover.decode_ask(question)
    messages, told = MemoryMessages(), list[object]()
    asking = Asking(messages, "s", "e")
    asking._box = SealedBox(PrivateKey(base64.b64decode(session.head.key)))
    await asking.listen(lambda _, what: told.append(what))
    asking._asked[ask.attempt] = ask.nonce
    (answer,) = session.bodies("hub", handover.answer_subject("s", "e"))
    await messages.publish(handover.answer_subject("s", "e"), answer)
    (handed,) = told
    assert isinstance(handed, handover.Handed)
    assert handed.secrets["database"]["user"] == SECRET["user"]


async def test_the_agent_tells_a_former_hub_what_it_told_it(session: Session) -> None:
    """The hub reads and answers as that of version 1 did: strictly, and nothing where it cannot read."""
    messages, reports = MemoryMessages(), session.reports
    taken: dict[int, bytes] = {}

    def on_window(_: str, body: bytes) -> None:
        try:
            window = msgspec.json.decode(body, type=WindowOfOne)
        except msgspec.DecodeError:
            return
        if window.version != 1:
            return
        for number, report in enumerate(window.reports, window.first):
            if number == len(taken) + 1:
                taken[number] = bytes(report)
        answer = {"incarnation": window.incarnation, "through": len(taken), "gap": window.first > len(taken) + 1}
        asyncio.get_running_loop().create_task(
            messages.publish(wire.committed_subject("s", "e"), json.dumps(answer).encode())
        )

    await messages.subscribe(wire.report_subject("s", "e"), on_window)
    disk = Disk(Content(session.incarnation, reports, len(reports)))
    async with Outbox(MemoryJournal(disk)) as outbox:
        link = Link(messages, MemoryFeed(MemoryStreams()), outbox, "s", "e", ["e"])
        task = asyncio.create_task(link.run(lambda _: None, lambda: None))
        await until(lambda: not outbox.pending)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert outbox.incarnation == session.incarnation
    assert taken == reports


async def test_an_outbox_is_opened_and_goes_on(session: Session, tmp_path: Path) -> None:
    for file in session.folder.glob("outbox.sqlite*"):
        shutil.copyfile(file, tmp_path / file.name)
    reports = session.reports
    async with Outbox(SqliteJournal(tmp_path / "outbox.sqlite")) as outbox:
        assert outbox.incarnation == session.incarnation
        assert not outbox.confirmed, "the hub may be further than this copy"
        kept = dict(outbox.pending)
        assert {number: kept[number] for number in kept.keys() & reports.keys()} == {
            number: reports[number] for number in kept.keys() & reports.keys()
        }
        last = wire.decode_report(outbox.pending[-1][1])
        assert isinstance(last, wire.AttemptReport)
        assert last.phase == "succeeded"
        assert await outbox.add(b"{}") == max(kept) + 1
    async with Outbox(SqliteJournal(tmp_path / "outbox.sqlite")) as outbox:
        assert outbox.pending[-1] == (max(kept) + 1, b"{}")


def test_a_process_that_has_ended_is_adopted(session: Session, tmp_path: Path) -> None:
    shutil.copytree(session.folder / "attempts", tmp_path / "attempts")
    found = AttemptDirectory(tmp_path / "attempts" / "ended")
    observed = found.observe()
    assert observed is not None
    assert (observed.site, observed.edge, observed.uid) == ("s", "e", "uid-ended")
    assert [(step.phase, step.exit_code) for step in observed.steps] == [("exited", 0), ("exited", 0)]
    assert found.result() == b'{"n": 7}\n'
    page = found.logs(0, "", 1000)
    assert sorted(part.data for part in page.parts if not isinstance(part, Dropped)) == [b"err\n", b"out\n"]


def test_a_process_that_runs_is_adopted_and_one_of_a_former_boot_has_vanished(session: Session, tmp_path: Path) -> None:
    shutil.copytree(session.folder / "attempts", tmp_path / "attempts")
    found = AttemptDirectory(tmp_path / "attempts" / "runs")
    observed = found.observe()
    assert observed is not None
    assert observed.steps[0].phase == "vanished"
    with subprocess.Popen(["sleep", "60"]) as process:
        record = tmp_path / "attempts" / "runs" / "step-0.json"
        shim = identify(process.pid)
        record.write_text(json.dumps({**json.loads(record.read_bytes()), "shim": shim}))
        observed = found.observe()
        process.kill()
    assert observed is not None
    assert observed.steps[0].phase == "running"
