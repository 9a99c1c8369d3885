"""What reading and appending take at graphs of several sizes: it must follow what changed, not what exists."""

import asyncio
import itertools
import random
import time
from typing import Any

from datamodel.appender import Appender
from datamodel.bookmark import Bookmark
from datamodel.command import Actor, Command, Unit, raise_refused
from datamodel.moments import position_of
from datamodel.ports import Store
from datamodel.query import Query, page
from datamodel.selectors import label_selector
from datamodel.watching import watch
from sim.bench.graph import TEXT, UNIT, Items, appended, appended_alone, shelf
from sim.bench.model import WRITER
from sim.bench.report import latencies

SIZES = {"10k": 10_000, "100k": 100_000, "1M": 1_000_000}
SHADES = 100
"""One node in so many has a label's value."""
PAGES = 500
PAST_EVENTS = 1_000
PAST_READS = 500
MISSED = 100_000
"""Changes of nodes on one shelf that a watch was away for."""
MOVING = 5_000
"""Nodes that they change, in turn."""

_ACTOR = Actor("bench", WRITER)
_MOVING_SHELF, _OLD_ITEM = shelf(0), f"{shelf(1)}/items/old"


class Growing:
    """A graph that is measured, grows, and is measured again. `begin` it first."""

    def __init__(self, store: Store, items: Items, shelves: int) -> None:
        self._store = store
        self._items = items
        self._shelves = shelves
        self._numbers = itertools.count()
        self._dice = random.Random(1)  # noqa: S311 - of positions and pages
        self._past = (0, 0)

    async def begin(self) -> None:
        """The item with many events, and those that will move."""
        moving = [Command("create", path, {"text": TEXT}) for path in _moving()]
        await self._write([Command("create", _OLD_ITEM, {"text": TEXT}), *moving])
        first = (await self._store.head()).position
        await self._write([Command("patchStatus", _OLD_ITEM, {"counted": count}) for count in range(1, PAST_EVENTS)])
        self._past = (first, (await self._store.head()).position)

    async def at(self, size: int) -> dict[str, Any]:
        """The figures at so many nodes."""
        await self._grow(size)
        return {
            "nodes": await self._store.count_nodes(),
            "listPageMs": await self._pages(),
            "asOfMs": await self._reads_of_the_past(),
            "watchResumeS": await self._resumed(),
            "appendPerS": (await appended(self._store, self._items, seconds=3))["eventsPerS"],
            "appendAloneMs": (await appended_alone(self._store, self._items, count=300))["p50"],
        }

    async def _grow(self, size: int) -> None:
        missing = size - await self._store.count_nodes()
        for first in range(0, missing, 20 * UNIT):
            await self._write([self._labelled() for _ in range(min(20 * UNIT, missing - first))])

    def _labelled(self) -> Command:
        number = next(self._numbers)
        path = f"{shelf(2 + number % (self._shelves - 2))}/items/n{number}"
        return Command("create", path, {"text": TEXT}, labels={"shade": f"s{number % SHADES}"})

    async def _write(self, commands: list[Command]) -> None:
        async with Appender(self._store) as appender:
            units = [Unit(tuple(commands[first : first + UNIT]), _ACTOR) for first in range(0, len(commands), UNIT)]
            for outcome in await asyncio.gather(*map(appender.append, units)):
                raise_refused(outcome)

    async def _pages(self) -> dict[str, float]:
        """Pages of 100 nodes with a label's value, each the first of a walk or, as often, the next one."""
        took_s, cursor = [], ""
        query = Query()
        for number in range(PAGES):
            if not cursor:
                query = Query(kind="Item", labels=label_selector(f"shade=s{self._dice.randrange(SHADES)}"))
            began = time.perf_counter()
            found = await page(self._store, query, cursor=cursor)
            took_s.append(time.perf_counter() - began)
            cursor = found.cursor if number % 2 == 0 else ""
        return latencies(took_s)

    async def _reads_of_the_past(self) -> dict[str, float]:
        took_s = []
        for _ in range(PAST_READS):
            position = self._dice.randint(*self._past)
            began = time.perf_counter()
            at = await position_of(self._store, position)
            found = (await self._store.nodes_at([_OLD_ITEM], at))[_OLD_ITEM]
            took_s.append(time.perf_counter() - began)
            assert found.status.get("counted", 0) == position - self._past[0]
        return latencies(took_s)

    async def _resumed(self) -> float:
        """Seconds until a watch of one shelf has been told of all that it missed."""
        before = (await self._store.head()).position
        rounds = range(MISSED // MOVING)
        for _ in rounds:
            count = next(self._numbers)
            await self._write([Command("patchStatus", path, {"counted": count}) for path in _moving()])
        began, told = time.perf_counter(), 0
        watching = watch(self._store, Query(under=_MOVING_SHELF), before, grown=asyncio.Event(), poll_s=1.0)
        async for seen in watching:
            if isinstance(seen, Bookmark):
                break
            told += 1
        assert told == MOVING
        return round(time.perf_counter() - began, 3)


def _moving() -> list[str]:
    return [f"{_MOVING_SHELF}/items/m{number}" for number in range(MOVING)]
