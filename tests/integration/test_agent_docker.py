"""An agent over a real Docker engine, without a hub: limits of time, refusals, and what nobody wants."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import docker
import msgspec
import pytest

from agents.loop import Agent
from agents.outbox import Outbox
from agents.runtimes.docker.runtime import DockerRuntime
from agents.runtimes.protocol import Step, Work
from agents.sqlite_journal import SqliteJournal
from datamodel.ports import FeedItem, Message, Restarted, Synced
from datamodel.scheduling import wire
from tests.services import IMAGE
from tests.waiting import until

SITE = "site-agent-docker"
WAIT_S = 60.0

pytestmark = pytest.mark.docker


def message(number: int, script: str, *, step: dict[str, Any] | None = None, **asked: Any) -> Message:
    spec = {
        "index": number,
        "count": 9,
        "steps": [{"name": "s", "image": IMAGE, "script": script, **(step or {})}],
        "requests": {"memoryBytes": 2**26},
        **asked,
    }
    path = f"/desired-config/sites/{SITE}/edges/e/attempts/agent-docker-{number}"
    encoded = msgspec.Raw(msgspec.json.encode(spec))
    return Message(path, f"u{number}", "Attempt", 1, generation=1, spec=encoded, status=msgspec.Raw(b"{}"))


class Alone:
    """The agent and what it has told last of each attempt."""

    def __init__(self, agent: Agent, outbox: Outbox, runtime: DockerRuntime) -> None:
        self.agent, self.outbox, self.runtime = agent, outbox, runtime

    def show(self, *messages: Message) -> None:
        present: tuple[FeedItem, ...] = (Restarted(), *messages, Synced())
        for item in present:
            self.agent.deliver(item)

    def told(self, number: int) -> wire.AttemptReport | None:
        reports = [wire.decode_report(body) for _, body in self.outbox.pending]
        mine = [one for one in reports if isinstance(one, wire.AttemptReport)]
        return next((one for one in reversed(mine) if one.attempt == f"agent-docker-{number}"), None)

    async def end(self, number: int) -> tuple[str, str, str]:
        await until(lambda: (told := self.told(number)) is not None and told.phase != "running", timeout_s=WAIT_S)
        report = self.told(number)
        assert report is not None
        return report.phase, report.reason, report.message


@asynccontextmanager
async def alone(home: Path) -> AsyncIterator[Alone]:
    runtime = DockerRuntime(site=SITE, edges=["e"])
    async with Outbox(SqliteJournal(home / "outbox.sqlite")) as outbox:
        agent = Agent(runtime, outbox, [])
        task = asyncio.create_task(agent.run())
        one = Alone(agent, outbox, runtime)
        try:
            yield one
            one.show()
            async with asyncio.timeout(WAIT_S):
                while await runtime.discover():  # noqa: ASYNC110 - the engine sets no event of ours
                    await asyncio.sleep(0.05)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await runtime.close()


@pytest.mark.usefixtures("docker_engine")
async def test_what_runs_too_long_is_ended_also_where_it_ignores_term(tmp_path: Path) -> None:
    async with alone(tmp_path) as one:
        polite, stubborn = "sleep 1000", "trap '' TERM; while :; do sleep 0.1; done"
        limits = {"timeoutS": 1.0, "graceS": 2.0}
        began_s = time.monotonic()
        one.show(message(0, polite, limits=limits), message(1, stubborn, limits=limits), message(2, "sleep 2"))
        assert await one.end(0) == ("failed", "TimedOut", "it ran longer than 1 s")
        assert await one.end(1) == ("failed", "TimedOut", "it ran longer than 1 s; it ignored TERM and was killed")
        assert time.monotonic() - began_s < 10, "the grace is the job's, and not what is usual"
        assert await one.end(2) == ("succeeded", "", "")


@pytest.mark.usefixtures("docker_engine")
async def test_what_is_refused_fails_beside_what_runs(tmp_path: Path) -> None:
    async with alone(tmp_path) as one:
        absent = {"image": "127.0.0.1:9/none"}
        one.show(
            message(0, "true", network="host"),
            message(1, "true", step={"user": "0"}),
            message(2, "true", step=absent),
            message(3, "true", step={**absent, "pullPolicy": "Never"}),
            message(4, "true"),
        )
        assert [(await one.end(number))[:2] for number in range(5)] == [
            ("failed", "NetworkForbidden"),
            ("failed", "RootForbidden"),
            ("failed", "PullFailed"),
            ("failed", "ImageNeverPulled"),
            ("succeeded", ""),
        ]


async def test_what_nobody_wants_is_ended_and_removed(tmp_path: Path, docker_engine: docker.DockerClient) -> None:
    before = DockerRuntime(site=SITE, edges=["e"])
    await before.open(lambda _: None)
    work = Work(SITE, "e", "agent-docker-7", (Step("s", IMAGE, "sleep 1000"),), {})
    await before.start_step(work, 0)
    await before.close()
    docker_engine.volumes.create("tendril-agent-docker-8", labels=_labels("agent-docker-8"))
    async with alone(tmp_path) as one:
        one.show()
        site: dict[str, Any] = {"label": f"tendril.site={SITE}"}
        engine = docker_engine.api
        await until(
            lambda: not engine.containers(all=True, filters=site) and not engine.volumes(filters=site)["Volumes"],
            timeout_s=WAIT_S,
        )
        assert one.told(7) is None


def _labels(attempt: str) -> dict[str, str]:
    return {"tendril.site": SITE, "tendril.edge": "e", "tendril.attempt": attempt}
