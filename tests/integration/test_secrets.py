"""Secrets end to end: put at the gateway, handed to an edge with an attempt, used by its steps, and shown by nobody."""

import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest_asyncio

from agents.secrets.strongbox import Strongbox
from datamodel.feed.bus import Bus
from datamodel.identity.envelope import seal
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.postgres.secrets import PostgresSecrets
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.handover import WIRE_VERSION, Ask, ask_subject, encode
from datamodel.scheduling.model import MODEL
from datamodel.secrets.keyring import Keyring, new_key
from deploy.local.nats import SITE
from tests.conftest import StartNats
from tests.feed import arrived, connected
from tests.gateway import open_gateway, serving
from tests.hub import attempts_when, running_hub
from tests.integration.test_logs import EDGE, Stand
from tests.services import agent_key
from tests.waiting import until

SECRETS = "/v1/secrets/default"
VALUE = "c0rrect h0rse/battery+staple"
KNOWN = ((SITE, EDGE, 1), (SITE, "edge-2", 1))


@dataclass
class Safe(Stand):
    """A hub with secrets, and a place for one agent."""

    database_url: str
    key: str

    async def put(self, name: str, value: Any) -> None:
        body = {"value": value} if isinstance(value, str) else {"data": value}
        answer = await self.client.put(f"{SECRETS}/{name}", json=body)
        assert answer.status_code == 200, answer.text

    async def run(self, *scripts: str | dict[str, str]) -> Node:
        """The attempt at a job of these, once it has ended."""
        job = await self.submitted(*scripts)
        (attempt,) = await attempts_when(self.store, job, _ended, timeout_s=30.0)
        return attempt

    async def submitted(self, *scripts: str | dict[str, str]) -> Node:
        """A job of one chunk, of a step for each script; all of them use the secrets that are named."""
        uses = [use for use in scripts if isinstance(use, dict)]
        steps = [
            {"name": f"step-{index}", "image": "i", "script": script, **({"secrets": uses} if uses else {})}
            for index, script in enumerate(script for script in scripts if isinstance(script, str))
        ]
        answer = await self.client.post("/v1/jobs", json={"name": "j", "steps": steps, "retries": 0})
        assert answer.status_code == 202, answer.text
        path = "/config/job-groups/default/jobs/j"
        return (await self.store.nodes([path]))[path]

    @asynccontextmanager
    async def hub(self) -> AsyncIterator[None]:
        async with running_hub(self.database_url, self.server.access(), agents=KNOWN, secrets_keys=self.key):
            yield

    @property
    def strongbox(self) -> Strongbox:
        """The agent's, as it finds it itself."""
        return Strongbox(self.home)


def _ended(attempts: Any) -> bool:
    return bool(attempts) and all(attempt.status.get("settlement") for attempt in attempts)


@pytest_asyncio.fixture
async def safe(database_url: str, nats_server: StartNats, tmp_path: Path) -> AsyncIterator[Safe]:
    """The hub itself does not run yet."""
    server, key = await nats_server(), new_key()
    async with (
        PostgresStore(database_url, MODEL) as store,
        PostgresSecrets(database_url, Keyring.of(key).seal) as secrets,
        open_gateway(store, server.access("gateway"), secrets=secrets) as gateway,
        serving(gateway) as (_, client),
    ):
        yield Safe(server, store, gateway, client, tmp_path, database_url, key)


ENV = {"secret": "database", "env": "PASSWORD"}
FILE = {"secret": "database", "file": "password"}


async def test_a_step_has_it_in_a_variable_and_in_a_file(safe: Safe) -> None:
    await safe.put("database", VALUE)
    await safe.put("pair", {"user": "reader", "password": "another one"})
    script = (
        f'test "$PASSWORD" = "{VALUE}" || exit 3; test "$(cat "$SECRETS_DIR/password")" = "{VALUE}" || exit 4;'
        ' test "$USER_NAME" = reader || exit 5; test "$(ls "$SECRETS_DIR")" = password || exit 6;'
        ' echo > "$SECRETS_DIR/more" && exit 7; test "$(id -u)" = 0 && exit 8; echo {} > "$SHARED_DIR/result.json"'
    )
    async with safe.hub(), safe.agent():
        attempt = await safe.run(script, ENV, FILE, {"secret": "pair", "key": "user", "env": "USER_NAME"})
        assert (attempt.phase, attempt.status.get("message")) == ("succeeded", "")
        await until(lambda: not safe.strongbox.attempts())
    assert attempt.spec["steps"][0]["secrets"][0] == {"secret": "database", "key": "value", "env": "PASSWORD"}


async def test_every_step_is_given_its_own_and_no_log_has_any(safe: Safe) -> None:
    await safe.put("database", VALUE)
    await safe.put("other", "0ther-value")
    half = len(VALUE) // 2
    first = f'echo "it is $PASSWORD"; printf "%s" "{VALUE[:half]}"; sleep 0.2; echo "{VALUE[half:]} >&2"; printf "$PASSWORD"'
    second = 'printf "%s" "$PASSWORD" | base64 >&2; echo "$PASSWORD" > $SHARED_DIR/f; base64 -w0 $SHARED_DIR/f; echo; echo end'
    async with safe.hub(), safe.agent():
        attempt = await safe.run(first, ENV, {"secret": "other", "file": "other"}, second)
        assert attempt.phase == "succeeded", attempt.status
        text = await safe.text_when(lambda text: "end\n" in text and "it is" in text)
    assert text.startswith("it is ***\n***")
    assert VALUE not in text
    assert VALUE[half:] not in text
    assert base64.b64encode(VALUE.encode()).decode()[:-4] not in text


async def test_a_secret_that_is_gone_ends_the_attempt_with_that_reason(safe: Safe) -> None:
    await safe.put("database", VALUE)
    async with safe.hub():
        job = await safe.submitted("true", ENV)
        assert (await safe.client.delete(f"{SECRETS}/database")).status_code == 204
        async with safe.agent():
            (attempt,) = await attempts_when(safe.store, job, _ended, timeout_s=30.0)
    assert (attempt.phase, attempt.status["reason"]) == ("failed", "SecretMissing")
    assert attempt.status["message"] == "the group default has no secret database"


async def test_an_attempt_waits_for_a_hub_that_does_not_hand_over(safe: Safe) -> None:
    """The hub that places it has no keys, as one whose operator has lost the file."""
    await safe.put("database", VALUE)
    asked: list[bytes] = []
    async with AsyncExitStack() as without, connected(safe.server.access()) as bus:
        await bus.subscribe("secrets.*.*", lambda _, body: asked.append(body))
        await without.enter_async_context(running_hub(safe.database_url, safe.server.access()))
        async with safe.agent():
            job = await safe.submitted(f'test "$PASSWORD" = "{VALUE}"', ENV)
            await until(lambda: len(asked) > 1)
            (attempt,) = await attempts_when(safe.store, job, bool)
            assert attempt.status.get("phase", "pending") == "pending"
            await without.aclose()
            async with safe.hub():
                (attempt,) = await attempts_when(safe.store, job, _ended, timeout_s=30.0)
    assert attempt.phase == "succeeded", attempt.status


async def asked_by(bus: Bus, agent: str, body: bytes) -> None:
    subject = ask_subject(SITE, agent)
    await bus.publish(subject, seal(agent_key(SITE, agent), subject, body))


async def test_who_may_not_run_it_is_told_nothing(safe: Safe) -> None:
    await safe.put("database", VALUE)
    told: list[str] = []
    async with safe.hub(), safe.agent() as agent_process, connected(safe.server.access()) as bus:
        await bus.subscribe("sealed.*.*", lambda subject, _: told.append(subject))
        job = await safe.submitted("while ! test -e $SHARED_DIR/never; do sleep 0.1; done", ENV)
        (attempt,) = await attempts_when(safe.store, job, lambda found: bool(found) and found[0].phase == "running")
        name = last_name(attempt.path)
        for agent, edge, asked in (
            ("edge-2", EDGE, name),
            ("edge-2", "edge-2", name),
            (EDGE, EDGE, f"{job.uid}-0-2"),
            (EDGE, "edge-1-7", name),
        ):
            await asked_by(bus, agent, encode(Ask(WIRE_VERSION, SITE, agent, edge, asked, "0" * 32)))
        await asked_by(bus, EDGE, b"{")
        await bus.publish(ask_subject(SITE, EDGE), encode(Ask(WIRE_VERSION, SITE, EDGE, EDGE, name, "1" * 32)))
        await asked_by(bus, EDGE, encode(Ask(WIRE_VERSION, SITE, EDGE, EDGE, name, "0" * 32)))
        await until(
            lambda: told.count(f"sealed.{SITE}.{EDGE}") > 1
        )  # for the attempt itself, and for the last question
        assert set(told) == {f"sealed.{SITE}.{EDGE}"}
        assert len(told) == 2
        agent_process.terminate()  # it ends what runs, and nothing of it is left
        await agent_process.wait()
        assert safe.strongbox.attempts() == []


async def test_a_killed_agent_goes_on_with_what_it_was_handed(safe: Safe) -> None:
    """Its next step and its log need values that nobody has any more: not the hub, and not the agent's disk."""
    await safe.put("database", VALUE)
    wait = 'echo "one $PASSWORD"; while ! test -e $SHARED_DIR/go; do sleep 0.05; done; echo "two $PASSWORD"'
    async with safe.hub():
        async with safe.agent() as agent:
            job = await safe.submitted(wait, ENV, 'echo "three $PASSWORD"')
            (attempt,) = await attempts_when(safe.store, job, lambda found: bool(found) and found[0].phase == "running")
            agent.kill()
            await agent.wait()
        await safe.client.delete(f"{SECRETS}/database")
        async with safe.agent():
            shared = safe.home / "attempts" / last_name(attempt.path) / "shared"
            (shared.resolve() / "go").touch()
            (attempt,) = await attempts_when(safe.store, job, _ended, timeout_s=30.0)
            assert attempt.phase == "succeeded", attempt.status
            assert await safe.text_when(lambda text: "three" in text) == "one ***\ntwo ***\nthree ***\n"
            await until(lambda: not safe.strongbox.attempts())


async def test_a_result_with_a_value_is_refused(safe: Safe) -> None:
    await safe.put("database", VALUE)
    async with safe.hub(), safe.agent():
        attempt = await safe.run('echo "{\\"a\\": [\\"$PASSWORD\\"]}" > $SHARED_DIR/result.json', ENV)
    assert (attempt.phase, attempt.status["reason"]) == ("failed", "InvalidResult")
    assert attempt.status["message"] == "/shared/result.json holds the value of a secret"


async def test_an_agent_may_not_tell_others_secrets(safe: Safe) -> None:
    """By its credential, it can ask and be told; it cannot answer."""
    async with connected(safe.server.agent(SITE, EDGE)) as agent, connected(safe.server.access()) as hub:
        told: list[bytes] = []
        await hub.subscribe("sealed.*.*", lambda _, body: told.append(body))
        await hub.subscribe("secrets.*.*", lambda _, body: told.append(body))
        await arrived(hub)
        await agent.publish(f"sealed.{SITE}.{EDGE}", b"forged")
        await agent.publish(f"secrets.{SITE}.{EDGE}", b"asked")
        await until(lambda: bool(told))
        assert told == [b"asked"]
