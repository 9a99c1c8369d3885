"""A gateway of a test's own: the application over an open store, with a feed that moves where the test needs one."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx
from fastapi import FastAPI

from datamodel.appender import Appender
from datamodel.ports import Store
from datamodel.reads import Reads
from gateway.app import create_app
from gateway.backend import Backend
from gateway.changes import Changes
from gateway.link import Link

BASE_URL = "http://127.0.0.1:8080"
STEP = {"name": "run", "image": "busybox", "script": "true"}


@dataclass
class Gateway:
    """What a test holds of it. `changes` is the feed's end: a test without NATS delivers to it by hand."""

    app: FastAPI
    client: httpx.AsyncClient
    store: Store
    changes: Changes

    async def position(self) -> int:
        return (await self.store.head()).position


@asynccontextmanager
async def open_gateway(store: Store, link: Link | None = None) -> AsyncIterator[Gateway]:
    """The application with a client that calls it in the same process. Without a link it reports NATS as missing."""
    async with AsyncExitStack() as stack:
        poke = link.poke if link is not None else _nothing
        appender = await stack.enter_async_context(Appender(store, committed=poke))
        changes = Changes()
        backend = Backend(store, appender, Reads(store), changes, lambda: link is not None and link.connected)
        app = create_app(backend)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url=BASE_URL))
        yield Gateway(app, client, store, changes)


def _nothing() -> None:
    return
