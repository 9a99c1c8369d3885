"""What an agent may do at a real server, and what it tries in vain: each refusal is logged by the server and told to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from agents.desk import Desk
from datamodel.errors import Transient
from datamodel.feed.bus import Bus
from datamodel.feed.signing import Signing
from datamodel.feed.stream import JetStreams
from datamodel.reads import Reads
from datamodel.scheduling import wire
from datamodel.seeds import seed
from datamodel.transcripts.jetstream import keep_stream
from reconcilers.desk import Desk as HubDesk
from reconcilers.identities import Identities
from reconcilers.runtime.metrics import Metrics
from tests.feed import arrived, connected
from tests.graph import memory_store
from tests.hub import introduce
from tests.raw_nats import is_allowed
from tests.services import PrivateNats, agent_key
from tests.waiting import eventually, until

E1, E2 = agent_key("s", "e1").public, agent_key("s", "e2").public
"""The names of their consumers."""
OWN = [
    ("PUB", "report.s.e2"),
    ("PUB", "beat.s.e2"),
    ("PUB", "secrets.s.e2"),
    ("PUB", "lease.s.e2"),
    ("PUB", "digest.s.e2"),
    ("PUB", "hub.s.e2"),
    ("PUB", "logs.s.e2.a"),
    ("PUB", "$JS.API.DIRECT.GET.LOGS.logs.s.e2.a"),
    ("PUB", "artifacts.s.e2.a.data.0"),
    ("PUB", "$JS.API.DIRECT.GET.ARTIFACTS.artifacts.s.e1.a.data.0"),  # it may be an input here
    ("PUB", f"$JS.FC.GRAPH-1.{E2}.x"),
    ("SUB", "committed.s.e2"),
    ("SUB", "sealed.s.e2"),
    ("SUB", "leased.s.e2"),
    ("SUB", "differences.s.e2"),
    ("SUB", "missed.s.e2"),
    ("SUB", "told.s.e2"),
    ("SUB", "feed.s.e2.0123"),
]
OTHERS = [
    *((action, subject.replace("e2", "e1")) for action, subject in OWN if "e2" in subject),
    *((action, subject.replace(".s.", ".attic.")) for action, subject in OWN if ".s.e2" in subject),
    ("PUB", f"$JS.FC.GRAPH-1.{E1}.x"),
    *(
        ("PUB", subject)
        for subject in ("graph.1.config", "poke", "told.s.e2", "committed.s.e2", "sealed.s.e2", "feed.s.e2.0123")
    ),
    *(
        ("SUB", subject)
        for subject in (">", "graph.>", "report.>", "report.s.e2", "logs.>", "artifacts.>", "_INBOX.>", "feed.>")
    ),
    *(("SUB", subject) for subject in ("committed.*.*", "committed.s.*", "feed.s.*.*", "$JS.>", "$SYS.>")),
    *(
        ("PUB", f"$JS.API.{asked}")
        for stream in ("GRAPH-1", "LOGS", "ARTIFACTS")
        for asked in (
            f"CONSUMER.CREATE.{stream}",
            f"CONSUMER.CREATE.{stream}.c",
            f"CONSUMER.CREATE.{stream}.{E2}.graph.1.desired-config.sites.s.edges.e2.attempts.>",
            f"CONSUMER.DURABLE.CREATE.{stream}.c",
            f"CONSUMER.DELETE.{stream}.{E1}",
            f"CONSUMER.INFO.{stream}.{E1}",
            f"CONSUMER.LIST.{stream}",
            f"CONSUMER.NAMES.{stream}",
            f"CONSUMER.MSG.NEXT.{stream}.{E1}",
            f"CONSUMER.PAUSE.{stream}.{E1}",
            f"STREAM.MSG.GET.{stream}",
            f"STREAM.MSG.DELETE.{stream}",
            f"STREAM.PURGE.{stream}",
            f"STREAM.DELETE.{stream}",
            f"STREAM.UPDATE.{stream}",
            f"STREAM.INFO.{stream}",
            f"DIRECT.GET.{stream}",
        )
    ),
    ("PUB", "$JS.API.DIRECT.GET.GRAPH-1.graph.1.desired-config.sites.s.edges.e2.attempts.a"),
    ("PUB", "$JS.API.STREAM.NAMES"),
    ("PUB", "$JS.API.STREAM.CREATE.X"),
    ("PUB", "$JS.API.INFO"),
    ("PUB", f"$JS.ACK.GRAPH-1.{E1}.1.1.1.1.1"),
    ("PUB", "$SYS.REQ.CLAIMS.UPDATE"),
    ("PUB", "$SYS.REQ.USER.INFO.X"),
]


@pytest.mark.parametrize(("action", "subject"), OWN)
async def test_an_agent_may_do_what_is_its_own(server: PrivateNats, action: str, subject: str) -> None:
    assert await is_allowed(server.agent("s", "e2"), action, subject)


async def test_nothing_else_is_allowed_and_each_refusal_is_logged(server: PrivateNats) -> None:
    for action, subject in OTHERS:
        assert not await is_allowed(server.agent("s", "e2"), action, subject), (action, subject)
    logged = server.log.read_text()
    for action, subject in OTHERS:
        word = "Publish" if action == "PUB" else "Subscription"
        assert f"{word} Violation" in logged
        assert f'Subject "{subject}"' in logged, (action, subject)


async def test_a_group_has_its_own_edges_and_no_others(server: PrivateNats) -> None:
    few, many = server.agent("s", "g", 3), server.agent("s", "many", 100)
    assert await is_allowed(few, "PUB", "logs.s.g-2.a")
    assert not await is_allowed(few, "PUB", "logs.s.g-3.a")
    assert not await is_allowed(few, "PUB", "logs.s.e1.a")
    assert await is_allowed(many, "PUB", "logs.s.many-99.a")
    assert not await is_allowed(many, "PUB", "logs.attic.many-99.a")
    assert not await is_allowed(many, "PUB", "report.s.e1")


async def test_an_inbox_is_its_owners_alone(server: PrivateNats) -> None:
    """An answer is told to nobody but who has asked, though both are agents of one site."""
    first, second = server.agent("s", "e1"), server.agent("s", "e2")
    assert await is_allowed(first, "SUB", "_INBOX.s.e1.x.*")
    assert not await is_allowed(second, "SUB", "_INBOX.s.e1.x.*")
    assert not await is_allowed(second, "SUB", "_INBOX.*.x.*")


@pytest_asyncio.fixture
async def buses(server: PrivateNats) -> AsyncIterator[tuple[Bus, Bus, Bus]]:
    """The hub's, and those of two agents."""
    async with AsyncExitStack() as opened:
        hub, first, second = [
            await opened.enter_async_context(connected(access))
            for access in (server.access(), server.agent("s", "e1"), server.agent("s", "e2"))
        ]
        await keep_stream(hub, kept_s=60, limit_bytes=10**6)
        yield hub, first, second


async def test_what_the_server_answers_elsewhere_is_nobodys_word(buses: tuple[Bus, Bus, Bus]) -> None:
    """One who asks JetStream chooses who is told. So an agent can have what it wrote itself said where another listens for the
    hub, though it may not publish there."""
    _, first, second = buses
    heard: list[bytes] = []
    raw: list[bytes] = []

    async def on_message(message: object) -> None:
        raw.append(message.data)  # type: ignore[attr-defined]

    committed = wire.committed_subject("s", "e1")
    await first.subscribe(committed, lambda _, body: heard.append(body))
    await first.client.subscribe(committed, cb=on_message)
    await arrived(first)
    forged = wire.encode(wire.Committed("i", 1_000_000))
    await second.client.jetstream().publish("logs.s.e2.a", forged)
    await second.client.publish("$JS.API.DIRECT.GET.LOGS.logs.s.e2.a", b"{}", reply=committed)
    await until(lambda: forged in raw)
    assert heard == []


async def test_the_desk_serves_no_agent_with_what_is_anothers(server: PrivateNats, buses: tuple[Bus, Bus, Bus]) -> None:
    hub, _, second = buses
    store = memory_store()
    await seed(store)
    await introduce(store, ("s", "e1", 1), ("s", "e2", 1))
    await JetStreams(hub).create(1, 1, 0)
    desk = HubDesk(hub, store, Identities(Reads(store), Metrics(), lambda: datetime.now(UTC)))
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(desk.run())
        signing = Signing(second, agent_key("s", "e2"))
        others, own = Desk(signing, "s", "e2", ["e1"]), Desk(signing, "s", "e2", ["e2"])
        await others.listen()
        await own.listen()
        await eventually(lambda: _is_answered(own))
        with pytest.raises(Transient, match="is another's"):
            await others.make(1, others.place(), ["/desired-config/sites/s/edges/e1/attempts"], None, 1.0)
        whole = Desk(signing, "s", "e2", [f"e2-{number}" for number in range(100)])
        await whole.listen()
        with pytest.raises(Transient, match="not an agent's of few edges"):
            await whole.make(1, whole.place(), ["/desired-config/sites/s/edges"], None, 1.0)
        for key in ("s.e1.a.data", "attic.e2.a.data", "s.e2-1.a.data"):
            with pytest.raises(Transient, match="is another's"):
                await others.numbers(key)
        assert await own.make(1, own.place(), ["/desired-config/sites/s/edges/e2/attempts"], None, 1.0) == 0
        assert [info.name for info in await hub.manager.consumers_info("GRAPH-1")] == [E2]
        forged = Desk(Signing(second, agent_key("s", "e1")), "s", "e2", ["e2"])
        await forged.listen()
        with pytest.raises(Transient, match="did not answer"):
            await forged.newest()
        serving.cancel()


async def _is_answered(desk: Desk) -> bool:
    """Whether the hub's desk listens already."""
    try:
        return await desk.newest() is not None
    except Transient:
        return False
