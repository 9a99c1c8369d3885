"""Logs end to end: what steps write at an edge, as people read it at the gateway."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import httpx
import msgspec
import nats.errors
import pytest
import pytest_asyncio
from nats.js.api import AckPolicy, ConsumerConfig

from agents.logs.cutting import LIMIT_BYTES
from datamodel.errors import Transient
from datamodel.node import Node
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling import wire
from datamodel.scheduling.edges import inventory_path
from datamodel.scheduling.model import MODEL
from datamodel.transcripts.jetstream import STREAM, JetTranscripts
from deploy.local.nats import SITE
from tests.conftest import StartNats
from tests.feed import connected
from tests.gateway import Gateway, open_gateway, serving
from tests.graph import new_job
from tests.hub import agent_variables, attempts_of, node_when, running_hub
from tests.integration.test_rest_events import events
from tests.services import IMAGE, PrivateNats
from tests.waiting import eventually, until

BEATS = 4
SUSPECT_AFTER_S = 5.0
ROOT = Path(__file__).parents[2]
EDGE = "edge-1"
URL = "/v1/jobs/default/j/logs"
SAY = "i=0; while test $i -lt {count}; do echo line $i; i=$((i+1)); {pause}; done"


@dataclass
class Stand:
    """A hub with a gateway, and a place for one agent."""

    server: PrivateNats
    store: PostgresStore
    gateway: Gateway
    client: httpx.AsyncClient
    home: Path

    @asynccontextmanager
    async def agent(self, **settings: str) -> "AsyncIterator[asyncio.subprocess.Process]":
        """The agents' program, as a process of its own. It is killed in the end, if it runs."""
        environment = {
            **{name: value for name, value in os.environ.items() if name in {"PATH", "DOCKER_HOST"}},
            "PYTHONPATH": str(ROOT),
            **agent_variables(self.server.agent(SITE, EDGE)),
            "EDGE_SITE": SITE,
            "EDGE_NAME": EDGE,
            "EDGE_RUNTIME": "process",
            "EDGE_HOME": str(self.home),
            "EDGE_CPU": "8",
            **settings,
        }
        with (self.home / "agent.log").open("ab") as log:
            agent = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "agents"), cwd=ROOT, env=environment, stderr=log
            )
        try:
            await eventually(self._known, timeout_s=30.0)
            await node_when(self.store, inventory_path(SITE, EDGE), lambda node: node.phase == "online", timeout_s=30.0)
            yield agent
        finally:
            if agent.returncode is None:
                agent.kill()
            await agent.wait()

    async def job(self, *scripts: str, name: str = "j", **spec: Any) -> Node:
        steps = [{"name": f"step-{index}", "image": "i", "script": script} for index, script in enumerate(scripts)]
        return await new_job(self.store, name, steps=steps, **spec)

    async def text(self, url: str = URL, **parameters: Any) -> str:
        answer = await self.client.get(url, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.text

    async def text_when(self, holds: Callable[[str], bool], url: str = URL, *, timeout_s: float = 20.0) -> str:
        """The log as text, once it is as wanted."""
        found: list[str] = []

        async def read() -> bool:
            answer = await self.client.get(url)
            found[:] = [answer.text]
            return answer.status_code == 200 and holds(answer.text)

        try:
            await eventually(read, timeout_s=timeout_s)
        except TimeoutError:
            raise AssertionError(found) from None
        return found[0]

    async def _known(self) -> bool:
        return bool(await self.store.nodes([inventory_path(SITE, EDGE)]))


@pytest_asyncio.fixture
async def stand(database_url: str, nats_server: StartNats, tmp_path: Path) -> AsyncIterator[Stand]:
    server = await nats_server()
    async with (
        PostgresStore(database_url, MODEL) as store,
        running_hub(database_url, server.access()),
        open_gateway(store, server.access("gateway")) as gateway,
        serving(gateway) as (_, client),
    ):
        yield Stand(server, store, gateway, client, tmp_path)


async def followed(client: httpx.AsyncClient, url: str = URL, **parameters: Any) -> list[Any]:
    """All events until the end of the stream."""
    async with client.stream("GET", url, params={"follow": "true", **parameters}, timeout=60) as answer:
        assert answer.status_code == 200
        return [event async for event in events(answer)]


def numbers(text: str) -> list[int]:
    return [int(line.removeprefix("line ")) for line in text.splitlines() if line.startswith("line ")]


async def assert_whole(stand: Stand, reading: asyncio.Task[list[Any]], count: int) -> None:
    """So many lines of `SAY` are there in the end, and were read by a follower, each once."""
    assert numbers(await stand.text_when(lambda text: text.endswith(f"line {count - 1}\n"))) == list(range(count))
    told = await reading
    assert numbers("".join(event.data["text"] for event in told[:-1])) == list(range(count))
    assert told[-1].data["complete"] is True


async def test_both_streams_of_all_steps_are_read_live_and_afterwards(stand: Stand) -> None:
    async with stand.agent():
        await stand.job(
            "echo out; echo err >&2; while ! test -e $SHARED_DIR/go; do sleep 0.05; done; echo more", "echo b"
        )
        reading = asyncio.create_task(followed(stand.client))
        await stand.text_when(lambda text: sorted(text.splitlines()) == ["err", "out"])
        (attempt,) = (stand.home / "attempts").iterdir()
        (attempt / "shared" / "go").touch()
        told = await reading
    assert [event.name for event in told] == ["line"] * 4 + ["end"]
    lines = [(event.data["step"], event.data["stream"], event.data["text"]) for event in told[:-1]]
    assert sorted(lines[:2]) == [("step-0", "stderr", "err\n"), ("step-0", "stdout", "out\n")]
    assert lines[2:] == [("step-0", "stdout", "more\n"), ("step-1", "stdout", "b\n")]
    assert told[-1].data["complete"] is True
    assert (await stand.text()).endswith("more\nb\n")
    assert await stand.text(stream="stderr") == "err\n"
    assert await stand.text(step="step-1") == "b\n"
    assert await stand.text(tail=1) == "b\n"


async def test_an_agent_that_is_killed_is_followed_by_one_that_goes_on_without_a_line_twice(stand: Stand) -> None:
    count = 250
    reading: asyncio.Task[list[Any]] | None = None
    async with stand.agent() as agent:
        await stand.job(SAY.format(count=count, pause="sleep 0.01"))
        await stand.text_when(lambda text: len(numbers(text)) > 20)
        reading = asyncio.create_task(followed(stand.client))
        agent.kill()
    before = numbers(await stand.text())
    async with stand.agent() as agent:
        await stand.text_when(lambda text: len(numbers(text)) > min(len(before), count - 1))  # it may have had its end
        agent.kill()
    async with stand.agent():
        await assert_whole(stand, reading, count)


async def test_what_is_written_while_the_server_is_away_comes_later(stand: Stand) -> None:
    count = 150
    async with stand.agent():
        await stand.job(SAY.format(count=count, pause="sleep 0.04"))
        await stand.text_when(lambda text: len(numbers(text)) > 10)
        reading = asyncio.create_task(followed(stand.client))
        await stand.server.kill()
        (attempt,) = (stand.home / "attempts").iterdir()
        record = attempt / "step-0.json"
        await eventually(lambda: _holds(b'"exit_code": 0' in record.read_bytes()))
        await stand.server.start()
        await assert_whole(stand, reading, count)
        await eventually(lambda: _holds(not attempt.exists()))  # it had waited for its log


async def test_a_server_that_lost_everything_gets_the_logs_of_what_runs_again(stand: Stand) -> None:
    count = 150
    async with stand.agent():
        await stand.job(SAY.format(count=count, pause="sleep 0.02"))
        await stand.text_when(lambda text: len(numbers(text)) > 10)
        reading = asyncio.create_task(followed(stand.client))
        await stand.server.kill()
        stand.server.wipe()
        await stand.server.start()
        await assert_whole(stand, reading, count)


async def test_a_flood_is_cut_and_marked_and_holds_nobody_up(stand: Stand) -> None:
    late_s: list[float] = []
    async with stand.agent(), connected(stand.server.access()) as bus:
        loop = asyncio.get_running_loop()
        heard_s = loop.time()

        def beat(_: str, __: bytes) -> None:
            nonlocal heard_s
            late_s.append(loop.time() - heard_s)
            heard_s = loop.time()

        await bus.subscribe(wire.beat_subject(SITE, "*"), beat)
        flood = await stand.job(
            "echo first; head -c 100000000 /dev/zero | tr '\\0' 'y' | fold -w 99; echo last", name="flood", chunks=6
        )
        quick = [await stand.job("echo quick", name=f"quick-{number}") for number in range(10)]
        for job in quick:
            begun_s = loop.time()
            await node_when(stand.store, job.path, lambda node: node.phase == "succeeded", timeout_s=30.0)
            assert loop.time() - begun_s < 15.0
        await node_when(stand.store, flood.path, lambda node: node.phase == "succeeded", timeout_s=60.0)
        text = await stand.text_when(
            lambda text: text.endswith("last\n"), "/v1/jobs/default/flood/logs?chunk=5", timeout_s=60.0
        )
        await until(lambda: len(late_s) >= BEATS)
        for job in quick:
            assert await stand.text_when(
                lambda text: text == "quick\n", f"/v1/jobs/default/{job.path.split('/')[-1]}/logs"
            )
    assert text.startswith("first\nyyy")
    assert 100_000 < len(text) <= LIMIT_BYTES + 1_000
    written = len(b"first\n") + 100_000_000 + -(-100_000_000 // 99) - 1 + len(b"last\n")
    (missing,) = re.findall(r"\n\[([0-9]+) bytes were more than a log holds\]\n", text)
    assert len(re.sub(r"\n?\[[^]]*\]\n", "", text)) + int(missing) == pytest.approx(written, abs=2)
    assert max(late_s) < SUSPECT_AFTER_S, "no beat is so late that the hub would suspect the edge"


async def test_every_try_at_a_chunk_has_its_log(stand: Stand) -> None:
    async with stand.agent():
        job = await stand.job("echo try $ATTEMPT; exit 1", retries=1, chunks=2)
        await node_when(stand.store, job.path, lambda node: node.phase == "failed", timeout_s=30.0)
        for attempt in await attempts_of(stand.store, job):
            name = attempt.path.rpartition("/")[2]
            _, chunk, epoch = name.rsplit("-", 2)
            url = f"{URL}?chunk={chunk}&epoch={epoch}"
            assert await stand.text_when(bool, url) == f"try {name}\n"
            assert await stand.text(attempt=name) == f"try {name}\n"
        assert (await stand.text(chunk=1)).endswith("-1-2\n")


async def test_a_reader_that_comes_back_goes_on_where_it_was(stand: Stand) -> None:
    async with stand.agent():
        await stand.job(SAY.format(count=50, pause=":"))
        told = await followed(stand.client)
        for at in (0, 7, 49):
            rest = await stand.client.get(URL, params={"follow": "true"}, headers={"Last-Event-ID": told[at].id})
            assert f"id: {told[at].id}\n" not in rest.text
            assert numbers(rest.text.replace("data: ", "\n").replace('"text":"', "\n").replace("\\n", "\n")) == list(
                range(at + 1, 50)
            )
        end = await stand.client.get(URL, params={"follow": "true"}, headers={"Last-Event-ID": told[-1].id})
        assert end.status_code == 204
        assert [event.name for event in await followed(stand.client, tail=2)] == ["line", "line", "end"]
        lines = await stand.client.get(URL, params={"tail": 2}, headers={"Accept": "application/x-ndjson"})
        assert [msgspec.json.decode(line)["text"] for line in lines.text.splitlines()] == ["line 48\n", "line 49\n"]


async def test_a_follower_waits_for_a_chunk_that_is_to_be_placed(stand: Stand) -> None:
    await stand.job("echo at last")
    assert (await stand.client.get(URL)).status_code == 404
    reading = asyncio.create_task(followed(stand.client))
    async with stand.agent():
        assert [event.data.get("text") for event in await reading] == ["at last\n", None]


async def test_an_edge_speaks_for_its_own_site_alone(stand: Stand) -> None:
    async with connected(stand.server.agent(SITE, "edge-1")) as bus:
        transcripts = JetTranscripts(bus)
        await eventually(lambda: _taken(transcripts, f"{SITE}.edge-1.a"))
        refused = (
            transcripts.append("attic.edge-1.a", 0, b""),
            transcripts.last("attic.edge-1.a"),
            transcripts.read(f"{SITE}.edge-1.a", 0),
        )
        # A server does not answer what it forbids, so each is given up after a while.
        outcomes = await asyncio.gather(*refused, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Transient] * 3
        for name in ("", "C"):
            config = ConsumerConfig(name=name or None, ack_policy=AckPolicy.NONE, inactive_threshold=5)
            with pytest.raises(nats.errors.Error):
                await bus.client.jsm(timeout=0.5).add_consumer(STREAM, config)
    async with connected(stand.server.access()) as bus:
        assert (await bus.manager.stream_info(STREAM)).state.messages == 1


async def _holds(fact: bool) -> bool:  # noqa: FBT001 - for `eventually`
    return fact


async def _taken(transcripts: JetTranscripts, key: str) -> bool:
    try:
        await transcripts.append(key, 0, b"mine")
    except Transient:
        return False
    return True


@pytest.mark.docker
async def test_containers_are_read_like_processes(stand: Stand, docker_engine: docker.DockerClient) -> None:
    def image(scripts: tuple[str, ...]) -> list[dict[str, str]]:
        return [{"name": f"step-{k}", "image": IMAGE, "script": script} for k, script in enumerate(scripts)]

    flooded = 1_000_000  # lines, of which the engine keeps some 25,000
    async with stand.agent(EDGE_RUNTIME="docker") as agent:
        say = SAY.format(count=100, pause="sleep 0.1")
        requests = {"cpu": 0.5, "memoryBytes": 64 * 1024 * 1024}
        job = await new_job(stand.store, steps=image((f"echo err >&2; {say}", "echo b")), requests=requests)
        await new_job(stand.store, "flood", steps=image((f"seq {flooded}",)), requests=requests)
        await stand.text_when(lambda text: len(numbers(text)) > 10, timeout_s=60.0)
        agent.kill()
    async with stand.agent(EDGE_RUNTIME="docker"):
        told = await followed(stand.client)
        await node_when(stand.store, job.path, lambda node: node.phase == "succeeded", timeout_s=60.0)
        flood = await stand.text_when(
            lambda text: text.endswith(f"\n{flooded}\n"), "/v1/jobs/default/flood/logs", timeout_s=60.0
        )
        mine: dict[str, str | list[str] | bool] = {"label": [f"tendril.site={SITE}", f"tendril.edge={EDGE}"]}
        await eventually(
            lambda: _holds(not docker_engine.containers.list(all=True, ignore_removed=True, filters=mine)),
            timeout_s=30.0,
        )
    text = "".join(event.data["text"] for event in told[:-1])
    assert numbers(text) == list(range(100))
    assert text.endswith("line 99\nb\n")
    assert [event.data["stream"] for event in told[:-1]].count("stderr") == 1
    assert told[-1].data["complete"] is True
    kept = [int(line) for line in flood.splitlines() if line.isdecimal()]
    assert kept == sorted(set(kept))
    assert "[bytes that nobody counted were more than a log holds]\n" in flood
