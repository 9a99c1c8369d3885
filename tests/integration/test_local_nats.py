"""A private NATS server: one credential a role, each with its own subjects, and a port that stays."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from datamodel.errors import Forbidden, Transient
from datamodel.feed.access import Access
from datamodel.feed.bus import connect
from datamodel.identity.credentials import Credential, read_credential, write_credential
from datamodel.identity.nkeys import Key
from deploy.local.nats import Nats, Role
from deploy.local.supervisor import Supervisor
from sim.chaos.sites.certificate import certified
from tests.feed import arrived, connected
from tests.raw_nats import conversation, is_allowed


@pytest_asyncio.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    async with Supervisor(tmp_path / "logs") as supervisor:
        yield supervisor


@pytest.mark.parametrize(
    ("role", "action", "subject", "allowed"),
    [
        ("reconcilers", "PUB", "graph.config", True),
        ("reconcilers", "SUB", "report.>", True),
        ("gateway", "PUB", "poke", True),
        ("gateway", "PUB", "graph.config", False),
        ("gateway", "PUB", "report.local.edge-1", False),
        ("gateway", "PUB", "hub.local.edge-1", False),
        ("gateway", "PUB", "told.local.edge-1", False),
        ("gateway", "SUB", "graph.>", True),
        ("gateway", "SUB", "report.>", False),
        ("gateway", "SUB", "_INBOX.>", False),
        ("gateway", "PUB", "artifacts.local.edge-1.a.data.0", False),
        ("gateway", "PUB", "logs.local.edge-1.a", False),
        ("gateway", "PUB", "$JS.API.DIRECT.GET.LOGS", True),
        ("gateway", "SUB", "logs.local.edge-1.a", True),
        ("gateway", "PUB", "$JS.API.STREAM.PURGE.LOGS", False),
        ("gateway", "PUB", "$SYS.REQ.CLAIMS.UPDATE", False),
        ("gateway", "SUB", "$SYS.>", False),
    ],
)
async def test_a_role_has_its_own_subjects_and_no_others(
    shared_nats: Nats, *, role: Role, action: str, subject: str, allowed: bool
) -> None:
    assert await is_allowed(shared_nats.access(role), action, subject) == allowed


async def test_the_gateway_can_consume_a_stream_and_cannot_make_one(shared_nats: Nats) -> None:
    async with (
        connected(shared_nats.access("reconcilers")) as writer,
        connected(shared_nats.access("gateway")) as reader,
    ):
        await writer.client.jetstream().add_stream(name="STREAM", subjects=["stream"])
        await writer.client.jetstream().publish("stream", b"hello")
        jetstream = reader.client.jetstream()
        subscription = await jetstream.subscribe("stream", stream="STREAM", ordered_consumer=True)
        assert (await subscription.next_msg(timeout=5)).data == b"hello"
        assert not await is_allowed(shared_nats.access("gateway"), "PUB", "$JS.API.STREAM.CREATE.OTHER")
        await writer.client.jetstream().delete_stream("STREAM")


async def test_nobody_gets_in_without_a_credential(shared_nats: Nats) -> None:
    assert "authorization violation" in (await conversation(shared_nats.url, {}, "PING")).lower()
    password = {"user": "reconcilers", "pass": "guess"}
    assert "authorization violation" in (await conversation(shared_nats.url, password, "PING")).lower()


async def test_a_credential_of_another_authority_is_refused(
    shared_nats: Nats, tmp_path: Path, supervisor: Supervisor
) -> None:
    other = Nats(tmp_path)
    await other.start(supervisor)
    with pytest.raises(Forbidden, match="refuses the credential of stranger"):
        await connect(Access(shared_nats.url, other.access("reconcilers").creds), "stranger")


async def test_a_jwt_without_its_key_is_refused(shared_nats: Nats, tmp_path: Path) -> None:
    """It is public: it stands in the graph."""
    creds = shared_nats.access("reconcilers").creds
    assert isinstance(creds, Path)
    write_credential(tmp_path / "stolen.creds", Credential(Key.new("user"), read_credential(creds).jwt))
    with pytest.raises(Forbidden):
        await connect(Access(shared_nats.url, tmp_path / "stolen.creds"), "thief")


async def test_a_restart_keeps_port_credentials_and_streams(tmp_path: Path, supervisor: Supervisor) -> None:
    first = Nats(tmp_path)
    await first.start(supervisor)
    async with connected(first.access("reconcilers")) as bus:
        await bus.client.jetstream().add_stream(name="KEPT", subjects=["kept"])
    await supervisor.stop()

    second = Nats(tmp_path)
    await second.start(supervisor)
    async with connected(second.access("reconcilers")) as bus:
        assert (await bus.client.jetstream().stream_info("KEPT")).config.name == "KEPT"
    for name in ("server.conf", "authority.json", "reconcilers.creds", "gateway.creds"):
        assert (tmp_path / "nats" / name).stat().st_mode & 0o777 == 0o600


async def test_with_a_certificate_it_listens_to_others_and_speaks_tls_alone(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    nats = Nats(tmp_path, certified(tmp_path / "tls", "127.0.0.1", "127.0.0.2"))
    await nats.start(supervisor)
    access = nats.access("reconcilers")
    assert access.url.startswith("tls://127.0.0.1:")
    elsewhere = access._replace(url=f"tls://127.0.0.2:{nats.port}")
    async with connected(access) as near, connected(elsewhere) as far:
        heard = asyncio.Event()
        await far.subscribe("word", lambda *_: heard.set())
        await arrived(far)
        await near.publish("word", b"")
        await asyncio.wait_for(heard.wait(), 5)
    sites = urlsplit(nats.leaf_url)
    assert sites.scheme == "tls"
    reader, writer = await asyncio.open_connection("127.0.0.2", sites.port)
    assert json.loads((await reader.readline()).partition(b" ")[2])["tls_required"]
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", nats.port)
    await reader.readline()
    writer.write(b"CONNECT {}\r\nPING\r\n")
    assert b"PONG" not in await asyncio.wait_for(reader.read(), 5)
    writer.close()
    other = certified(tmp_path / "other", "127.0.0.1")
    with pytest.raises((TimeoutError, Transient)):
        async with asyncio.timeout(2):
            await connect(access._replace(ca=other.ca), "who trusts another")


class Way:
    """To a server; whatever was connected before can come to a standstill on it, as when a line is cut."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._still: list[asyncio.Event] = []
        self._open: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        still = asyncio.Event()
        self._still.append(still)
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = [writer, back]
        await asyncio.gather(self._pass(reader, back, still), self._pass(there, writer, still))

    def stand_still(self) -> None:
        for still in self._still:
            still.set()

    async def close(self) -> None:
        for writer in (writer for writers in self._open.values() for writer in writers):
            writer.transport.abort()
        await asyncio.gather(*self._open)

    @staticmethod
    async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, still: asyncio.Event) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if not still.is_set():
                    writer.write(data)


async def test_who_hears_nothing_by_tls_any_more_tries_again_at_once(tmp_path: Path, supervisor: Supervisor) -> None:
    """Three pings of five seconds are not answered; then half a minute would go by until TLS has taken leave of nobody."""
    nats = Nats(tmp_path, certified(tmp_path / "tls", "127.0.0.1"))
    await nats.start(supervisor)
    way = Way(nats.port)
    async with await asyncio.start_server(way.take, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connected(nats.access("reconcilers")._replace(url=f"tls://127.0.0.1:{port}")) as bus:
            again = asyncio.Event()
            bus.on_reconnect(again.set)
            way.stand_still()
            await asyncio.wait_for(again.wait(), 25)
        await way.close()


async def test_a_port_that_something_else_took_is_left_to_it(tmp_path: Path, supervisor: Supervisor) -> None:
    await Nats(tmp_path).start(supervisor)
    await supervisor.stop()
    with socket.create_server(("127.0.0.1", Nats(tmp_path).port)) as taken:
        again = Nats(tmp_path)
        await again.start(supervisor)
        assert again.port != taken.getsockname()[1]
