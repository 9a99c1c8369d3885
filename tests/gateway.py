"""A gateway of a test's own: the application over an open store, with a feed that moves where the test needs one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Hashable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any

import httpx
from starlette.applications import Starlette

from datamodel.appender import Appender
from datamodel.artifacts.memory import MemoryPieces
from datamodel.artifacts.ports import KeptPieces
from datamodel.feed.access import Access
from datamodel.ports import Store
from datamodel.postgres.store import PostgresStore
from datamodel.reads import Reads
from datamodel.scheduling.model import MODEL
from datamodel.secrets.memory import MemorySecrets
from datamodel.secrets.ports import Keeping
from datamodel.seeds import seed
from datamodel.transcripts.memory import MemoryTranscripts
from datamodel.transcripts.ports import Transcripts
from gateway.app import create_app
from gateway.backend import Backend
from gateway.changes import Changes
from gateway.growth import Growth
from gateway.link import LINGER_S, Link
from gateway.server import Server
from gateway.settings import FRONTS, Front
from tests.databases import Databases
from tests.graph import memory_store
from tests.pair import clean
from tests.waiting import until

BASE_URL = "http://127.0.0.1:8080"
STEP = {"name": "run", "image": "busybox", "script": "true"}


@dataclass
class Gateway:
    """What a test holds of it. `changes` is the feed's end: a test without NATS delivers to it by hand."""

    app: Starlette
    client: httpx.AsyncClient
    store: Store
    changes: Changes
    backend: Backend

    async def position(self) -> int:
        return (await self.store.head()).position


@asynccontextmanager
async def open_gateway(
    store: Store,
    access: Access | None = None,
    transcripts: Transcripts | None = None,
    artifacts: KeptPieces | None = None,
    secrets: Keeping | None = None,
    fronts: Collection[Front] = FRONTS,
    origins: Collection[str] = (),
) -> AsyncIterator[Gateway]:
    """The application with a client that calls it in the same process. Without the address of NATS it has no feed, and the
    transcripts and artifacts that it is given. Secrets are kept in memory unless the test says where."""
    async with AsyncExitStack() as stack:
        changes = Changes()
        link = await stack.enter_async_context(linked(access, changes)) if access is not None else None
        poke = link.poke if link is not None else _nothing
        appender = await stack.enter_async_context(Appender(store, committed=poke))
        kept, pieces = transcripts or MemoryTranscripts(), artifacts or MemoryPieces()
        backend = Backend(
            store,
            appender,
            Reads(store),
            changes,
            Growth(store),
            lambda: link is not None and link.connected,
            lambda: link.transcripts if link is not None else kept,
            lambda: link.artifacts if link is not None else pieces,
            secrets or MemorySecrets(),
        )
        app = stack.enter_context(_application(backend, fronts, origins))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url=BASE_URL))
        yield Gateway(app, client, store, changes, backend)


_idle: list[tuple[Hashable, Backend, Starlette]] = []
_IDLE = 4


@contextmanager
def _application(backend: Backend, fronts: Collection[Front], origins: Collection[str]) -> Iterator[Starlette]:
    """One over this backend. To make one takes the better part of a second, and a thousand tests want one: those that tests
    are done with are taken again, with another backend behind them."""
    made_for = (backend.model, tuple(fronts), tuple(origins))
    found = next((idle for idle in _idle if idle[0] == made_for), None)
    if found is None:
        behind = replace(backend)
        found = made_for, behind, create_app(behind, fronts, origins)
    else:
        _idle.remove(found)
        for field in fields(Backend):
            object.__setattr__(found[1], field.name, getattr(backend, field.name))
    yield found[2]
    _idle.append(found)
    del _idle[:-_IDLE]


@asynccontextmanager
async def fake_gateway() -> AsyncIterator[Gateway]:
    """One over a store in memory, with the model's seeds."""
    store = memory_store()
    await seed(store)
    async with open_gateway(store) as gateway:
        yield gateway


@asynccontextmanager
async def real_gateway(databases: Databases) -> AsyncIterator[Gateway]:
    """One over a database of its own, which must be the fold of its log in the end."""
    url = await databases.create()
    async with PostgresStore(url, MODEL) as store, open_gateway(store) as gateway:
        yield gateway
        await clean(store)
    await databases.drop(url)


async def ask(gateway: Gateway, query: str, **variables: Any) -> Any:
    """The data of GraphQL's answer, which has no errors."""
    answer = await gateway.client.post("/graphql", json={"query": query, "variables": variables})
    assert answer.status_code == 200, answer.text
    assert "errors" not in answer.json(), answer.text
    return answer.json()["data"]


@asynccontextmanager
async def serving(gateway: Gateway) -> AsyncIterator[tuple[Server, httpx.AsyncClient]]:
    """The gateway on a port, for what only a real connection shows: streams, and how they end."""
    server = Server(gateway.app, "127.0.0.1", 0, stopping=gateway.changes.close)
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            yield server, client
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def linked(
    access: Access, changes: Changes, *, grown: Callable[[], None] = lambda: None, linger_s: float = LINGER_S
) -> AsyncIterator[Link]:
    """A link that is connecting or connected, and tells those who watch of what changes in the config plane."""
    link = Link(access)
    task = asyncio.create_task(link.run(["/config"], changes, grown, linger_s=linger_s))
    try:
        yield link
    finally:
        task.cancel()
        await asyncio.wait([task])


def _nothing() -> None:
    return
