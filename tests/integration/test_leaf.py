"""Agents at a site's own NATS server: all that they do passes one line to the hub, and nothing of another site does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from agents.__main__ import run as run_agent
from agents.runtimes.trace import trace_of
from agents.settings import Settings
from datamodel.command import Command
from datamodel.errors import Forbidden
from datamodel.feed.access import Access
from datamodel.feed.bus import Bus, connect
from datamodel.identity.credentials import Credential, write_credential
from datamodel.node import Node
from datamodel.postgres.secrets import PostgresSecrets
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.credentials import ACCOUNT, credential_path
from datamodel.scheduling.edges import inventory_path
from datamodel.scheduling.model import MODEL
from datamodel.scheduling.permissions import SAID, TOLD
from datamodel.secrets.keyring import Keyring, new_key
from datamodel.verify import verify
from deploy.local.nats import SITE
from sim.bench.meter import metered
from tests.conftest import StartNats
from tests.feed import arrived, connected
from tests.gateway import open_gateway, serving
from tests.graph import new_job, present
from tests.hub import attempts_of, node_when, running_hub
from tests.integration.test_enrolling import Hub
from tests.integration.test_logs import EDGE
from tests.integration.test_secrets import VALUE, Safe
from tests.leaves import PrivateLeaf, running_leaf
from tests.raw_nats import is_allowed, leaf_conversation
from tests.services import PrivateNats
from tests.waiting import eventually, until

KNOWN = ((SITE, EDGE, 1), ("s", "e", 1), ("s", "f", 1), ("attic", "e", 1))
POWER_WS = 4.0


@pytest_asyncio.fixture
async def hub(database_url: str, server: PrivateNats, tmp_path: Path) -> AsyncIterator[Hub]:
    async with (
        PostgresStore(database_url, MODEL) as store,
        running_hub(database_url, server.access(), agents=KNOWN, nats_authority=server.nats.authority_file),
    ):
        await node_when_there(store, ACCOUNT)
        yield Hub(store, server, tmp_path)
        found = await verify(store)
        assert found.clean, str(found)


async def node_when_there(store: PostgresStore, path: str) -> None:
    async def is_there() -> bool:
        return bool(await store.nodes([path]))

    await eventually(is_there)


@asynccontextmanager
async def agent_at(leaf: PrivateLeaf, hub: Hub, name: str, home: Path) -> AsyncIterator[None]:
    """The agents' program with simulated edges, which joins through the leaf where it has no credential; it is stopped in the
    end."""
    token = await hub.token(name) if not (home / name / "agent.creds").exists() else None
    settings = Settings(
        tendril_nats_url=leaf.url,
        edge_site=leaf.site,
        edge_name=name,
        edge_home=home / name,
        edge_runtime="simulated",
        edge_cpu=8.0,
        edge_memory_bytes=2**33,
        edge_simulated_trace=trace_of(["seconds,watts", "0,20"], "steady"),
        edge_join_token=token.text if token is not None else None,
    )
    stop = asyncio.Event()
    task = asyncio.create_task(run_agent(settings, stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 30.0)


async def online(hub: Hub, *edges: str) -> None:
    for edge in edges:
        await node_when_there(hub.store, inventory_path("s", edge))
        await node_when(hub.store, inventory_path("s", edge), lambda node: node.phase == "online", timeout_s=30.0)


async def ended(store: PostgresStore, job: Node, *, timeout_s: float = 60.0) -> Node:
    found = await node_when(store, job.path, lambda node: node.phase in ("succeeded", "failed"), timeout_s=timeout_s)
    assert found.phase == "succeeded", [found.status, *[one.status for one in await attempts_of(store, job)]]
    return found


@pytest.mark.parametrize("domain", ["", "attic"])
async def test_all_that_an_agent_does_passes(
    database_url: str, nats_server: StartNats, tmp_path: Path, domain: str
) -> None:
    """What it is to do, what it tells, secrets, logs, artifacts and inputs; whether the site keeps streams or not."""
    server, key = await nats_server(), new_key()
    keys = {"secrets_keys": key, "nats_authority": server.nats.authority_file}
    async with (
        PostgresStore(database_url, MODEL) as store,
        PostgresSecrets(database_url, Keyring.of(key).seal) as secrets,
        open_gateway(store, server.access("gateway"), secrets=secrets) as gateway,
        serving(gateway) as (_, client),
        running_hub(database_url, server.access(), agents=KNOWN, **keys),
    ):
        await node_when_there(store, ACCOUNT)
        safe = Safe(server, store, gateway, client, tmp_path, database_url, key)
        await safe.put("key", VALUE)
        async with (
            running_leaf(store, tmp_path, server.nats.leaf_url, SITE, domain=domain) as leaf,
            safe.agent(TENDRIL_NATS_URL=leaf.url),
        ):
            if domain:
                await keeps_streams(leaf, domain)
            part = [{"name": "part", "path": "part"}]
            await safe.job(
                "echo part $CHUNK_INDEX > $SHARED_DIR/part; echo told $CHUNK_INDEX", name="a", chunks=2, artifacts=part
            )
            uses = [{"secret": "key", "file": "key"}]
            script = (
                'echo "{\\"n\\": $(cat $SHARED_DIR/inputs/parts/* | wc -l), \\"bytes\\": $(wc -c < $SECRETS_DIR/key)}"'
                " > $SHARED_DIR/result.json"
            )
            steps = [{"name": "s", "image": "i", "script": script, "secrets": uses}]
            inputs = [{"job": "default/a", "artifact": "part", "path": "parts"}]
            outputs = {"n": "sum", "bytes": "sum"}
            answer = await client.post(
                "/v1/jobs", json={"name": "b", "steps": steps, "inputs": inputs, "outputs": outputs}
            )
            assert answer.status_code == 202, answer.text
            job = await ended(store, await present(store, "/config/job-groups/default/jobs/b"))
            assert job.status["outputs"] == {"n": 2, "bytes": len(VALUE)}
            await safe.text_when(lambda text: "told 1" in text, "/v1/jobs/default/a/logs?chunk=1")
            shown = await client.get("/v1/jobs/default/a/artifacts/1/part")
            assert (shown.status_code, shown.text) == (200, "part 1\n")


async def keeps_streams(leaf: PrivateLeaf, domain: str) -> None:
    """The site's own programs have streams here, and see nothing of ours."""
    own = Access(leaf.url, leaf.home / "domain.creds")
    async with connected(own) as bus:
        jetstream = bus.client.jetstream(domain=domain)
        await jetstream.add_stream(name="OWN", subjects=["own", "report.>"])
        assert (await jetstream.publish("own", b"1")).domain == domain


async def test_agents_join_and_work_there_as_anywhere(hub: Hub, tmp_path: Path) -> None:
    async with (
        running_leaf(hub.store, tmp_path, hub.server.nats.leaf_url, "s") as leaf,
        agent_at(leaf, hub, "a", tmp_path),
    ):
        await online(hub, "a")
        await ended(hub.store, await new_job(hub.store, chunks=20, workWs=20 * POWER_WS))


async def test_a_line_that_is_cut_or_a_server_that_dies_loses_and_counts_nothing_twice(
    hub: Hub, tmp_path: Path
) -> None:
    async with (
        metered(hub.server.nats.leaf_url) as line,
        running_leaf(hub.store, tmp_path, line.url, "s") as leaf,
        agent_at(leaf, hub, "a", tmp_path),
    ):
        await online(hub, "a")
        asked = {"cpu": 2.0, "memoryBytes": 2**20, "powerW": 1.0}  # four at a time, each for a second or so
        job = await new_job(hub.store, chunks=20, workWs=20 * 5.0, requests=asked)
        path = inventory_path("s", "a")
        await succeeded(hub, job, 1)
        line.cut()
        await node_when(hub.store, path, lambda node: node.phase == "suspect", timeout_s=20.0)
        before = (await present(hub.store, job.path)).status["chunks"].get("succeeded", 0)
        line.mend()
        await node_when(hub.store, path, lambda node: node.phase == "online", timeout_s=30.0)
        await succeeded(hub, job, before + 1)
        await leaf.kill()
        await node_when(hub.store, path, lambda node: node.phase == "suspect", timeout_s=20.0)
        assert (await present(hub.store, job.path)).status["chunks"].get("succeeded", 0) < 20
        await leaf.start()
        await node_when(hub.store, path, lambda node: node.phase == "online", timeout_s=30.0)
        await succeeded(hub, job, 20)
        attempts = await attempts_of(hub.store, job)
        assert (len(attempts), {one.phase for one in attempts}) == (20, {"succeeded"}), "nothing was tried twice"


async def succeeded(hub: Hub, job: Node, chunks: int) -> None:
    def holds(node: Node) -> bool:
        return bool(node.status.get("chunks", {}).get("succeeded", 0) >= chunks)

    await node_when(hub.store, job.path, holds, timeout_s=90.0)


async def test_many_agents_share_one_line(hub: Hub, tmp_path: Path) -> None:
    """Sixty clients of their own, each of which is heard and told what is its own, by whatever there is to say."""
    names = [f"n{number}" for number in range(60)]
    said = [f"{SAID[number % len(SAID)]}.s.{name}" for number, name in enumerate(names)]
    told = [f"{TOLD[number % len(TOLD)]}.s.{name}" for number, name in enumerate(names)]
    async with metered(hub.server.nats.leaf_url) as line, AsyncExitStack() as opened:
        leaf = await opened.enter_async_context(running_leaf(hub.store, tmp_path, line.url, "s"))
        top = await opened.enter_async_context(connected(hub.server.access()))
        heard, received = set[str](), set[tuple[str, str]]()
        for subject in SAID:
            await top.subscribe(f"{subject}.*.*", lambda subject, _: heard.add(subject))
        await arrived(top)
        buses = []
        for name, subject in zip(names, told, strict=True):
            access = leaf.access(hub.server.agent("s", name))
            bus = await opened.enter_async_context(connected(access))
            await bus.subscribe(subject, lambda told, body: received.add((told, body.decode())))
            await arrived(bus)
            buses.append(bus)

        async def passes() -> bool:
            for subject, bus, answer, name in zip(said, buses, told, names, strict=True):
                await bus.publish(subject, b"")
                await top.publish(answer, name.encode())
            await asyncio.sleep(0.1)
            return heard >= set(said) and len(received) == len(names)

        await eventually(passes, timeout_s=30.0)
        assert heard == set(said)
        assert received == set(zip(told, names, strict=True))
        assert line.connections == 1


async def test_an_agent_there_may_do_what_is_its_own_and_nothing_else(hub: Hub, tmp_path: Path) -> None:
    async with running_leaf(hub.store, tmp_path, hub.server.nats.leaf_url, "s") as leaf:
        own = leaf.access(hub.server.agent("s", "e"))
        assert await is_allowed(own, "PUB", "report.s.e")
        for action, subject in (
            ("PUB", "report.s.f"),
            ("PUB", "report.attic.e"),
            ("PUB", "$JS.API.STREAM.PURGE.LOGS"),
            ("PUB", "$JS.API.STREAM.NAMES"),
            ("PUB", "$JS.ACK.LOGS.x.1.1.1.1.1"),
            ("SUB", "committed.s.f"),
            ("SUB", "feed.>"),
            ("SUB", "graph.>"),
        ):
            assert not await is_allowed(own, action, subject), subject
        for role in ("reconcilers", "gateway"):  # their keys are no business of a site's server
            with pytest.raises(Forbidden):
                await connect(leaf.access(hub.server.access(role)), role)


async def test_an_agent_of_another_site_reaches_nobody_from_there(hub: Hub, tmp_path: Path) -> None:
    """The server of a site lets it in, since its credential is good, and the hub's hears nothing of it."""
    heard: list[str] = []
    told: list[bytes] = []
    async with (
        running_leaf(hub.store, tmp_path, hub.server.nats.leaf_url, "s") as leaf,
        connected(hub.server.access()) as top,
        connected(leaf.access(hub.server.agent("attic", "e"))) as other,
        connected(leaf.access(hub.server.agent("s", "e"))) as own,
    ):
        await top.subscribe("lease.*.*", lambda subject, _: heard.append(subject))
        await other.subscribe("leased.attic.e", lambda _, body: told.append(body))
        await arrived(other)

        async def passes() -> bool:
            await other.publish("lease.attic.e", b"")
            await arrived(other)
            await own.publish("lease.s.e", b"")
            await top.publish("leased.attic.e", b"")
            return "lease.s.e" in heard

        await eventually(passes)
        assert set(heard) == {"lease.s.e"}
        assert told == []


REFUSED = [
    "report.attic.e",
    "join.attic.t",
    "logs.attic.e.a",
    "artifacts.attic.e.a.data.0",
    "committed.s.e",
    "told.s.e",
    "feed.s.e.0",
    "graph.1.config",
    "poke",
    "_INBOX.s.e.x",
    *(
        f"$JS.API.{asked}"
        for stream in ("GRAPH-1", "LOGS", "ARTIFACTS")
        for asked in (
            f"CONSUMER.CREATE.{stream}",
            f"CONSUMER.CREATE.{stream}.c.graph.1.desired-config.sites.s.>",
            f"CONSUMER.DELETE.{stream}.c",
            f"CONSUMER.MSG.NEXT.{stream}.c",
            f"CONSUMER.INFO.{stream}.c",
            f"STREAM.PURGE.{stream}",
            f"STREAM.DELETE.{stream}",
            f"STREAM.INFO.{stream}",
            f"STREAM.MSG.GET.{stream}",
            f"STREAM.MSG.DELETE.{stream}",
            f"DIRECT.GET.{stream}",
        )
    ),
    "$JS.API.DIRECT.GET.LOGS.logs.attic.e.a",
    "$JS.API.DIRECT.GET.GRAPH-1.graph.1.config",
    "$JS.API.STREAM.NAMES",
    "$SYS.REQ.CLAIMS.UPDATE",
]
NOT_HEARD = [
    "told.attic.e",
    "committed.attic.e",
    "feed.attic.e.0",
    "report.s.e",
    "graph.1.config",
    "_INBOX.attic.e.x",
    "_INBOX.U",
]


async def test_a_leafs_credential_is_its_sites_and_no_clients(hub: Hub, tmp_path: Path) -> None:
    """Used by hand, in place of a server that keeps to what it was told."""
    async with running_leaf(hub.store, tmp_path, hub.server.nats.leaf_url, "s") as leaf:
        node = await present(hub.store, leaf.path)
        credential = Credential(leaf.key, node.status["jwt"])
        await leaf.kill()
        with pytest.raises(Forbidden):
            await connect(Access(hub.server.nats.url, credential), "client")
        url = hub.server.nats.leaf_url
        for subject in ("report.s.e", "logs.s.e.a", "$JS.API.DIRECT.GET.LOGS.logs.s.e.a"):
            assert "-ERR" not in await leaf_conversation(url, credential, f"LMSG {subject} 0\r\n"), subject
        for subject in ("told.s.e", "feed.s.e.0", "_INBOX.s.e.x"):
            assert "-ERR" not in await leaf_conversation(url, credential, f"LS+ {subject}"), subject
        for subject in REFUSED:
            said = await leaf_conversation(url, credential, f"LMSG {subject} 0\r\n")
            assert f'Permissions Violation for Publish to "{subject}"' in said, (subject, said)
        for subject in NOT_HEARD:
            said = await leaf_conversation(url, credential, f"LS+ {subject}")
            assert f'Permissions Violation for Subscription to "{subject}"' in said, (subject, said)
        logged = hub.server.log.read_text()
        assert 'Publish Violation on "report.attic.e"' in logged
        assert 'Subscription Violation on "told.attic.e"' in logged


async def test_who_listens_to_everything_hears_what_is_the_sites(hub: Hub, tmp_path: Path) -> None:
    """What a leaf asks for with a wildcard is not refused, but nothing else comes."""
    async with (
        running_leaf(hub.store, tmp_path, hub.server.nats.leaf_url, "s") as leaf,
        connected(hub.server.access()) as top,
    ):
        node = await present(hub.store, leaf.path)
        credential = Credential(leaf.key, node.status["jwt"])
        await leaf.kill()
        async with asyncio.TaskGroup() as group:
            conversation = group.create_task(
                leaf_conversation(hub.server.nats.leaf_url, credential, "LS+ >", hold_s=1.0)
            )
            while not conversation.done():
                for subject in ("told.s.e", "told.attic.e", "committed.attic.e", "poke", "_INBOX.attic.e.x"):
                    await top.publish(subject, b"")
                await asyncio.sleep(0.05)
        heard = {line.split()[1] for line in conversation.result().splitlines() if line.startswith("LMSG")}
        assert heard == {"told.s.e"}


async def test_a_leaf_that_is_revoked_is_disconnected(hub: Hub, tmp_path: Path) -> None:
    heard: list[str] = []
    async with (
        metered(hub.server.nats.leaf_url) as line,
        running_leaf(hub.store, tmp_path, line.url, "s") as leaf,
        connected(hub.server.access()) as top,
        connected(leaf.access(hub.server.agent("s", "e"))) as bus,
    ):
        await top.subscribe("lease.*.*", lambda subject, _: heard.append(subject))
        await passing(bus, heard)
        await leaf.write_nodes(Command("patchSpec", leaf.path, {"revoked": True}))
        await node_when(hub.store, leaf.path, lambda node: node.phase == "revoked")
        await until(lambda: "User Authentication Revoked" in leaf.log.read_text())
        heard.clear()
        for _ in range(20):
            await bus.publish("lease.s.e", b"")
            await asyncio.sleep(0.05)
        assert heard == []
        assert bus.connected, "the site's server serves the site"


async def passing(bus: Bus, heard: list[str]) -> None:
    """Returns once what the agent says is heard at the hub."""

    async def passes() -> bool:
        await bus.publish("lease.s.e", b"")
        await arrived(bus)
        return "lease.s.e" in heard

    await eventually(passes, timeout_s=20.0)


async def test_an_agent_that_is_revoked_is_not_believed_and_leaves_once_the_server_is_told(
    hub: Hub, tmp_path: Path
) -> None:
    """What its site's server knows is a copy. The hub believes nothing that it says from the moment of the revocation on."""
    async with running_leaf(hub.store, tmp_path, hub.server.nats.leaf_url, "s") as leaf:
        async with agent_at(leaf, hub, "a", tmp_path):
            await online(hub, "a")
        settings = hub.settings("a").model_copy(update={"edge_home": tmp_path / "a"})
        access = leaf.access(settings.nats)
        await leaf.write_nodes(Command("patchSpec", credential_path("s", "a"), {"revoked": True}))
        await node_when(hub.store, credential_path("s", "a"), lambda node: node.phase == "revoked")
        agent = asyncio.create_task(
            run_agent(
                settings.model_copy(update={"tendril_nats_url": leaf.url, "edge_runtime": "simulated"}), asyncio.Event()
            )
        )
        try:
            await node_when(hub.store, inventory_path("s", "a"), lambda node: node.phase == "suspect", timeout_s=20.0)
            async with connected(access) as bus:
                assert bus.connected, "its server does not know yet"
            assert not agent.done()
            await leaf.configure()
            leaf.reload()
            with pytest.raises(Forbidden):
                await asyncio.wait_for(agent, 20.0)
            with pytest.raises(Forbidden):
                await connect(access, "again")
        finally:
            agent.cancel()
            await asyncio.gather(agent, return_exceptions=True)


async def test_a_credential_that_is_renewed_in_its_file_is_shown_when_the_former_expires(
    hub: Hub, tmp_path: Path
) -> None:
    heard: list[str] = []
    async with (
        running_leaf(hub.store, tmp_path, hub.server.nats.leaf_url, "s") as leaf,
        connected(hub.server.access()) as top,
        connected(leaf.access(hub.server.agent("s", "e"))) as bus,
    ):
        await top.subscribe("lease.*.*", lambda subject, _: heard.append(subject))
        await leaf.kill()
        key, now = leaf.key, datetime.now(UTC)

        def sign(lasts_s: float) -> Credential:
            expires, tags = now + timedelta(seconds=lasts_s), ["site:s"]
            jwt = hub.server.nats.authority.sign("leaf", key.public, "s/leaf", now, expires=expires, tags=tags)
            return Credential(key, jwt)

        write_credential(leaf.home / "leaf.creds", sign(5.0))
        await leaf.start()
        await passing(bus, heard)
        write_credential(leaf.home / "leaf.creds", sign(3600.0))
        await until(lambda: "User Authentication Expired" in leaf.log.read_text(), timeout_s=20.0)
        heard.clear()
        await passing(bus, heard)
