"""What one GraphQL request shares among its resolvers."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Any, TypeVar

import strawberry

from datamodel.errors import Invalid
from datamodel.reads import Batched
from gateway.backend import Backend
from gateway.together import Together

V = TypeVar("V")
NODES_LIMIT = 20_000
"""How many nodes one request may ask for, as its pages say; deep pages multiply."""
COUNT_CHARGE = 20
"""What a `totalCount` counts in the request's budget of nodes."""
EXECUTIONS_CHARGE = 5
"""What a job's `executions` count."""
EXPLAIN_CHARGE = 10
"""What an `explain` counts."""
EXPLAIN_THEN_CHARGE = 500
"""What one of the past counts, for which attempts are read."""
TOLD_MOST = 3
"""Of what a query asks for too many nodes, so much is named."""

QUIET_TURNS = 3
"""Turns of the event loop in which nobody asks, after which nobody is about to."""


class Context:
    """One request's backend, its reads, which go together, and its budget."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._gathered = 0
        self._gathering: asyncio.Task[None] | None = None
        self.begin()

    def begin(self) -> None:
        """Forgets what was read and what was charged, as is right for each event of a subscription."""
        self.reads = Together(self.backend.store)
        self._asked = Counter[str]()
        self._batches: dict[Any, Batched[str, Any]] = {}

    async def together(self) -> None:
        """Waits for whoever is about to ask something too. Resolvers of one field begin some turns of the event loop apart, as
        lists of one node and of several are not awaited alike; from here on their questions go together."""
        self._gathered += 1
        if self._gathering is None:
            self._gathering = asyncio.create_task(self._gather())
        await asyncio.shield(self._gathering)

    async def _gather(self) -> None:
        known, quiet = 0, 0
        while quiet < QUIET_TURNS:
            await asyncio.sleep(0)
            quiet = quiet + 1 if self._gathered == known else 0
            known = self._gathered
        self._gathering = None

    def batch(self, read: Callable[[Backend, Collection[str]], Awaitable[dict[str, V]]]) -> Batched[str, V]:
        """What many nodes ask by such a read goes together."""
        if read not in self._batches:
            self._batches[read] = Batched(partial(read, self.backend))
        return self._batches[read]

    def charge(self, nodes: int, what: str) -> None:
        """Raises `Invalid` once the request has asked for too many nodes, saying what for."""
        self._asked[what] += nodes
        if self._asked.total() > NODES_LIMIT:
            most = ", ".join(f"{what} {count}" for what, count in self._asked.most_common(TOLD_MOST))
            raise Invalid(f"the query asks for more than {NODES_LIMIT} nodes ({most}): ask for smaller pages")


Info = strawberry.Info[Context, None]
