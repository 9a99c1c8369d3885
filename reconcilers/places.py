"""Edges as keys of reconcilers: `SITE/EDGE`, and `SITE/` for all edges of a site of which something else is asked."""

from collections.abc import Callable, Iterable

from datamodel.names import last_name
from datamodel.ports import Change, Store
from datamodel.scheduling.edges import place_of
from reconcilers.runtime.controller import Wake

PAGE = 1_000


def key_of(path: str) -> str:
    """The key of the edge of a path at or below it, in any plane."""
    return "/".join(place_of(path))


def on_edge(change: Change) -> Iterable[Wake]:
    """Of a change at an edge, or below."""
    return (Wake(key_of(change.path)),)


def on_site(change: Change) -> Iterable[Wake]:
    """Of a change at a site."""
    return (Wake(f"{last_name(change.path)}/"),)


async def wake_edges(store: Store, site: str, wake: Callable[[str], object]) -> None:
    """Wakes the keys of all edges that a site has a place for."""
    after = ""
    while edges := await store.list_nodes(
        "DesiredEdge", under=f"/desired-config/sites/{site}", after=after, limit=PAGE
    ):
        for edge in edges:
            wake(key_of(edge.path))
        after = edges[-1].path
