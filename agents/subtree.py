"""Which part of the graph an agent follows, and what of it is its own."""

from collections.abc import Callable, Collection, Sequence

from datamodel.ports import FeedItem, Message
from datamodel.scheduling.edges import desired_path
from datamodel.scheduling.permissions import EDGES_LISTED

FILTERS_LIMIT = EDGES_LISTED
"""Edges that a consumer names one by one. nats-server compares every filter of a consumer with every other one, and each
message with all of them: with 2,000 edges in one, making it took five seconds of a core, and nothing else was answered."""


class Subtree:
    """The attempts of an agent's edges. A large group follows its whole site, and leaves what is another's of it alone."""

    def __init__(self, site: str, edges: Sequence[str]) -> None:
        self._site = f"/desired-config/sites/{site}/edges/"
        self._edges: Collection[str] = frozenset(edges)
        self.prefixes: Sequence[str] = (
            [f"{desired_path(site, edge)}/attempts" for edge in edges]
            if len(edges) <= FILTERS_LIMIT
            else [self._site.rstrip("/")]
        )
        """The paths at and below which its part lies."""

    def is_own(self, path: str) -> bool:
        """Whether it is an attempt of one of the edges."""
        if not path.startswith(self._site):
            return False
        edge, _, below = path[len(self._site) :].partition("/")
        return edge in self._edges and below.startswith("attempts/")

    def own(self, deliver: Callable[[FeedItem], None]) -> Callable[[FeedItem], None]:
        """Delivers what is its own of what is followed."""

        def take(item: FeedItem) -> None:
            if not isinstance(item, Message) or self.is_own(item.path):
                deliver(item)

        return take
