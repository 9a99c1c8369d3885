"""Who reads the graph as programs of others do: lists it in pages, watches what becomes of it, and looks at its past, while
the log loses its beginning. What they are told of a position must be what was so then, or that it is gone."""

import asyncio
from collections.abc import Collection, Iterator, Mapping
from typing import cast

from datamodel.bookmark import Bookmark
from datamodel.errors import Gone, Invalid, Transient
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.query import LIMIT_MAX, Query, page
from datamodel.watching import watch
from sim.world import script
from sim.world.database import Connection
from sim.world.hosts import Surroundings
from sim.world.past import Past
from sim.world.process import Process

AGAIN_S = 1.0
POLL_S = 5.0
PAGE_MAX = 40


class Watcher:
    """One program that nothing happens to, at a database that may not answer and may be put back. A list or watch that has
    seen two databases says nothing."""

    def __init__(self, around: Surroundings, action: script.Watch, past: Past) -> None:
        self.left_behind = 0
        """How often it had to."""
        self.process = Process(around.universe, f"watcher-{action.at_s}")
        self._around, self._action, self._past = around, action, past
        self._rng = around.dice.stream(self.process.name)
        weather = around.weather
        connection = Connection(self.process, around.database, self._rng, weather, weather.hub_delay_s)
        self._store = cast("Store", connection)
        self._nodes: dict[str, Node] = {}
        self._told: dict[str, Node | None] = {}
        self._known: Bookmark | None = None
        """Up to which it knows everything; None where it has to list again."""
        self._position = -1
        self._restores = 0

    def start(self) -> None:
        self.process.start(self._run)

    def behind(self, position: int) -> bool:
        """Whether it does not know yet what is so at the log's end."""
        return self.process.alive and self._position != position

    def wrong(self, nodes: Mapping[str, Node]) -> Iterator[str]:
        """What it believes of the present."""
        present = {path: node for path, node in nodes.items() if node.kind == self._action.kind}
        if self._known is not None and self._nodes != present:
            yield f"{self.process.name} believes what is not so, at rest: {_unlike(self._nodes, present)}"

    async def _run(self) -> None:
        while True:
            self._told, self._restores = {}, self._around.database.restores
            try:
                await self._watch(self._known or await self._list())
            except Gone:
                self._known, self._position = None, -1
                self.left_behind += 1
            except Invalid:  # a position that the log has not reached yet
                if not self._is_another:
                    raise
            except Transient:
                await asyncio.sleep(AGAIN_S)

    async def _list(self) -> int:
        """All pages of one list; its position."""
        query = Query(self._action.kind, limit=self._rng.randint(1, PAGE_MAX))
        found = await page(self._store, query)
        nodes = found.nodes
        while found.cursor:
            found = await page(self._store, query, cursor=found.cursor)
            nodes += found.nodes
        self._judge("lists", found.position, nodes)
        self._nodes, self._position = {node.path: node for node in nodes}, found.position
        return found.position

    async def _watch(self, after: int | Bookmark) -> None:
        """What is told counts with the bookmark after it: whoever is cut off before is told again what came of it by then."""
        async for seen in watch(self._store, Query(self._action.kind), after, grown=asyncio.Event(), poll_s=POLL_S):
            if not isinstance(seen, Bookmark):
                self._told[seen.node.path] = None if seen.what == "deleted" else seen.node
                continue
            if self._is_another and self._known is None:
                return  # a list does not say of which log it was
            nodes = self._nodes | self._told
            self._nodes = {path: node for path, node in nodes.items() if node is not None}
            self._known, self._position, self._told = seen, seen.position, {}
            self._judge("believes", seen.position, self._nodes.values())
            await self._look_back()
            await asyncio.sleep(self._rng.uniform(0.0, self._action.slow_s))

    async def _look_back(self) -> None:
        """At any moment since the beginning."""
        position = self._rng.choice(self._past.positions)
        try:
            found = await page(self._store, Query(self._action.kind, limit=LIMIT_MAX), as_of=position)
        except Gone as gone:
            if gone.oldest <= position and not self._is_another:
                self._around.complain(f"{self.process.name}: {position} is gone, and kept from {gone.oldest} on")
        else:
            self._judge("reads", position, found.nodes)

    def _judge(self, does: str, position: int, nodes: Collection[Node]) -> None:
        expected = self._past.of_kind(self._action.kind, position)
        found = {node.path: node for node in nodes}
        if not self._is_another and (found != expected or len(found) != len(nodes)):
            wrong = _unlike(found, expected or {})
            self._around.complain(f"{self.process.name} {does} at {position} what was not so: {wrong}")

    @property
    def _is_another(self) -> bool:
        """The database was put back since this began."""
        return self._restores != self._around.database.restores


def _unlike(found: Mapping[str, Node], expected: Mapping[str, Node]) -> list[str]:
    """Some paths at which the two have other nodes."""
    return sorted(path for path in {*found, *expected} if found.get(path) != expected.get(path))[:3]
