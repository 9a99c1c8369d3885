"""A private NATS server: one credential a role, each with its own subjects, and a port that stays."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import nats
import pytest
import pytest_asyncio
from nats.errors import Error

from deploy.local.nats import Nats, Role
from deploy.local.supervisor import Supervisor


@pytest_asyncio.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    async with Supervisor(tmp_path / "logs") as supervisor:
        yield supervisor


async def conversation(url: str, *commands: str) -> str:
    """What the server says to these lines of its protocol, in order, until it answers a PING or hangs up."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    connect = json.dumps({"user": parts.username, "pass": parts.password})
    writer.write("".join(f"{line}\r\n" for line in (f"CONNECT {connect}", *commands)).encode())
    answers = ""
    while (line := (await reader.readline()).decode()) and line != "PONG\r\n":
        answers += line
    writer.close()
    await writer.wait_closed()
    return answers


@pytest.mark.parametrize(
    ("role", "action", "subject", "allowed"),
    [
        ("reconcilers", "publish", "graph.config", True),
        ("reconcilers", "subscribe", "report.>", True),
        ("gateway", "publish", "poke", True),
        ("gateway", "publish", "graph.config", False),
        ("gateway", "publish", "report.local.edge-1", False),
        ("gateway", "subscribe", "graph.>", True),
        ("gateway", "subscribe", "report.>", False),
        ("agent", "publish", "report.local.edge-1", True),
        ("agent", "publish", "beat.local", True),
        ("agent", "publish", "graph.config", False),
        ("agent", "publish", "poke", False),
        ("agent", "publish", "logs.local.edge-1.a", True),
        ("agent", "publish", "logs.attic.edge-1.a", False),
        ("agent", "publish", "$JS.API.DIRECT.GET.LOGS.logs.local.edge-1.a", True),
        ("agent", "publish", "$JS.API.DIRECT.GET.LOGS.logs.attic.edge-1.a", False),
        ("agent", "publish", "$JS.API.DIRECT.GET.LOGS", False),
        ("agent", "publish", "$JS.API.STREAM.MSG.GET.LOGS", False),
        ("agent", "publish", "$JS.API.CONSUMER.CREATE.LOGS", False),
        ("agent", "publish", "$JS.API.CONSUMER.CREATE.LOGS.c", False),
        ("agent", "publish", "$JS.API.CONSUMER.CREATE.LOGS.c.logs.attic.>", False),
        ("agent", "publish", "$JS.API.CONSUMER.DURABLE.CREATE.LOGS.c", False),
        ("agent", "publish", "$JS.API.CONSUMER.MSG.NEXT.LOGS.c", False),
        ("agent", "publish", "$JS.API.CONSUMER.CREATE.GRAPH-1.c", True),
        ("agent", "publish", "$JS.API.STREAM.PURGE.LOGS", False),
        ("agent", "publish", "artifacts.local.edge-1.a.data.0", True),
        ("agent", "publish", "artifacts.attic.edge-1.a.data.0", False),
        ("agent", "publish", "$JS.API.DIRECT.GET.ARTIFACTS.artifacts.attic.edge-1.a.data.0", True),
        ("agent", "publish", "$JS.API.CONSUMER.CREATE.ARTIFACTS.c", False),
        ("agent", "publish", "$JS.API.STREAM.PURGE.ARTIFACTS", False),
        ("agent", "subscribe", "artifacts.>", False),
        ("gateway", "publish", "artifacts.local.edge-1.a.data.0", False),
        ("agent", "subscribe", "logs.>", False),
        ("gateway", "publish", "logs.local.edge-1.a", False),
        ("gateway", "publish", "$JS.API.DIRECT.GET.LOGS", True),
        ("gateway", "subscribe", "logs.local.edge-1.a", True),
        ("agent", "subscribe", "committed.local.edge-1", True),
        ("agent", "subscribe", "graph.>", False),
        ("agent", "subscribe", "report.>", False),
    ],
)
async def test_a_role_has_its_own_subjects_and_no_others(
    shared_nats: Nats, *, role: Role, action: str, subject: str, allowed: bool
) -> None:
    command = f"PUB {subject} 0\r\n" if action == "publish" else f"SUB {subject} 1"
    answers = await conversation(shared_nats.url(role), command, "PING")
    assert ("permissions violation" not in answers.lower()) == allowed


@pytest.mark.parametrize("role", ["gateway", "agent"])
async def test_a_reading_role_can_consume_a_stream_and_cannot_make_one(shared_nats: Nats, role: Role) -> None:
    writer = await nats.connect(shared_nats.url("reconcilers"))
    reader = await nats.connect(shared_nats.url(role))
    name = f"STREAM_{role}"
    await writer.jetstream().add_stream(name=name, subjects=[f"stream.{role}"])
    await writer.jetstream().publish(f"stream.{role}", b"hello")
    subscription = await reader.jetstream().subscribe(f"stream.{role}", stream=name, ordered_consumer=True)
    assert (await subscription.next_msg(timeout=5)).data == b"hello"
    with pytest.raises(Error):
        await reader.jetstream(timeout=0.3).add_stream(name="OTHER", subjects=["other"])
    await writer.jetstream().delete_stream(name)
    await reader.close()
    await writer.close()


async def test_a_stranger_is_refused(shared_nats: Nats) -> None:
    stranger = f"nats://agent:guess@127.0.0.1:{shared_nats.port}"
    assert "authorization violation" in (await conversation(stranger, "PING")).lower()


async def test_a_restart_keeps_port_passwords_and_streams(tmp_path: Path, supervisor: Supervisor) -> None:
    first = Nats(tmp_path)
    await first.start(supervisor)
    client = await nats.connect(first.url("reconcilers"))
    await client.jetstream().add_stream(name="KEPT", subjects=["kept"])
    await client.close()
    await supervisor.stop()

    second = Nats(tmp_path)
    await second.start(supervisor)
    assert second.url("agent") == first.url("agent")
    client = await nats.connect(second.url("reconcilers"))
    assert (await client.jetstream().stream_info("KEPT")).config.name == "KEPT"
    await client.close()
    assert (tmp_path / "nats" / "server.conf").stat().st_mode & 0o777 == 0o600


async def test_a_port_that_something_else_took_is_left_to_it(tmp_path: Path, supervisor: Supervisor) -> None:
    await Nats(tmp_path).start(supervisor)
    await supervisor.stop()
    with socket.create_server(("127.0.0.1", Nats(tmp_path).port)) as taken:
        again = Nats(tmp_path)
        await again.start(supervisor)
        assert again.port != taken.getsockname()[1]
