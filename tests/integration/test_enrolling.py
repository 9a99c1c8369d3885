"""Agents that are enrolled, join by tokens, are renewed while they run, and revoked: over a real NATS and a real store."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from agents.desk import Desk
from agents.identity import enrolled, keep_renewed
from agents.settings import Settings
from datamodel.appender import Appender
from datamodel.command import Actor, Command, Unit
from datamodel.errors import Forbidden, Invalid
from datamodel.feed.access import Access
from datamodel.feed.bus import connect
from datamodel.feed.signing import Signing
from datamodel.identity.credentials import Credential, read_credential
from datamodel.identity.envelope import seal
from datamodel.identity.nkeys import Key
from datamodel.kinds import USER
from datamodel.node import Node
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling import wire
from datamodel.scheduling.credentials import credential_path, token_path
from datamodel.scheduling.edges import inventory_path
from datamodel.scheduling.joining import Token
from datamodel.scheduling.model import MODEL
from tests.feed import connected
from tests.hub import gone, node_when, running_hub
from tests.raw_nats import is_allowed
from tests.services import PrivateNats
from tests.waiting import eventually, until

SOMEBODY = Actor("somebody", USER)


class Hub:
    """A store, a server, and the reconcilers, who have the keys."""

    def __init__(self, store: PostgresStore, server: PrivateNats, home: Path) -> None:
        self.store, self.server, self._home = store, server, home

    async def write(self, *commands: Command) -> None:
        async with Appender(self.store) as appender:
            await appender.write(Unit(commands, SOMEBODY))

    async def credential(self, agent: str, **spec: Any) -> Access:
        """How an agent connects that somebody has enrolled."""
        key = Key.new("user")
        path = credential_path("s", agent)
        await self.write(
            Command("apply", "/config/sites/s"), Command("create", path, {"publicKey": key.public, **spec})
        )
        node = await node_when(self.store, path, lambda node: node.phase == "signed")
        return Access(self.server.access().url, Credential(key, node.status["jwt"]))

    async def token(self, name: str = "t", *, lasts_s: float = 3600.0, **spec: Any) -> Token:
        key, path = Key.new("user"), token_path("s", name)
        expires = datetime.now(UTC) + timedelta(seconds=lasts_s)
        asked = {"publicKey": key.public, "expiresAt": expires.isoformat(), **spec}
        await self.write(Command("apply", "/config/sites/s"), Command("create", path, asked))
        node = await node_when(self.store, path, lambda node: node.phase == "signed")
        return Token("s", name, Credential(key, node.status["jwt"]))

    def settings(self, agent: str, token: Token | None = None, **more: Any) -> Settings:
        return Settings(
            tendril_nats_url=self.server.access().url,
            edge_site="s",
            edge_name=agent,
            edge_home=self._home / agent,
            edge_join_token=token.text if token is not None else None,
            **more,
        )

    async def node(self, agent: str) -> Node:
        return (await self.store.nodes([credential_path("s", agent)]))[credential_path("s", agent)]


@pytest_asyncio.fixture
async def hub(database_url: str, server: PrivateNats, tmp_path: Path) -> AsyncIterator[Hub]:
    async with (
        PostgresStore(database_url, MODEL) as store,
        running_hub(database_url, server.access(), agents=(), nats_authority=server.nats.authority_file),
    ):
        yield Hub(store, server, tmp_path)


async def test_what_was_enrolled_may_do_its_own(hub: Hub) -> None:
    access = await hub.credential("e")
    assert await is_allowed(access, "PUB", "report.s.e")
    assert not await is_allowed(access, "PUB", "report.s.f")


async def test_agents_join_by_a_token_as_often_as_it_says(hub: Hub) -> None:
    token = await hub.token(uses=2)
    for agent in ("a", "b"):
        access = await enrolled(hub.settings(agent, token))
        assert await is_allowed(access, "PUB", f"report.s.{agent}")
        assert isinstance(access.creds, Path)
        assert access.creds.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Forbidden, match="used 2 times, as often as it may be"):
        await enrolled(hub.settings("c", token))
    assert not await hub.store.nodes([credential_path("s", "c")])
    again = await enrolled(hub.settings("a"))  # it has what it needs, and asks nobody
    assert await is_allowed(again, "PUB", "report.s.a")


async def test_many_that_join_at_once_are_counted(hub: Hub) -> None:
    token = await hub.token(uses=3)
    joined = await asyncio.gather(
        *(enrolled(hub.settings(f"a{number}", token)) for number in range(6)), return_exceptions=True
    )
    assert [isinstance(one, Access) for one in joined].count(True) == 3
    assert all(isinstance(one, Access | Forbidden) for one in joined)


async def test_an_answer_that_was_lost_costs_no_use(hub: Hub) -> None:
    """An agent that ends while it waits asks again with the same key, which was written before it asked."""
    token = await hub.token(uses=1)
    settings = hub.settings("a", token)
    access = await enrolled(settings)
    key = read_credential(settings.creds).key
    settings.creds.write_text(Credential(key).text)
    access = await enrolled(settings)
    assert access.credential().key.public == key.public
    assert await is_allowed(access, "PUB", "report.s.a")


async def test_a_token_makes_nobody_known_as_one_who_is_there(hub: Hub) -> None:
    await hub.credential("e")
    with pytest.raises(Forbidden, match="e is known by another key"):
        await enrolled(hub.settings("e", await hub.token()))


async def test_a_token_is_for_its_site_and_its_size(hub: Hub) -> None:
    token = await hub.token(maxEdges=2)
    with pytest.raises(Forbidden, match="2 edges at most"):
        await enrolled(hub.settings("g", token, edge_count=3))
    elsewhere = hub.settings("e", token).model_copy(update={"edge_site": "attic"})
    with pytest.raises(Invalid, match="for the site s"):
        await enrolled(elsewhere)


async def test_a_token_may_ask_to_join_and_nothing_else(hub: Hub) -> None:
    access = Access(hub.server.access().url, (await hub.token()).credential)
    assert await is_allowed(access, "PUB", "join.s.t")
    for action, subject in (
        ("PUB", "join.s.other"),
        ("PUB", "join.attic.t"),
        ("PUB", "report.s.e"),
        ("PUB", "hub.s.e"),
        ("PUB", "$JS.API.INFO"),
        ("SUB", "join.s.t"),
        ("SUB", "joined.s.other.*"),
        ("SUB", "graph.>"),
    ):
        assert not await is_allowed(access, action, subject), subject


async def test_an_expired_token_opens_nothing(hub: Hub) -> None:
    token = await hub.token(lasts_s=6.0)
    async with connected(Access(hub.server.access().url, token.credential)) as bus:
        with pytest.raises(Forbidden, match="expired"):
            async with asyncio.timeout(60):
                await bus.while_admitted(asyncio.sleep(30))
    with pytest.raises(Forbidden, match=r"refuses the credential|expired"):
        async with asyncio.timeout(60):
            await enrolled(hub.settings("e", token))


@pytest.mark.parametrize("how", ["revoked", "deleted", "another key"])
async def test_what_is_worth_nothing_any_more_is_disconnected(hub: Hub, how: str) -> None:
    access = await hub.credential("e")
    other = await hub.credential("f")
    path = credential_path("s", "e")
    async with connected(access) as bus, connected(other) as left_alone:
        commands = {
            "revoked": Command("patchSpec", path, {"revoked": True}),
            "deleted": Command("delete", path),
            "another key": Command("patchSpec", path, {"publicKey": Key.new("user").public}),
        }
        await hub.write(commands[how])
        with pytest.raises(Forbidden, match="revoked"):
            async with asyncio.timeout(30):
                await bus.while_admitted(asyncio.sleep(30))
        assert left_alone.connected
    if how == "deleted":
        await gone(hub.store, path)
    with pytest.raises(Forbidden):
        await connect(access, "again")
    await hub.server.kill()
    await hub.server.start()
    with pytest.raises(Forbidden):  # the server has not forgotten
        await connect(access, "again")


async def test_who_was_revoked_may_be_let_in_again(hub: Hub) -> None:
    access = await hub.credential("e")
    path = credential_path("s", "e")
    await hub.write(Command("patchSpec", path, {"revoked": True}))
    await node_when(hub.store, path, lambda node: node.phase == "revoked")
    await asyncio.sleep(1.1)  # what is signed within the second of a revocation is revoked: times of NATS are seconds
    await hub.write(Command("patchSpec", path, {"revoked": False}))
    node = await node_when(hub.store, path, lambda node: node.phase == "signed")
    key = access.credential().key
    assert await is_allowed(Access(access.url, Credential(key, node.status["jwt"])), "PUB", "report.s.e")


async def test_no_two_agents_speak_for_one_edge(hub: Hub) -> None:
    await hub.credential("x", count=3)
    await hub.credential("x-3")
    with pytest.raises(Forbidden, match="the edge x-1 is that of the agent x"):
        await enrolled(hub.settings("x-1", await hub.token("one")))
    await hub.credential("y-1")
    with pytest.raises(Forbidden, match="the edge y-1 is that of the agent y-1"):
        await enrolled(hub.settings("y", await hub.token("many"), edge_count=2))


async def test_what_expires_is_renewed_on_the_way_and_nothing_is_lost(hub: Hub) -> None:
    """Reports go on while the credential changes: what is told on the former connection and on the next one all arrives."""
    settings = hub.settings("e", await hub.token(validS=30))
    access = await enrolled(settings)
    first = access.credential().user
    heard: list[bytes] = []
    async with connected(hub.server.access()) as ears, connected(access) as bus:
        await ears.subscribe("secrets.s.e", lambda _, body: heard.append(body))
        desk = Desk(Signing(bus, access.credential().key), "s", "e", ["e"])
        await desk.listen()
        renewing = asyncio.create_task(bus.while_admitted(keep_renewed(settings, desk, bus)))
        try:
            async with asyncio.timeout(60):
                while access.credential().user.issued == first.issued:  # noqa: ASYNC110 - a file sets no event of ours
                    await asyncio.sleep(0.1)
                while datetime.now(UTC).timestamp() < first.expires + 2:
                    assert not renewing.done()
                    await asyncio.sleep(0.1)
            await until(lambda: bus.connected)
            await bus.publish("secrets.s.e", b"after")
            await until(lambda: heard == [b"after"])
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)


async def test_without_the_keys_nothing_is_signed_and_what_was_stays_good(
    database_url: str, server: PrivateNats
) -> None:
    agent = server.agent("s", "e")
    async with PostgresStore(database_url, MODEL) as store, running_hub(database_url, server.access()):
        hub = Hub(store, server, Path())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(hub.credential("g"), 2.0)
        assert (await hub.node("g")).status.get("jwt", "") == ""
        assert await is_allowed(agent, "PUB", "report.s.e")


async def test_what_is_forged_over_the_wire_changes_nothing(hub: Hub) -> None:
    """By one who may publish anywhere, so that nothing but the signature stands in the way."""
    access = await hub.credential("e")
    subject = wire.report_subject("s", "e")
    async with connected(hub.server.access()) as anyone:
        for agent, sign in (
            ("unsigned", lambda body: body),
            ("another-key", lambda body: seal(Key.new("user"), subject, body)),
            ("elsewhere", lambda body: seal(access.credential().key, "report.s.f", body)),
        ):
            await anyone.publish(subject, sign(_introduction(agent)))
        await Signing(anyone, access.credential().key).publish(subject, _introduction("own"))
        path = inventory_path("s", "e")

        async def is_there() -> bool:
            return bool(await hub.store.nodes([path]))

        await eventually(is_there)
    edge = (await hub.store.nodes([path]))[path]
    assert edge.spec["runtime"] == "own"
    assert await hub.store.marks([f"s/e/{name}" for name in ("unsigned", "another-key", "elsewhere", "own")]) == {
        "s/e/own": 1
    }


def _introduction(name: str) -> bytes:
    report = wire.EdgeReport("e", datetime.now(UTC), 1.0, 2**30, 9.0, name, "1")
    return wire.encode(wire.Window(wire.WIRE_VERSION, "s", "e", name, 1, [msgspec.Raw(wire.encode(report))]))
