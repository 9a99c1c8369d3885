"""Batched reads: what many tasks of a process ask for one by one goes to the store as one query."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Collection, Hashable
from typing import Generic, TypeVar

from datamodel.ledger import Totals
from datamodel.node import Node
from datamodel.ports import Store

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
BATCH_KEYS = 1_000


class Batched(Generic[K, V]):
    """Reads rows by key. While one query runs, keys gather for the next, so every answer is newer than its question."""

    def __init__(self, fetch: Callable[[Collection[K]], Awaitable[dict[K, V]]]) -> None:
        self._fetch = fetch
        self._asked: dict[K, list[asyncio.Future[V | None]]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """The row as it is now, None where there is none. Raises `Transient`."""
        return await self._ask(key)

    async def get_all(self, keys: Collection[K]) -> list[V | None]:
        """The rows of these keys in the same way, in order."""
        return [await answer for answer in [self._ask(key) for key in keys]]

    def _ask(self, key: K) -> "asyncio.Future[V | None]":
        future: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(key, []).append(future)
        if self._task is None:
            self._task = asyncio.create_task(self._run())  # it begins after the tasks that are ready now, which ask too
        return future

    async def _run(self) -> None:
        while self._asked:
            batch = dict(list(self._asked.items())[:BATCH_KEYS])
            for key in batch:
                del self._asked[key]
            try:
                found = await self._fetch(batch.keys())
            except BaseException as error:  # noqa: BLE001 - every asker gets it
                for future in itertools.chain.from_iterable(batch.values()):
                    if not future.done():
                        future.set_exception(error)
                        future.exception()  # read here, in case its asker has gone
            else:
                for key, futures in batch.items():
                    for future in futures:
                        if not future.done():
                            future.set_result(found.get(key))
        self._task = None


class Reads:
    """The batched reads that the tasks of one process share."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._nodes = Batched[str, Node](store.nodes)
        self._totals = Batched[str, Totals](store.totals)

    async def node(self, path: str) -> Node | None:
        return await self._nodes.get(path)

    async def nodes(self, *paths: str) -> list[Node | None]:
        """Of several paths, by one query."""
        return await self._nodes.get_all(paths)

    async def totals(self, owner: str) -> Totals:
        return await self._totals.get(owner) or Totals()

    async def recent_node(self, path: str) -> Node | None:
        """The node as this process knows it, read only where it does not: for who is woken by what the process hears of, and
        writes with an expected version."""
        return self._store.recall_node(path) or await self.node(path)

    async def recent_totals(self, owner: str) -> Totals:
        """An owner's totals in the same way."""
        return self._store.recall_totals(owner) or await self.totals(owner)
