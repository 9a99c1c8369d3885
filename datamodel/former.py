"""Former images: of what changed since a list's position, the nodes as they were, next in the list's order.

Where a list is sorted by something that changes, a node may have been anywhere in it. So all changes since are looked at, but
no more is kept than a page can need.
"""

from collections.abc import Collection
from typing import Protocol

from datamodel.errors import Gone
from datamodel.node import Node
from datamodel.plan import Plan
from datamodel.sorting import Place, is_before
from datamodel.walk import Paths, Span

SINCE_MAX = 1_000_000
"""Changes since its position after which a sorted list is not kept any more."""
STRETCH = 50_000
"""Positions that are looked through at a time."""
NODES = 500
"""Read at a time."""


class Images(Protocol):
    """The reads of what was, as the ports mean them."""

    async def changed(self, span: Span, after: int, through: int, limit: int) -> Paths: ...

    async def nodes_at(self, paths: Collection[str], position: int) -> dict[str, Node]: ...


class Former:
    """The next nodes after a place (None: from the beginning), of those that have changed or gone since a position."""

    def __init__(self, store: Images, plan: Plan, position: int, after: Place | None, limit: int) -> None:
        self._store, self._plan, self._position, self._after, self._limit = store, plan, position, after, limit
        self._through = position
        self._nodes: dict[Place, Node] = {}

    async def read(self, end: int) -> None:
        """Looks at what changed up to another position. Raises `Gone` where that is too much."""
        if end - self._position > SINCE_MAX:
            message = f"a sorted list is kept for {SINCE_MAX} changes, and there were {end - self._position} since its position"
            raise Gone(message, oldest=end - SINCE_MAX, field="/sort")
        while self._through < end:
            through = min(self._through + STRETCH, end)
            changed = await self._store.changed(self._plan.walk.span, self._through, through, STRETCH)
            paths = [path for path in changed.paths if self._plan.may_find(path)]
            for first in range(0, len(paths), NODES):
                self._keep(await self._store.nodes_at(paths[first : first + NODES], self._position))
            self._through = through

    def _keep(self, nodes: dict[str, Node]) -> None:
        sort = self._plan.sort
        for node in nodes.values():
            if self._plan.fits(node):
                place = self._plan.place(node)
                if self._after is None or is_before(sort, self._after, place):
                    self._nodes[place] = node
        places = sorted(self._nodes, reverse=sort.descending)[: self._limit]
        self._nodes = {place: self._nodes[place] for place in places}

    def between(self, after: Place | None, through: Place | None) -> dict[Place, Node]:
        """Those after a place and up to another (None: to the end), that included."""
        sort = self._plan.sort
        return {
            place: node
            for place, node in self._nodes.items()
            if (after is None or is_before(sort, after, place))
            and (through is None or not is_before(sort, through, place))
        }
