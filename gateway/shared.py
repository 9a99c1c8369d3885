"""Reads that many watchers share: a change wakes all of them at once, and most ask the same about it."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable
from datetime import datetime
from typing import Any, TypeVar, cast

from datamodel.model import Model
from datamodel.node import Node
from datamodel.ports import Head, Store
from datamodel.walk import Paths, Span

T = TypeVar("T")


class Shared:
    """What a watch reads of a store (`datamodel.watching.Watched`). Who asks what somebody has just asked gets the same answer,
    unless the question is on its way already: so every answer is newer than its question. Answers are not to be changed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asked: dict[Hashable, asyncio.Future[Any]] = {}

    @property
    def model(self) -> Model:
        return self._store.model

    async def head(self) -> Head:
        return await self._ask("head", self._store.head)

    async def oldest(self) -> int:
        return await self._ask("oldest", self._store.oldest)

    async def position_at(self, time: datetime) -> int:
        return await self._ask(("time", time), lambda: self._store.position_at(time))

    async def event_id(self, position: int) -> str | None:
        return await self._ask(("event", position), lambda: self._store.event_id(position))

    async def changed(self, span: Span, after: int, through: int, limit: int) -> Paths:
        asked = "changed", span, after, through, limit
        return await self._ask(asked, lambda: self._store.changed(span, after, through, limit))

    async def nodes_at(self, paths: Collection[str], position: int) -> dict[str, Node]:
        return await self._ask(("at", *paths, position), lambda: self._store.nodes_at(paths, position))

    async def departed(self, paths: Collection[str], after: int, through: int) -> dict[str, tuple[int, Node]]:
        asked = "departed", *paths, after, through
        return await self._ask(asked, lambda: self._store.departed(paths, after, through))

    async def _ask(self, asked: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        answer = self._asked.get(asked)
        if answer is None:
            # It begins after the tasks that are ready now, which ask too.
            answer = self._asked[asked] = asyncio.ensure_future(self._read(asked, read))
            answer.add_done_callback(_heard)
        return cast("T", await asyncio.shield(answer))  # who goes away does not take the others' answer along

    async def _read(self, asked: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        del self._asked[asked]
        return await read()


def _heard(answer: "asyncio.Future[Any]") -> None:
    """All who asked may have gone."""
    if not answer.cancelled():
        answer.exception()
