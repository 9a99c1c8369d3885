"""Reads of many pages at once: what the pages of a hundred parents ask at the same time, the store is asked once."""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from datamodel.history import NodeEvents
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.reads import Batched
from datamodel.selectors import Requirement
from datamodel.sorting import Place
from datamodel.walk import END, Paths, Span, Walk, Walked
from gateway.shared import Shared

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Walk(NamedTuple):
    walk: Walk
    after: Place | None
    limit: int


class _Count(NamedTuple):
    walk: Walk
    terms: tuple[Requirement, ...]


class _Changed(NamedTuple):
    span: Span
    after: int
    through: int
    limit: int


class _Places(NamedTuple):
    span: Span
    limit: int


class _History(NamedTuple):
    path: str
    after: int
    before: int | None
    limit: int


class _At(NamedTuple):
    paths: tuple[str, ...]
    position: int


class Together(Shared):
    """What pages read of a store (`datamodel.query.Listed`). Questions that differ in their place alone go together, as those
    do that come from one field of many nodes; the answers are as new as those to each alone would be."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._walks = Batched[_Walk, Walked](self._walk_all)
        self._counts = Batched[_Count, int](self._count_all)
        self._changes = Batched[_Changed, Paths](self._changed_all)
        self._places = Batched[_Places, Paths](self._places_all)
        self._histories = Batched[_History, NodeEvents](self._histories_all)
        self._images = Batched[_At, dict[str, Node]](self._images_all)

    async def walk(self, walk: Walk, after: Place | None, limit: int) -> Walked:
        return _there(await self._walks.get(_Walk(walk, after, limit)))

    async def count_walk(self, walk: Walk, terms: Sequence[Requirement]) -> int:
        return _there(await self._counts.get(_Count(walk, tuple(terms))))

    async def changed(self, span: Span, after: int, through: int, limit: int) -> Paths:
        return _there(await self._changes.get(_Changed(span, after, through, limit)))

    async def places(self, span: Span, limit: int) -> Paths:
        return _there(await self._places.get(_Places(span, limit)))

    async def nodes_at(self, paths: Collection[str], position: int) -> dict[str, Node]:
        """Who asks for none waits with the others all the same: what they ask next goes together again."""
        return _there(await self._images.get(_At(tuple(paths), position)))

    async def history_each(
        self, paths: Collection[str], *, after: int = 0, before: int | None = None, limit: int = 100
    ) -> dict[str, NodeEvents]:
        found = await self._histories.get_all([_History(path, after, before, limit) for path in paths])
        return {path: _there(told) for path, told in zip(paths, found, strict=True)}

    async def _walk_all(self, asked: Collection[_Walk]) -> dict[_Walk, Walked]:
        async def alike(keys: list[_Walk]) -> list[Walked]:
            return await self._store.walk_each([(key.walk, key.after) for key in keys], keys[0].limit)

        return await _answered(asked, lambda key: (_likeness(key.walk), key.limit), alike)

    async def _count_all(self, asked: Collection[_Count]) -> dict[_Count, int]:
        async def alike(keys: list[_Count]) -> list[int]:
            return await self._store.count_each([key.walk for key in keys], keys[0].terms)

        return await _answered(asked, lambda key: (_likeness(key.walk), key.terms), alike)

    async def _changed_all(self, asked: Collection[_Changed]) -> dict[_Changed, Paths]:
        """What changed between the same positions is looked through once, in all that is asked for and what is between."""

        async def alike(keys: list[_Changed]) -> list[Paths]:
            _, after, through, limit = keys[0]
            if len(keys) == 1:
                return [await self._store.changed(*keys[0])]
            span = Span(min(key.span.after for key in keys), max(key.span.before for key in keys))
            found = await self._store.changed(span, after, through, max(limit, through - after + 1))
            return [_within(found.paths, key.span, key.limit) for key in keys]

        return await _answered(asked, lambda key: (key.after, key.through), alike)

    async def _places_all(self, asked: Collection[_Places]) -> dict[_Places, Paths]:
        async def alike(keys: list[_Places]) -> list[Paths]:
            return await self._store.places_each([key.span for key in keys], keys[0].limit)

        return await _answered(asked, lambda key: key.limit, alike)

    async def _histories_all(self, asked: Collection[_History]) -> dict[_History, NodeEvents]:
        async def alike(keys: list[_History]) -> list[NodeEvents]:
            _, after, before, limit = keys[0]
            paths = [key.path for key in keys]
            found = await self._store.history_each(paths, after=after, before=before, limit=limit)
            return [found[path] for path in paths]

        return await _answered(asked, lambda key: key[1:], alike)

    async def _images_all(self, asked: Collection[_At]) -> dict[_At, dict[str, Node]]:
        async def alike(keys: list[_At]) -> list[dict[str, Node]]:
            paths = list(dict.fromkeys(path for key in keys for path in key.paths))
            found = await self._store.nodes_at(paths, keys[0].position)
            return [{path: found[path] for path in key.paths if path in found} for key in keys]

        return await _answered(asked, lambda key: key.position, alike)


async def _answered(
    asked: Iterable[K], likeness: Callable[[K], Hashable], answer: Callable[[list[K]], Awaitable[list[V]]]
) -> dict[K, V]:
    """The answers to what is asked, of which all that is alike is asked at once."""
    groups: dict[Hashable, list[K]] = {}
    for key in asked:
        groups.setdefault(likeness(key), []).append(key)
    answers = await asyncio.gather(*(answer(keys) for keys in groups.values()))
    return {
        key: found
        for keys, group in zip(groups.values(), answers, strict=True)
        for key, found in zip(keys, group, strict=True)
    }


def _likeness(walk: Walk) -> Walk:
    """The walk without what it may differ in from those that are taken with it (`Walk.is_like`)."""
    return replace(walk, span=Span(), target="")


def _within(paths: list[str], span: Span, limit: int) -> Paths:
    """Those of sorted paths that are in a span, as a store would find them."""
    found = paths[bisect_right(paths, span.after) : bisect_left(paths, span.before)][:limit]
    return Paths(found, found[-1] if len(found) == limit else END)


def _there(answer: V | None) -> V:
    assert answer is not None, "every question is answered"
    return answer
