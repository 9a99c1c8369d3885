"""What one GraphQL request shares among its resolvers."""

from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Any, TypeVar

import strawberry

from datamodel.errors import Invalid
from datamodel.ports import Store
from datamodel.reads import Batched
from gateway.backend import Backend
from gateway.together import Together

V = TypeVar("V")
NODES_LIMIT = 20_000
"""How many nodes one request may ask for, as its pages say; deep pages multiply."""
COUNT_CHARGE = 20
"""What a `totalCount` counts in the request's budget of nodes."""


class Context:
    """One request's backend, its reads, which go together, and its budget."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.reads = Together(backend.store)
        self._asked = 0
        self._batches: dict[Any, Batched[str, Any]] = {}

    def batch(self, read: Callable[[Store, Collection[str]], Awaitable[dict[str, V]]]) -> Batched[str, V]:
        """What many nodes ask by such a read of the store goes together."""
        if read not in self._batches:
            self._batches[read] = Batched(partial(read, self.backend.store))
        return self._batches[read]

    def charge(self, nodes: int) -> None:
        """Raises `Invalid` once the request has asked for too many nodes."""
        self._asked += nodes
        if self._asked > NODES_LIMIT:
            raise Invalid(f"the query asks for more than {NODES_LIMIT} nodes: ask for smaller pages")


Info = strawberry.Info[Context, None]
