"""Exclusive jobs: what agents are granted, when chunks go elsewhere, and what the steps themselves saw of it."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from datamodel.command import Command
from datamodel.feed.bus import Bus
from datamodel.identity.envelope import seal
from datamodel.node import Node
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling import leases, windows, wire
from datamodel.scheduling.edges import desired_path, inventory_path
from datamodel.scheduling.model import MODEL
from datamodel.scheduling.windows import BOOT_BITS
from tests.graph import EDGE, SYSTEM, done, edge_spec, new_job, present, report
from tests.hub import agent_variables, attempts_when, heard, node_when, running_hub
from tests.services import PrivateNats, agent_key
from tests.waiting import until

ROOT = Path(__file__).parents[2]
LEASE_S = 5.0
EXCLUSIVE: dict[str, Any] = {"policy": "exclusive", "leaseS": LEASE_S}
SOON: dict[str, Any] = {"suspect_after_s": 4.0, "disconnected_after_s": 5.0, "lost_after_s": 600.0}
SOONER: dict[str, Any] = {"suspect_after_s": 0.5, "disconnected_after_s": 1.0, "lost_after_s": 600.0}
TICKS = """
trap '' TERM
while test $CHUNK_EPOCH = 1 -o ${n:-0} -lt 10; do date +%s.%N >>DIRECTORY/$ATTEMPT; n=$((${n:-0}+1)); sleep 0.1; done
"""


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(database_url, MODEL) as store:
        yield store


@pytest.fixture
def ticks() -> Iterator[Path]:
    """Where steps of any user write down when they run."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


def read(ticks: Path) -> dict[str, list[float]]:
    """By the epoch of its attempt, when a step ran, in seconds since 1970."""
    return {
        path.name.rpartition("-")[2]: [float(line) for line in path.read_text().split()] for path in ticks.iterdir()
    }


@asynccontextmanager
async def agent(
    store: PostgresStore, server: PrivateNats, home: Path, edge: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The agents' program of an edge of site `s`, which is online. It is killed in the end."""
    environment = {
        **{name: value for name, value in os.environ.items() if name in {"PATH", "COVERAGE_PROCESS_START"}},
        "PYTHONPATH": str(ROOT),
        **agent_variables(server.agent("s", edge)),
        "EDGE_SITE": "s",
        "EDGE_NAME": edge,
        "EDGE_RUNTIME": "process",
        "EDGE_HOME": str(home),
        "EDGE_CPU": "2",
        "EDGE_SANDBOX": "false",
    }
    with home.with_suffix(".log").open("ab") as log:
        command = sys.executable, "-m", "agents"
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stderr=log)
    try:
        path = inventory_path("s", edge)
        await until_known(store, path)
        await node_when(store, path, lambda node: node.phase == "online", timeout_s=20.0)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until_known(store: PostgresStore, path: str) -> None:
    async with asyncio.timeout(20):
        while not await store.nodes([path]):  # noqa: ASYNC110 - what the hub does sets no event of ours
            await asyncio.sleep(0.02)


async def test_the_chunk_of_a_killed_agent_runs_elsewhere_once_its_guard_has_ended_it(
    store: PostgresStore, server: PrivateNats, database_url: str, tmp_path: Path, ticks: Path
) -> None:
    steps = [{"name": "tick", "image": "i", "script": TICKS.replace("DIRECTORY", str(ticks))}]
    async with running_hub(database_url, server.access(), **SOON), agent(store, server, tmp_path / "e", "e") as killed:
        edge = await present(store, inventory_path("s", "e"))
        assert edge.spec["guards"] is True
        job = await new_job(store, chunks=1, steps=steps, retries=0, cutOff=EXCLUSIVE)
        (first,) = await attempts_when(store, job, lambda found: [one.phase for one in found] == ["running"])
        await asyncio.sleep(1.5 * LEASE_S)  # so it has been renewed
        assert (await present(store, first.path)).phase == "running"
        async with agent(store, server, tmp_path / "f", "f"):
            killed.kill()
            await killed.wait()
            at_s = time.time()
            first, second = await attempts_when(store, job, lambda found: len(found) == 2, timeout_s=30.0)
            assert time.time() - at_s > LEASE_S / 2, "its lease was young"
            assert (first.spec["intent"], first.spec["intentReason"]) == ("abandon", "LeaseOver")
            assert "/f/" in second.path
            assert (await store.pools([inventory_path("s", "e")]))[inventory_path("s", "e")].used
            await node_when(store, job.path, lambda node: node.phase == "succeeded", timeout_s=20.0)
            async with agent(store, server, tmp_path / "e", "e"):
                told = await node_when(
                    store, first.path, lambda node: node.phase not in ("pending", "running"), timeout_s=20.0
                )
                assert told.status["settlement"] == "superseded"
    ran = read(ticks)
    assert sorted(ran) == ["1", "2"]
    assert ran["1"][-1] - ran["1"][0] > LEASE_S
    assert at_s < ran["1"][-1] < at_s + LEASE_S + leases.GUARD_S
    assert ran["1"][-1] < ran["2"][0], "one at a time"
    assert len(ran["2"]) == 10


class Asking:
    """An agent of edge `e` of site `s`, as the hub hears it: its newest start is `boot`, and it asks when it is told to."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.boot = 0
        self.committed: list[wire.Committed] = []
        self.answers: list[leases.LeaseAnswer] = []
        self._number = 0

    async def listen(self) -> None:
        await self._bus.subscribe(
            wire.committed_subject("s", "e"), lambda _, body: self.committed.append(wire.decode_committed(body))
        )
        await self._bus.subscribe(
            leases.answer_subject("s", "e"), lambda _, body: self.answers.append(leases.decode_answer(body))
        )

    async def start(self, *, after: int = 0) -> None:
        """It is started, and believed."""
        self.boot = ((after >> BOOT_BITS) + 1) << BOOT_BITS | 7
        window = windows.Window(2, "s", "e", "1", 1, [], boot=self.boot, after=after, host="here")
        self.committed.clear()
        await self._say(wire.report_subject("s", "e"), wire.encode(window))
        await until(lambda: any(one.boot == self.boot for one in self.committed))

    async def ask(self, *attempts: str, boot: int = 0, edge: str = "e") -> int:
        """The number of the question."""
        self._number += 1
        held = tuple(leases.Held(edge, path.rpartition("/")[2]) for path in attempts)
        ask = leases.LeaseAsk(2, "s", "e", boot or self.boot, self._number, held)
        await self._say(leases.ask_subject("s", "e"), leases.encode(ask))
        return self._number

    async def answered(self, number: int) -> dict[str, float]:
        """What was granted to a question."""
        await until(lambda: any(answer.number == number for answer in self.answers))
        return next(answer.holds for answer in self.answers if answer.number == number)

    async def _say(self, subject: str, body: bytes) -> None:
        await self._bus.client.publish(subject, seal(agent_key("s", "e"), subject, body))


async def guarded(store: PostgresStore, *edges: str) -> None:
    """Edges of site `s` that can end what has a lease."""
    sites = Command("apply", "/inventory/sites/s"), Command("apply", "/desired-config/sites/s")
    await done(store, *sites, *(Command("create", desired_path("s", edge)) for edge in edges), actor=SYSTEM)
    for edge in edges:
        spec = {**edge_spec(), "agent": edge, "guards": True}
        await done(store, Command("create", inventory_path("s", edge), spec), actor=EDGE)


async def running_attempt(store: PostgresStore, name: str, **spec: Any) -> tuple[Node, str]:
    job = await new_job(store, name, chunks=1, **spec)
    (first,) = await attempts_when(store, job, lambda found: len(found) == 1)
    await report(store, first.path, phase="running", percent=10.0)
    return job, first.path


async def leave(store: PostgresStore, path: str) -> None:
    """An attempt's edge is drained."""
    body = {"intent": "abandon", "intentReason": "EdgeDrained"}
    await done(store, Command("patchSpec", path, body), actor=SYSTEM)


async def test_what_an_agent_is_granted_and_what_not(
    store: PostgresStore, bus: Bus, server: PrivateNats, database_url: str
) -> None:
    await guarded(store, "e")
    asking = Asking(bus)
    await asking.listen()
    async with running_hub(database_url, server.access(), **SOONER), heard(bus, "e"):
        await node_when(store, inventory_path("s", "e"), lambda node: node.phase == "online")
        _, one = await running_attempt(store, "one", cutOff=EXCLUSIVE)
        _, two = await running_attempt(store, "two", cutOff={"policy": "exclusive"})
        _, plain = await running_attempt(store, "plain")
        await asking.start()
        paths = one, two, plain
        assert await asking.answered(await asking.ask(*paths, "nothing")) == {
            one.rpartition("/")[2]: LEASE_S,
            two.rpartition("/")[2]: 60.0,
        }
        refused = [
            await asking.ask(one, boot=asking.boot - 1),
            await asking.ask(one, boot=asking.boot + 1),
            await asking.ask(one, edge="f"),
            await asking.ask(plain),
        ]
        former = asking.boot
        await asking.start(after=former)
        asking.committed.clear()
        refused.append(await asking.ask(one, boot=former))
        told = "", asking.boot
        await until(lambda: any((word.incarnation, word.boot) == told for word in asking.committed))
        assert await asking.answered(await asking.ask(two)) == {two.rpartition("/")[2]: 60.0}
        await leave(store, one)
        refused.append(await asking.ask(one))
        await report(store, two, phase="succeeded")
        refused.append(await asking.ask(two))
        _, last = await running_attempt(store, "last", cutOff=EXCLUSIVE)
        await asking.answered(await asking.ask(one, two, last))
        assert {answer.number for answer in asking.answers}.isdisjoint(refused)
        assert asking.answers[-1].holds == {last.rpartition("/")[2]: LEASE_S}


async def test_a_lease_outlives_who_granted_it_and_is_over_when_nobody_grants_it_any_more(
    store: PostgresStore, bus: Bus, server: PrivateNats, database_url: str
) -> None:
    await guarded(store, "e", "f")
    asking = Asking(bus)
    await asking.listen()
    async with running_hub(database_url, server.access(), **SOONER), heard(bus, "e"):
        await node_when(store, inventory_path("s", "e"), lambda node: node.phase == "online")
        job, path = await running_attempt(store, "j", cutOff=EXCLUSIVE)
        await asking.start()
        await asking.answered(await asking.ask(path))
    async with running_hub(database_url, server.access(), **SOONER), heard(bus, "f"):
        began_s = time.monotonic()
        edge = inventory_path("s", "e")
        await node_when(store, edge, lambda node: node.phase == "disconnected")
        assert (await present(store, path)).spec["intent"] == "run"
        await asyncio.sleep(2.0)
        granted_s = time.monotonic()
        await asking.answered(await asking.ask(path))  # its questions are heard, if nothing else
        first, second = await attempts_when(store, job, lambda found: len(found) == 2, timeout_s=20.0)
        assert time.monotonic() - granted_s >= leases.over_after_s(LEASE_S)
        assert granted_s > began_s
        assert (first.spec["intentReason"], first.phase) == ("LeaseOver", "running")
        assert "/f/" in second.path
        assert (await store.pools([edge]))[edge].used["cpu"] == 250, "nobody has told its end"
        late = await asking.ask(path)
        await report(store, path, phase="succeeded")
        assert (await present(store, path)).status["settlement"] == "superseded"
        assert all(answer.number != late for answer in asking.answers)
        (entry,) = await store.entries(job.uid)
        assert (entry.epoch, entry.failures) == (2, 0)


async def test_what_is_to_leave_its_edge_is_asked_to_and_replaced_after_its_end_or_its_lease(
    store: PostgresStore, bus: Bus, server: PrivateNats, database_url: str
) -> None:
    await guarded(store, "e", "f")
    asking = Asking(bus)
    await asking.listen()
    async with running_hub(database_url, server.access(), **SOONER), heard(bus, "e"):
        await node_when(store, inventory_path("s", "e"), lambda node: node.phase == "online")
        ends, ended = await running_attempt(store, "ends", cutOff=EXCLUSIVE)
        stays, kept = await running_attempt(store, "stays", cutOff=EXCLUSIVE)
        await asking.start()
        async with heard(bus, "f"):
            await node_when(store, inventory_path("s", "f"), lambda node: node.phase == "online")
            granted_s = time.monotonic()
            await asking.answered(await asking.ask(ended, kept))
            for path in (ended, kept):
                await leave(store, path)
            await report(store, ended, phase="stopped")
            await attempts_when(store, ends, lambda found: len(found) == 2)
            (only,) = await attempts_when(store, stays, bool)
            assert only.spec["intentReason"] == "EdgeDrained"
            found = await attempts_when(store, stays, lambda found: len(found) == 2, timeout_s=20.0)
            assert time.monotonic() - granted_s >= leases.over_after_s(LEASE_S)
            assert found[0].spec["intentReason"] == "LeaseOver"
