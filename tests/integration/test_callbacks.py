"""Callbacks through the real programs, to a real server: what arrives, how often, and what the job's status says of it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from datamodel.command import Command
from datamodel.node import Node
from datamodel.postgres.secrets import PostgresSecrets
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from datamodel.secrets.keyring import Keyring, new_key
from datamodel.secrets.ports import Scope
from datamodel.secrets.value import hidden
from sim.chaos.machine import ROOT
from tests.conftest import StartNats
from tests.graph import done, new_job, present
from tests.hub import nats_variables, node_when, running_hub
from tests.receiver import NEVER, Receiver, receiving
from tests.services import PrivateNats
from tests.waiting import until

OPEN = {"callbacks_allow": "127.0.0.0/8", "callbacks_http": True, "callbacks_ports": "1-65535"}
SIGNING = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = bytes.fromhex("31f290f6bf0629 8aab4f08d43c3f082cf648a362da2da4b0".replace(" ", ""))


@dataclass
class Hub:
    """A database, a NATS server, and the reconcilers when they are started."""

    store: PostgresStore
    server: PrivateNats
    database_url: str

    @asynccontextmanager
    async def running(self, **settings: Any) -> AsyncIterator[None]:
        async with running_hub(self.database_url, self.server.access(), **{**OPEN, **settings}):
            yield

    @asynccontextmanager
    async def process(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """The reconcilers as a program of their own. It is killed in the end."""
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "TENDRIL_DATABASE_URL": self.database_url,
            **nats_variables(self.server.access()),
            "TENDRIL_LEASE_TTL_S": "1",
            **{f"TENDRIL_{name.upper()}": str(value) for name, value in OPEN.items()},
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "reconcilers", env=environment, stdout=asyncio.subprocess.DEVNULL
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def aborted(self, *urls: str, name: str = "j", **callback: Any) -> Node:
        """A job that has callbacks, and is asked to end. Nothing of it ever runs."""
        job = await new_job(self.store, name, callbacks=[{"url": url, **callback} for url in urls])
        await done(self.store, Command("patchSpec", job.path, {"intent": "abort"}))
        return job

    async def told(self, job: Node, *states: str, timeout_s: float = 20.0) -> list[dict[str, Any]]:
        """What became of the callbacks of its one notice, once they are in these states."""

        def holds(node: Node) -> bool:
            return [told["state"] for notice in node.status.get("callbacks", []) for told in notice["told"]] == [
                *states
            ]

        node = await node_when(self.store, job.path, holds, timeout_s=timeout_s)
        (notice,) = node.status["callbacks"]
        found: list[dict[str, Any]] = notice["told"]
        return found


@pytest_asyncio.fixture
async def hub(database_url: str, nats_server: StartNats) -> AsyncIterator[Hub]:
    async with PostgresStore(database_url, MODEL) as store:
        yield Hub(store, await nats_server(), database_url)


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


async def test_the_end_of_a_job_is_told_and_signed(hub: Hub, receiver: Receiver) -> None:
    key, group = new_key(), await present(hub.store, "/config/job-groups/default")
    async with PostgresSecrets(hub.database_url, Keyring.of(key).seal) as secrets:
        await secrets.put(Scope("default", group.uid), "hook", hidden({"value": SIGNING}))
    async with hub.running(secrets_keys=key):
        job = await hub.aborted(receiver.url("/hook?a=b"), secret="hook")  # its name
        (told,) = await hub.told(job, "delivered")
    (taken,) = receiver.taken
    node = await present(hub.store, job.path)
    assert taken.path == "/hook?a=b"
    assert taken.is_signed_with(KEY)
    assert not taken.is_signed_with(KEY[::-1])
    document = taken.document
    assert (document["format"], document["type"], document["id"]) == (1, "job.aborted", taken.headers["webhook-id"])
    data = document["data"]
    assert (data["job"], data["uid"], data["phase"]) == (job.path, job.uid, "aborted")
    assert data["finishedAt"] == node.status["finishedAt"]
    assert data["chunks"] == {"total": 1, "pending": 1}
    assert job.version < data["version"] < node.version
    assert told.keys() == {"callback", "state", "at"}
    assert SIGNING not in str(node)


async def test_it_is_told_at_least_once_though_the_reconcilers_are_killed(hub: Hub, receiver: Receiver) -> None:
    receiver.answer = lambda number: 204 if number else NEVER
    async with hub.process() as process:
        job = await hub.aborted(receiver.url())
        await until(lambda: len(receiver.taken) == 1, timeout_s=30.0)
        process.kill()
        await process.wait()
    node = await present(hub.store, job.path)
    assert [told["state"] for told in node.status["callbacks"][0]["told"]] == ["waiting"]
    async with hub.process():
        await hub.told(job, "delivered", timeout_s=30.0)
    first, second = receiver.taken
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


async def test_who_is_in_trouble_is_called_again_later_and_later(hub: Hub, receiver: Receiver) -> None:
    moments_s: list[float] = []

    def answer(number: int) -> int:
        moments_s.append(asyncio.get_running_loop().time())
        return 204 if number == 2 else 503

    receiver.answer = answer
    async with hub.running():
        job = await hub.aborted(receiver.url())
        (told,) = await hub.told(job, "waiting")
        await node_when(hub.store, job.path, lambda node: "Refused" in str(node.status["callbacks"]))
        await hub.told(job, "delivered")
    assert moments_s[1] - moments_s[0] + 0.1 >= 1.0
    assert moments_s[2] - moments_s[1] + 0.1 >= 2.0
    assert told["callback"] == 0


@pytest.mark.parametrize(
    ("answer", "settings", "reason"),
    [
        (302, {"callbacks_attempts": 1}, "Redirected"),
        (500, {"callbacks_attempts": 1}, "Refused"),
        (410, {}, "Gone"),
        (NEVER, {"callbacks_attempts": 1, "callbacks_timeout_s": 0.3}, "TimedOut"),
        (500, {"callbacks_give_up_s": 0.5}, "Refused"),
    ],
)
async def test_it_is_given_up_and_the_status_says_why(
    hub: Hub, receiver: Receiver, answer: int | str, settings: dict[str, Any], reason: str
) -> None:
    receiver.answer = lambda _: answer
    async with hub.running(**settings):
        (told,) = await hub.told(await hub.aborted(receiver.url()), "givenUp")
    assert told["reason"] == reason
    assert [taken.path for taken in receiver.taken] == ["/hook"], "nobody went elsewhere"


@pytest.mark.parametrize("settings", [{"callbacks_allow": ""}, {"callbacks_http": False}, {"callbacks_ports": "443"}])
async def test_what_the_operator_does_not_allow_is_not_called(
    hub: Hub, receiver: Receiver, settings: dict[str, Any]
) -> None:
    async with hub.running(callbacks_attempts=1, **settings):
        (told, named) = await hub.told(
            await hub.aborted(receiver.url(), receiver.url(host="localhost")), "givenUp", "givenUp"
        )
    assert (told["reason"], named["reason"]) == ("NotAllowed", "NotAllowed")
    assert receiver.connections == 0


async def test_receivers_that_hang_hold_up_nobody_else(hub: Hub, receiver: Receiver) -> None:
    async with receiving(lambda _: NEVER) as hanging, hub.running():
        for number in range(20):
            await hub.aborted(hanging.url(), name=f"hangs-{number}")
        await until(lambda: hanging.at_once > 0)
        await hub.told(await hub.aborted(receiver.url(), name="quick"), "delivered", timeout_s=5.0)
        assert hanging.most_at_once <= 4
        assert len(hanging.taken) < 20
