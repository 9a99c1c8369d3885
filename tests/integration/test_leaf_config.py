"""`tendril edge leaf-config`: what it writes, what it refuses, and that lines to other machines are secured."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
import trustme

from datamodel.feed.access import Access
from datamodel.identity.credentials import read_credential
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.credentials import ACCOUNT
from datamodel.scheduling.model import MODEL
from deploy.local.leaf import start_leaf
from deploy.local.nats import greets
from deploy.local.nats import server as nats_server
from deploy.local.ports import HOST, free_port
from deploy.local.supervisor import Supervisor
from tests.commands import Done, tendril
from tests.feed import arrived, connected
from tests.gateway import open_gateway, serving
from tests.hub import running_hub
from tests.services import PrivateNats
from tests.waiting import eventually, until


@pytest_asyncio.fixture
async def url(database_url: str, server: PrivateNats) -> AsyncIterator[str]:
    """Of an API, with reconcilers that sign."""
    async with (
        PostgresStore(database_url, MODEL) as store,
        running_hub(database_url, server.access(), agents=(), nats_authority=server.nats.authority_file),
        open_gateway(store) as gateway,
        serving(gateway) as (_, client),
    ):

        async def is_known() -> bool:
            return bool(await store.nodes([ACCOUNT]))

        await eventually(is_known)
        yield str(client.base_url)


async def asked(url: str, *arguments: str) -> Done:
    return await tendril(url, "edge", "leaf-config", *arguments)


async def test_what_it_writes_starts_as_it_is(url: str, server: PrivateNats, tmp_path: Path) -> None:
    out, listen = tmp_path / "leaf", f"{HOST}:{free_port()}"
    where = (f"--hub={server.nats.leaf_url}", f"--listen={listen}", f"--out={out}")
    done = await asked(url, "attic", *where)
    assert done.code == 0, done.err
    assert "which must be open" in done.out
    assert {path.name: path.stat().st_mode & 0o777 for path in out.iterdir()} == {
        "leaf.conf": 0o600,
        "leaf.creds": 0o600,
    }
    first = read_credential(out / "leaf.creds")
    assert (first.user.name, first.user.tags) == ("attic/leaf", ("site:attic",))
    assert first.key.seed not in (out / "leaf.conf").read_text()
    assert (await asked(url, "attic", *where, "--domain=attic")).code == 0
    assert read_credential(out / "leaf.creds").key.public == first.key.public, "it stays what it is"
    async with Supervisor(tmp_path / "logs") as supervisor:
        assert await start_leaf(out, supervisor) == f"nats://{listen}"
        await _is_linked(server, server.agent("attic", "e")._replace(url=f"nats://{listen}"))


async def _is_linked(server: PrivateNats, access: Access) -> None:
    """Returns once what is said there is heard at the hub."""
    heard: list[str] = []
    async with connected(server.access()) as hub, connected(access) as agent:
        await hub.subscribe("beat.*.*", lambda subject, _: heard.append(subject))

        async def is_heard() -> bool:
            await agent.publish("beat.attic.e", b"")
            await arrived(agent)
            return bool(heard)

        await eventually(is_heard)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--hub=nats-leaf://example.org:7422",), "--hub: example.org is another machine: write it as tls://"),
        (("--hub=http://example.org",), "--hub: 'http://example.org' is no address of a hub"),
        (("--hub=tls://u:p@example.org",), "is no address of a hub"),
        (("--hub=tls://h", "--listen=0.0.0.0:4222"), "--listen: 0.0.0.0:4222 is for other machines, which takes TLS"),
        (("--hub=tls://h", "--listen=127.0.0.1:99999"), "--listen: '127.0.0.1:99999' is no HOST:PORT"),
        (("--hub=tls://h", "--cert=c.pem"), "--cert and --key go together"),
        (("--hub=tls://h", "--domain=A.B"), "'A.B' is not a DNS label"),
        (("--hub=tls://h", "--valid=soon"), "--valid: 'soon' is no time"),
    ],
)
async def test_what_is_wrong_is_named(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = await asked(f"http://{HOST}:9", "attic", f"--out={tmp_path / 'leaf'}", *arguments)
    assert (done.code, said in done.err) == (2, True), done.err


async def test_lines_to_other_machines_are_secured(url: str, server: PrivateNats, tmp_path: Path) -> None:
    """The leaf checks who the hub is, and agents who the leaf is. The hub's server is started again with certificates."""
    paths, out, hub_port = (
        {name: tmp_path / f"{name}.pem" for name in ("ca", "cert", "key")},
        tmp_path / "leaf",
        free_port(),
    )
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(paths["ca"]))
    issued = authority.issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(str(paths["cert"]))
    issued.private_key_pem.write_to_path(str(paths["key"]))
    done = await asked(
        url,
        "attic",
        *(f"--hub=tls://localhost:{hub_port}", f"--ca={paths['ca']}", f"--out={out}"),
        *(f"--listen=localhost:{free_port()}", f"--cert={paths['cert']}", f"--key={paths['key']}"),
    )
    assert done.code == 0, done.err
    configuration = json.loads((server.log.parents[1] / "nats" / "server.conf").read_text())
    secured = {"tls": {"cert_file": str(paths["cert"]), "key_file": str(paths["key"])}}
    configuration["leafnodes"] |= {"port": hub_port, **secured}
    await server.kill()
    (tmp_path / "hub.conf").write_text(json.dumps(configuration))
    name, port = configuration["server_name"], configuration["port"]
    async with Supervisor(tmp_path / "logs") as supervisor:
        supervisor.launch(nats_server("hub", tmp_path / "hub.conf", lambda: greets(HOST, port, name)))
        await supervisor.until_ready(timeout_s=30.0)
        found = urlsplit(await start_leaf(out, supervisor))
        agent = server.agent("attic", "e")._replace(url=found._replace(scheme="tls").geturl(), ca=paths["ca"])
        await _is_linked(server, agent)
        assert await _takes_tls_only(found.port or 0)
        await supervisor.end("leaf")
        trustme.CA().cert_pem.write_to_path(str(out / "ca.pem"))
        await start_leaf(out, supervisor)
        log = tmp_path / "logs" / "leaf.log"
        await until(lambda: "certificate signed by unknown authority" in log.read_text())


async def _takes_tls_only(port: int) -> bool:
    reader, writer = await asyncio.open_connection(HOST, port)
    greeting = json.loads((await reader.readline()).decode().partition(" ")[2])
    writer.close()
    return bool(greeting["tls_required"])


async def test_it_is_a_node_like_other_credentials(url: str, server: PrivateNats, tmp_path: Path) -> None:
    done = await asked(url, "attic", f"--hub={server.nats.leaf_url}", f"--out={tmp_path / 'leaf'}", "--name=north")
    assert done.code == 0, done.err
    listed = await tendril(url, "get", "leaf-nodes")
    assert "attic/north  signed" in listed.out
